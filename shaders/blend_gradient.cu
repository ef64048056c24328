// The gradient of blend.cu with respect to `screen`, for either way of adding it up: read after walk.cu.
//
// With f_i the gradient of what contribution i adds per unit of weight,
// dL/d alpha_i = T_i f_i - (sum behind i of w f) / (1 - alpha_i). The sum behind is the total, known from the picture,
// less the sum so far; so both ways go front to back. A clamped alpha passes no gradient on. Both add to v_screen,
// columns 0 to 9.

constexpr int GRADIENTS = 10;

// What of the loss meets a pixel: the gradient of a unit of weight is red v_red + green v_green + blue v_blue +
// z v_depth + v_weight + |z - target| v_error.
struct Incoming {
    float red, green, blue, depth, weight, error, target;
    int end;  // one behind the place of the last contribution
    float T, behind;  // in front of the first splat that follows: transmittance, and the sum of w f from there on
};

struct Pictures {
    const float* __restrict__ background;
    const float* __restrict__ target;
    const float* __restrict__ color;
    const float* __restrict__ depth;
    const float* __restrict__ opacity;
    const float* __restrict__ error;
    const float* __restrict__ v_color;
    const float* __restrict__ v_depth;
    const float* __restrict__ v_opacity;
    const float* __restrict__ v_error;
};

// Of a pixel in front of everything.
__device__ __forceinline__ Incoming incoming(const Pictures& of, int pixel, int end) {
    Incoming in{};
    in.end = end;
    in.T = 1.0f;
    if (of.v_color != nullptr) {
        in.red = of.v_color[3 * pixel];
        in.green = of.v_color[3 * pixel + 1];
        in.blue = of.v_color[3 * pixel + 2];
        // what the background adds is taken off again: a weight hides as much of it
        const float* b = of.background;
        const float T = 1.0f - of.opacity[pixel];
        in.weight = -(in.red * b[0] + in.green * b[1] + in.blue * b[2]);
        in.behind = in.red * (of.color[3 * pixel] - T * b[0]) + in.green * (of.color[3 * pixel + 1] - T * b[1]) +
                    in.blue * (of.color[3 * pixel + 2] - T * b[2]);
    }
    if (of.v_opacity != nullptr) in.weight += of.v_opacity[pixel];
    if (of.v_depth != nullptr) {
        in.depth = of.v_depth[pixel];
        in.behind += in.depth * of.depth[pixel];
    }
    in.behind += in.weight * of.opacity[pixel];
#if WITH_TARGET
    in.target = of.target[pixel];
    if (of.v_error != nullptr && in.target > 0.0f) {
        in.error = of.v_error[pixel];
        in.behind += in.error * of.error[pixel];
    }
#endif
    return in;
}

// Go past one splat, the pixel at an offset from its centre: its gradient is added to `v`, of which `finish` makes the
// columns of `screen`. False, and nothing done, where it adds nothing to the pixel.
__device__ __forceinline__ bool take(
    const Record& r, float dx, float dy, float* v, float& T, float& behind, const Incoming& in
) {
    const float raw = raw_alpha(r, dx, dy), alpha = fminf(raw, ALPHA_MAX);
    if (!(alpha >= ALPHA_MIN)) return false;
    const float through = 1.0f - alpha, weight = alpha * T;
    float f = r.b.w * in.red + r.c.x * in.green + r.c.y * in.blue + r.b.z * in.depth + in.weight;
    float v_z = in.depth;
#if WITH_TARGET
    const float off = r.b.z - in.target;
    f += fabsf(off) * in.error;
    v_z += off > 0.0f ? in.error : (off < 0.0f ? -in.error : 0.0f);
#endif
    behind -= weight * f;
    // dL/d ln alpha
    const float h = raw <= ALPHA_MAX ? alpha * (T * f - __fdividef(behind, through)) : 0.0f;
    T *= through;
    // columns 0, 1, 2, 3, 4, 5 take sums of h dx, h dy, h dx^2, h dx dy, h dy^2, h, to be scaled by `finish`
    v[0] += h * dx;
    v[1] += h * dy;
    v[2] += h * dx * dx;
    v[3] += h * dx * dy;
    v[4] += h * dy * dy;
    v[5] += h;
    v[6] += weight * v_z;
    v[7] += weight * in.red;
    v[8] += weight * in.green;
    v[9] += weight * in.blue;
    return true;
}

// From the sums of `take` to the gradients of one row's columns.
__device__ __forceinline__ void finish(const Record& r, float* v) {
    constexpr float TO_A = -2.0f / LOG2E, TO_B = -1.0f / LOG2E;
    const float A = TO_A * r.a.z, B = TO_B * r.a.w, C = TO_A * r.b.x;
    const float x = A * v[0] + B * v[1], y = B * v[0] + C * v[1];
    v[0] = x;
    v[1] = y;
    v[2] *= -0.5f;
    v[3] = -v[3];
    v[4] *= -0.5f;
    v[5] = __fdividef(v[5], r.b.y);
}
