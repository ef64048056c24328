#version 330 core
// One Gaussian's part of a pixel, for blending front to back.
const float ALPHA_MIN = 1.0 / 255.0, ALPHA_MAX = 0.99;
flat in vec2 center;
flat in vec4 ellipse;
flat in vec4 paint;
layout(location = 0) out vec4 color;  // times alpha, alpha
layout(location = 1) out vec4 depth;  // times alpha, 0, 0, alpha

void main() {
    vec2 d = gl_FragCoord.xy - center;
    float q = ellipse.x * d.x * d.x + 2.0 * ellipse.y * d.x * d.y + ellipse.z * d.y * d.y;
    float alpha = min(ellipse.w * exp(-0.5 * q), ALPHA_MAX);
    if (alpha < ALPHA_MIN) discard;
    color = vec4(paint.rgb * alpha, alpha);
    depth = vec4(paint.a * alpha, 0.0, 0.0, alpha);
}
