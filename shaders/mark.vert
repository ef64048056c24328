#version 330 core
// A square around a mark; no buffers needed.
uniform vec3 circle; // middle in the panel and radius, pixels
uniform vec4 place;  // x, y, width, height of the picture in the panel, pixels
const float MARGIN = 4.0;

void main() {
    vec2 corner = 2.0 * vec2(gl_VertexID & 1, gl_VertexID >> 1) - 1.0;
    vec2 pixel = circle.xy + corner * (circle.z + MARGIN);
    gl_Position = vec4(2.0 * (pixel - place.xy) / place.zw - 1.0, 0.0, 1.0);
}
