#version 330 core
// A square around each ellipse that slice_splat.vert captured, nearest first.
layout(location = 0) in uint which;
uniform samplerBuffer captured;       // place, shape, paint of each Gaussian
uniform vec2 size;                    // of the picture, pixels
flat out vec2 center;
flat out vec4 ellipse;                // A, B, C, opacity
flat out vec4 paint;                  // red, green, blue, depth

void main() {
    vec4 place = texelFetch(captured, 3 * int(which)), shape = texelFetch(captured, 3 * int(which) + 1);
    vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
    float reach = 2.0 * log(max(255.0 * place.w, 1.0));  // q at which alpha is 1 / 255
    float det = shape.x * shape.z - shape.y * shape.y;
    vec2 half_size = sqrt(reach * vec2(shape.z, shape.x) / det) + 0.5;
    center = place.xy;
    ellipse = vec4(shape.xyz, place.w);
    paint = vec4(texelFetch(captured, 3 * int(which) + 2).rgb, place.z);
    // row 0 of the result is the top of the picture, as everywhere outside OpenGL
    gl_Position = vec4((place.xy + corner * half_size) / size * 2.0 - 1.0, place.z > 0.0 ? 0.0 : 2.0, 1.0);
}
