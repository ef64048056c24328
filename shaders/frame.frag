#version 330 core
// A rendered frame in a panel: colour, or depth, opacity or an overlay through a colour map, in shape, with a mark on the
// picked pixel. Row 0 of the result is the top of the picture, as everywhere outside OpenGL.
uniform sampler2D color_map;    // (256, 1) rgb
uniform sampler2D frame_color;  // (W, H) rgb, row 0 on top
uniform sampler2D frame_values; // (W, H) r: expected depth, scene units; g: opacity; b: overlay
uniform int mode;               // 0 colour, 1 depth, 2 opacity, 3 overlay as heat over the grey picture
uniform vec4 place;             // x, y, width, height of the picture in the panel, pixels
uniform vec2 range;             // depths or overlays at the two ends of the colour map
uniform vec2 mark;              // picked place in the picture, 0..1; negative for none
uniform vec3 backdrop;
out vec4 result;

void main() {
    vec2 pixel = gl_FragCoord.xy;
    vec2 uv = (pixel - place.xy) / place.zw;
    if (any(lessThan(uv, vec2(0.0))) || any(greaterThan(uv, vec2(1.0)))) {
        result = vec4(backdrop, 1.0);
        return;
    }
    vec3 shown;
    vec3 values = texture(frame_values, uv).rgb;
    if (mode == 0) {
        shown = clamp(texture(frame_color, uv).rgb, 0.0, 1.0);
    } else if (mode == 1) {
        float t = clamp((values.r - range.x) / max(range.y - range.x, 1e-6), 0.0, 1.0);
        vec3 mapped = texture(color_map, vec2(t * 255.0 / 256.0 + 0.5 / 256.0, 0.5)).rgb;
        shown = mix(backdrop, mapped, smoothstep(0.02, 0.2, values.g));
    } else if (mode == 3) {
        float t = clamp((values.b - range.x) / max(range.y - range.x, 1e-9), 0.0, 1.0);
        vec3 mapped = texture(color_map, vec2(t * 255.0 / 256.0 + 0.5 / 256.0, 0.5)).rgb;
        float grey = dot(clamp(texture(frame_color, uv).rgb, 0.0, 1.0), vec3(0.299, 0.587, 0.114));
        shown = mix(vec3(grey), mapped, 0.2 + 0.6 * t);
    } else {
        shown = texture(color_map, vec2(clamp(values.g, 0.0, 1.0) * 255.0 / 256.0 + 0.5 / 256.0, 0.5)).rgb;
    }
    if (mark.x >= 0.0) {
        float distance = length(pixel - (place.xy + mark * place.zw));
        float ring = smoothstep(1.6, 0.6, abs(distance - 8.0));
        float halo = smoothstep(3.2, 1.6, abs(distance - 8.0));
        shown = mix(mix(shown, vec3(0.05), 0.7 * halo), vec3(1.0, 0.76, 0.25), ring);
    }
    result = vec4(shown, 1.0);
}
