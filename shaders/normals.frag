#version 330 core
// The normal of the surface through the expected depths of a pixel's neighbours, in camera axes, towards the camera.
// Row 0 is the top of the picture. Defined from outside: FAINT, the opacity up to which a depth is unknown.
uniform sampler2D surface; // (W, H) r: depth times opacity, scene units; g: opacity
uniform vec4 lens;         // fx, fy, cx, cy, pixels
out vec4 result;           // rgb: 0.5 + 0.5 n, a: 1; all 0 where n is unknown

// The point that a pixel sees; its z is 0 where that is unknown.
vec3 point(ivec2 pixel) {
    if (any(lessThan(pixel, ivec2(0))) || any(greaterThanEqual(pixel, textureSize(surface, 0)))) {
        return vec3(0.0);
    }
    vec2 seen = texelFetch(surface, pixel, 0).rg;
    float z = seen.g > FAINT ? seen.r / seen.g : 0.0;
    return z > 0.0 ? vec3((vec2(pixel) + 0.5 - lens.zw) / lens.xy * z, z) : vec3(0.0);
}

// From the neighbour before to the one behind; from or to the pixel itself where one is unknown.
vec3 slope(vec3 before, vec3 here, vec3 behind) {
    return (behind.z > 0.0 ? behind : here) - (before.z > 0.0 ? before : here);
}

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    vec3 here = point(pixel);
    vec3 along_x = slope(point(pixel - ivec2(1, 0)), here, point(pixel + ivec2(1, 0)));
    vec3 along_y = slope(point(pixel - ivec2(0, 1)), here, point(pixel + ivec2(0, 1)));
    vec3 normal = cross(along_y, along_x);
    float size = length(normal);
    if (here.z <= 0.0 || size == 0.0) {
        result = vec4(0.0);
        return;
    }
    normal *= (dot(normal, here) > 0.0 ? -1.0 : 1.0) / size;
    result = vec4(0.5 + 0.5 * normal, 1.0);
}
