#version 330 core
// One 4D Gaussian per vertex, at one instant and from one camera: its ellipse and its colour, captured for splat.vert.
// Slicing as in renderer/slicing.py, projection as in renderer/splat/reference.py, colours as in renderer/harmonics.py.
const int ROW = 4096;                 // texels per row of the textures
const float P_MIN = 0.05;             // least temporal weight that is drawn
const float BLUR = 0.3;               // squared pixels
const float MARGIN = 0.15;            // of the picture, by which the place of linearisation may lie outside
const float PI = 3.14159265358979;

uniform sampler2D body;               // 4 texels each: mean, time | velocity, 1 / (2 variance) | xx xy xz yy | yz zz o -
uniform sampler2D harmonics;          // `stride` texels each: rgb of every coefficient, packed
uniform int stride;
uniform int level;                    // of the harmonics, 0 to 5
uniform float time;                   // on the scene's own axis
uniform float time_span;
uniform mat4 pose;                    // world to camera
uniform vec3 eye;
uniform vec4 lens;                    // fx, fy, cx, cy
uniform vec3 size;                    // width, height, near

out vec4 place;                       // pixel x, y, depth (0: not drawn), opacity
out vec4 shape;                       // inverse covariance A, B, C on the screen, unused
out vec4 paint;                       // red, green, blue, unused

vec4 texel(sampler2D from, int i) { return texelFetch(from, ivec2(i % ROW, i / ROW), 0); }

float number(int i) {
    vec4 four = texel(harmonics, gl_VertexID * stride + i / 4);
    int k = i % 4;
    return k == 0 ? four.x : k == 1 ? four.y : k == 2 ? four.z : four.w;
}

vec3 coefficient(int k) { return vec3(number(3 * k), number(3 * k + 1), number(3 * k + 2)); }

vec3 color(vec3 d, float turns) {
    float x = d.x, y = d.y, z = d.z, xx = x * x, yy = y * y, zz = z * z;
    float c1 = sqrt(3.0 / (4.0 * PI)), c2 = sqrt(15.0 / (4.0 * PI));
    float c33 = sqrt(35.0 / (32.0 * PI)), c32 = sqrt(105.0 / (4.0 * PI)), c31 = sqrt(21.0 / (32.0 * PI));
    float basis[16] = float[16](
        0.5 / sqrt(PI),
        -c1 * y, c1 * z, -c1 * x,
        c2 * x * y, -c2 * y * z, c2 / sqrt(12.0) * (2.0 * zz - xx - yy), -c2 * x * z, 0.5 * c2 * (xx - yy),
        -c33 * y * (3.0 * xx - yy), c32 * x * y * z, -c31 * y * (4.0 * zz - xx - yy),
        sqrt(7.0 / (16.0 * PI)) * z * (2.0 * zz - 3.0 * xx - 3.0 * yy),
        -c31 * x * (4.0 * zz - xx - yy), 0.5 * c32 * z * (xx - yy), -c33 * x * (xx - 3.0 * yy));
    int count = (min(level, 3) + 1) * (min(level, 3) + 1);
    vec3 sum = vec3(0.5);
    for (int n = 0; n <= max(0, level - 3); ++n) {
        float wave = cos(2.0 * PI * float(n) * turns);
        for (int k = 0; k < count; ++k) sum += wave * basis[k] * coefficient(16 * n + k);
    }
    return max(sum, vec3(0.0));
}

void main() {
    place = shape = paint = vec4(0.0);
    vec4 mean = texel(body, 4 * gl_VertexID), motion = texel(body, 4 * gl_VertexID + 1);
    float dt = time - mean.w;
    float weight = exp(-dt * dt * motion.w);
    vec3 p = (pose * vec4(mean.xyz + motion.xyz * dt, 1.0)).xyz;
    if (weight <= P_MIN || p.z <= size.z) return;
    vec4 a = texel(body, 4 * gl_VertexID + 2), b = texel(body, 4 * gl_VertexID + 3);
    mat3 covariance = mat3(a.x, a.y, a.z, a.y, a.w, b.x, a.z, b.x, b.y);
    vec2 edge = MARGIN * size.xy / lens.xy;
    vec2 t = p.z * clamp(p.xy / p.z, -lens.zw / lens.xy - edge, (size.xy - lens.zw) / lens.xy + edge);
    mat3 R = mat3(pose);
    mat3 across = R * covariance * transpose(R);
    vec3 jx = vec3(lens.x / p.z, 0.0, -lens.x * t.x / (p.z * p.z));
    vec3 jy = vec3(0.0, lens.y / p.z, -lens.y * t.y / (p.z * p.z));
    float xx = dot(jx, across * jx) + BLUR, xy = dot(jx, across * jy), yy = dot(jy, across * jy) + BLUR;
    float det = xx * yy - xy * xy;
    place = vec4(lens.xy * p.xy / p.z + lens.zw, p.z, b.z * weight);
    shape = vec4(yy, -xy, xx, 0.0) / det;
    paint = vec4(color(normalize(mean.xyz - eye), dt / time_span), 0.0);
}
