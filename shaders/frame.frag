#version 330 core
// A rendered frame, or a quantity of it through a palette, at its place in a panel. Row 0 of the result is the top of the
// picture, as everywhere outside OpenGL. renderer/shading.py has the same with numpy.
// Defined from outside, so that a software renderer does no work for other modes: MODE, and BLENDED where the picture
// shows through; FAINT and SOLID, the opacities at which a value appears and is shown in full; GREY, the weights of a
// colour's grey; GREY_BLEND, the blend from which on the picture under an overlay is grey.
#define COLOR 0
#define DEPTH 1
#define OPACITY 2
#define OVERLAY 3
#define NORMALS 4
uniform sampler2D palettes; // (256, palettes) rgb
uniform sampler2D color;    // (W, H) rgb, row 0 on top, as are the others
uniform sampler2D surface;  // (W, H) r: depth times opacity, scene units; g: opacity
uniform sampler2D overlay;  // (W, H) r: overlay where it is known, else 0; g: whether it is known
uniform sampler2D normals;  // (W, H) rgb: 0.5 + 0.5 n, a: 1; all 0 where n is unknown
uniform vec4 place;         // x, y, width, height of the picture in the panel, pixels
uniform vec2 range;         // values at the two ends of the palette
uniform int palette;
uniform float blend;        // how much of the mode covers the colour
uniform vec3 backdrop;
out vec4 result;

vec3 mapped(float value) {
    float t = clamp((value - range.x) / max(range.y - range.x, 1e-9), 0.0, 1.0);
    return texelFetch(palettes, ivec2(t * 255.0 + 0.5, palette), 0).rgb;
}

void main() {
    vec2 uv = (gl_FragCoord.xy - place.xy) / place.zw;
#if MODE == COLOR
    vec3 shown = textureLod(color, uv, 0.0).rgb;
#elif MODE == DEPTH
    vec2 seen = textureLod(surface, uv, 0.0).rg;
    vec3 depth = mapped(seen.r / max(seen.g, 1e-6));
    vec3 shown = mix(backdrop, depth, seen.r > 0.0 ? smoothstep(FAINT, SOLID, seen.g) : 0.0);
#elif MODE == OPACITY
    vec3 shown = mapped(textureLod(surface, uv, 0.0).g);
#elif MODE == OVERLAY
    vec2 known = textureLod(overlay, uv, 0.0).rg;
    vec3 picture = textureLod(color, uv, 0.0).rgb;
    vec3 grey = vec3(dot(picture, vec3(GREY)));
    picture = mix(picture, grey, min(1.0, blend / GREY_BLEND));
    vec3 shown = mix(picture, mapped(known.r / max(known.g, 1e-6)), blend * known.g);
#else
    vec4 normal = textureLod(normals, uv, 0.0);
    vec3 direction = 2.0 * normal.rgb - normal.a;
    vec3 facing = 0.5 + 0.5 * direction / max(length(direction), 1e-6);
    float opacity = textureLod(surface, uv, 0.0).g;
    vec3 shown = mix(backdrop, facing, normal.a * smoothstep(FAINT, SOLID, opacity));
#endif
#if BLENDED
    shown = mix(textureLod(color, uv, 0.0).rgb, shown, blend);
#endif
    result = vec4(shown, 1.0);
}
