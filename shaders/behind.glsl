// Goes before fragment shaders of things in the world: how much of them is seen through the surface of the picture.
uniform sampler2D surface; // (W, H) r: depth times opacity, scene units; g: opacity; row 0 on top
uniform vec4 place;        // x, y, width, height of the picture in the panel, pixels

float strength(float depth) {
    vec2 seen = textureLod(surface, (gl_FragCoord.xy - place.xy) / place.zw, 0.0).rg;
    float surface_depth = seen.r / max(seen.g, 1e-6);
    float behind = smoothstep(1.0, 1.02, depth / max(surface_depth, 1e-6)); // lines that lie on it stay whole
    return surface_depth > 0.0 ? 1.0 - 0.75 * behind * smoothstep(0.4, 0.8, seen.g) : 1.0;
}
