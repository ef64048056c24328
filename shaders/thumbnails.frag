#version 330 core
// A small picture in the world, faint behind the surface of the picture.
uniform sampler2DArray images;
in vec3 at;
in float depth;
out vec4 result;

void main() {
    result = vec4(texture(images, at).rgb, strength(depth));
}
