#version 330 core
// Corners of small pictures in the world.
layout(location = 0) in vec3 corner; // world, scene units
layout(location = 1) in vec3 texel;  // right and down in the picture, in [0, 1], and which picture
uniform mat4 pose; // world to camera
uniform vec4 lens; // fx, fy, cx, cy, pixels of the panel from the picture's corner
uniform vec3 size; // width and height of the picture in the panel, pixels; near plane, scene units
out vec3 at;
out float depth;   // along +z, scene units

void main() {
    vec3 p = (pose * vec4(corner, 1.0)).xyz;
    at = texel;
    depth = p.z;
    // cut off at the near plane: -w <= z - 2 near
    gl_Position = vec4(2.0 * (lens.xy * p.xy + lens.zw * p.z) / size.xy - p.z, p.z - 2.0 * size.z, p.z);
}
