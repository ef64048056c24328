#version 330 core
// A smooth line, faint behind the surface of the picture.
uniform float half_width; // pixels
in vec4 color;
in float depth;
noperspective in float across;
out vec4 result;

void main() {
    float covered = clamp(half_width + 0.5 - abs(across), 0.0, 1.0);
    result = vec4(color.rgb, color.a * covered * strength(depth));
}
