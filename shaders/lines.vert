#version 330 core
// A segment in the world as a bar of constant width on the screen: an instance is a segment, six vertices are its bar.
// Bars end at their points, so that the pieces of a curve do not overlap.
layout(location = 0) in vec3 start; // world, scene units
layout(location = 1) in vec3 end;
layout(location = 2) in vec4 tint;
uniform mat4 pose;   // world to camera
uniform vec4 lens;   // fx, fy, cx, cy, pixels of the panel from the picture's corner
uniform vec3 size;   // width and height of the picture in the panel, pixels; near plane, scene units
uniform float reach; // pixels from the middle of a line to where its bar ends
out vec4 color;
out float depth;                // along +z, scene units
noperspective out float across; // pixels from the middle of the line

void main() {
    vec3 a = (pose * vec4(start, 1.0)).xyz, b = (pose * vec4(end, 1.0)).xyz;
    float near = size.z;
    color = tint;
    depth = across = 0.0;
    if (max(a.z, b.z) <= near) {
        gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
        return;
    }
    if (a.z < near) a = mix(a, b, (near - a.z) / (b.z - a.z));
    if (b.z < near) b = mix(b, a, (near - b.z) / (a.z - b.z));
    vec2 from = lens.xy * a.xy / a.z + lens.zw, to = lens.xy * b.xy / b.z + lens.zw;
    float span = length(to - from);
    vec2 along = span > 1e-4 ? (to - from) / span : vec2(1.0, 0.0);
    bool far_end = gl_VertexID == 1 || gl_VertexID == 2 || gl_VertexID == 4;
    float side = gl_VertexID == 0 || gl_VertexID == 1 || gl_VertexID == 3 ? -1.0 : 1.0;
    depth = far_end ? b.z : a.z;
    across = side * reach;
    vec2 corner = (far_end ? to : from) + across * vec2(-along.y, along.x);
    // with w = z, colour and depth run along the line as they do in space
    gl_Position = vec4((2.0 * corner / size.xy - 1.0) * depth, 0.0, depth);
}
