// The weights of samples along rays (renderer/field/march.py): of the blend of a static and a dynamic part with the
// colours that they composite to, and of one density. All arrays of samples are (R, S), ray by ray.

// Those of renderer/field/model.py and march.py; a test holds that the values they give are equal.
constexpr float FIRST_DENSITY = -1.0f;
constexpr float MOST_EXPONENT = 11.0f;
constexpr float LEAST_THROUGH = 1e-10f;

// One part at one sample. `alone`: its alpha; `through`: 1 - alone; `slope`: d alone / d raw, or / d sigma.
struct Part {
    float alone, through, slope;
};

__device__ __forceinline__ Part part_of_density(float sigma, float delta) {
    const float x = sigma * delta;
    const float through = expf(-x);
    return {-expm1f(-x), through, delta * through};
}

__device__ __forceinline__ Part part_of_raw(float raw, float delta) {
    const float sigma = expf(fminf(raw + FIRST_DENSITY, MOST_EXPONENT));
    Part part = part_of_density(sigma, delta);
    part.slope *= sigma;  // beyond the clamp too
    return part;
}

// Both parts at one sample, and what they let through together. Behind the ray's end there is nothing.
struct Sample {
    Part st, dy;
    float v, a_st, a_dy, through, through_st, through_dy;
};

__device__ __forceinline__ Sample sample_at(
    const float* __restrict__ raw_st, const float* __restrict__ raw_dy, const float* __restrict__ blend,
    const float* __restrict__ deltas, int at, bool here
) {
    Sample x;
    x.st = x.dy = {0.0f, 1.0f, 0.0f};
    x.v = x.a_st = x.a_dy = 0.0f;
    x.through = x.through_st = x.through_dy = 1.0f;
    if (here) {
        const float delta = deltas[at];
        x.st = part_of_raw(raw_st[at], delta);
        x.dy = part_of_raw(raw_dy[at], delta);
        x.v = blend[at];
        x.a_dy = x.dy.alone * x.v;
        x.a_st = x.st.alone * (1.0f - x.v);
        x.through = (1.0f - x.a_dy) * (1.0f - x.a_st) + LEAST_THROUGH;
        x.through_st = x.st.through + LEAST_THROUGH;
        x.through_dy = x.dy.through + LEAST_THROUGH;
    }
    return x;
}

// `starts`: (R, ceil(S / 32), 3) light in front of every 32nd sample, of the blend, the static and the dynamic part, for
// the backward; may be null. `color_*` (R, S, 3) of samples, `picture*` (R, 3) of the blend and of each part alone.
extern "C" __global__ void __launch_bounds__(128) composite(
    const float* __restrict__ raw_st, const float* __restrict__ raw_dy, const float* __restrict__ blend,
    const float* __restrict__ color_st, const float* __restrict__ color_dy, const float* __restrict__ deltas,
    float* __restrict__ blended, float* __restrict__ of_static, float* __restrict__ of_dynamic,
    float* __restrict__ alone_st, float* __restrict__ alone_dy, float* __restrict__ transmittances,
    float* __restrict__ picture, float* __restrict__ picture_st, float* __restrict__ picture_dy,
    float* __restrict__ starts, int R, int S
) {
    const int ray = ray_index(), lane = lane_index(), chunks = (S + 31) >> 5;
    if (ray >= R) return;
    float light = 1.0f, light_st = 1.0f, light_dy = 1.0f;
    float color[9] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    for (int chunk = 0; chunk < chunks; ++chunk) {
        if (starts && lane < 3) {
            starts[3 * (ray * chunks + chunk) + lane] = lane == 0 ? light : lane == 1 ? light_st : light_dy;
        }
        const int i = 32 * chunk + lane, at = ray * S + i;
        const bool here = i < S;
        const Sample x = sample_at(raw_st, raw_dy, blend, deltas, at, here);
        const float T = product_before(x.through, light);
        const float T_st = product_before(x.through_st, light_st);
        const float T_dy = product_before(x.through_dy, light_dy);
        if (!here) continue;
        const float w_st = T * x.a_st, w_dy = T * x.a_dy, only_st = T_st * x.st.alone, only_dy = T_dy * x.dy.alone;
        blended[at] = T * (x.a_dy + x.a_st);
        of_static[at] = w_st;
        of_dynamic[at] = w_dy;
        alone_st[at] = only_st;
        alone_dy[at] = only_dy;
        transmittances[at] = T;
#pragma unroll
        for (int c = 0; c < 3; ++c) {
            const float c_st = color_st[3 * at + c], c_dy = color_dy[3 * at + c];
            color[c] += w_dy * c_dy + w_st * c_st;
            color[3 + c] += only_st * c_st;
            color[6 + c] += only_dy * c_dy;
        }
    }
#pragma unroll
    for (int c = 0; c < 9; ++c) {
        const float total = warp_sum(color[c]);
        float* const out = c < 3 ? picture : c < 6 ? picture_st : picture_dy;
        if (lane == 0) out[3 * ray + c % 3] = total;
    }
}

// Gradients of what `composite` gives that are null count as 0. Intervals get none.
extern "C" __global__ void __launch_bounds__(128) composite_backward(
    const float* __restrict__ raw_st, const float* __restrict__ raw_dy, const float* __restrict__ blend,
    const float* __restrict__ color_st, const float* __restrict__ color_dy, const float* __restrict__ deltas,
    const float* __restrict__ starts, const float* __restrict__ v_blended, const float* __restrict__ v_of_static,
    const float* __restrict__ v_of_dynamic, const float* __restrict__ v_alone_st, const float* __restrict__ v_alone_dy,
    const float* __restrict__ v_transmittances, const float* __restrict__ v_picture,
    const float* __restrict__ v_picture_st, const float* __restrict__ v_picture_dy, float* __restrict__ v_raw_st,
    float* __restrict__ v_raw_dy, float* __restrict__ v_blend, float* __restrict__ v_color_st,
    float* __restrict__ v_color_dy, int R, int S
) {
    const int ray = ray_index(), lane = lane_index(), chunks = (S + 31) >> 5;
    if (ray >= R) return;
    float behind = 0.0f, behind_st = 0.0f, behind_dy = 0.0f;
    for (int chunk = chunks - 1; chunk >= 0; --chunk) {
        const int i = 32 * chunk + lane, at = ray * S + i;
        const bool here = i < S;
        const Sample x = sample_at(raw_st, raw_dy, blend, deltas, at, here);
        const float* const start = starts + 3 * (ray * chunks + chunk);
        float light = start[0], light_st = start[1], light_dy = start[2];
        const float T = product_before(x.through, light);
        const float T_st = product_before(x.through_st, light_st);
        const float T_dy = product_before(x.through_dy, light_dy);

        float v_w_st = 0.0f, v_w_dy = 0.0f, v_only_st = 0.0f, v_only_dy = 0.0f, v_T = 0.0f;
        if (here) {
            const float v_both = given(v_blended, at);
            v_w_st = v_both + given(v_of_static, at);
            v_w_dy = v_both + given(v_of_dynamic, at);
            v_only_st = given(v_alone_st, at);
            v_only_dy = given(v_alone_dy, at);
#pragma unroll
            for (int c = 0; c < 3; ++c) {
                const float c_st = color_st[3 * at + c], c_dy = color_dy[3 * at + c];
                const float v_mixed = given(v_picture, 3 * ray + c);
                const float v_st = given(v_picture_st, 3 * ray + c), v_dy = given(v_picture_dy, 3 * ray + c);
                v_w_st += v_mixed * c_st;
                v_w_dy += v_mixed * c_dy;
                v_only_st += v_st * c_st;
                v_only_dy += v_dy * c_dy;
                v_color_st[3 * at + c] = T * x.a_st * v_mixed + T_st * x.st.alone * v_st;
                v_color_dy[3 * at + c] = T * x.a_dy * v_mixed + T_dy * x.dy.alone * v_dy;
            }
            v_T = given(v_transmittances, at) + v_w_dy * x.a_dy + v_w_st * x.a_st;
        }
        const float v_through = T * beyond(x.through, v_T, behind);
        const float v_through_st = T_st * beyond(x.through_st, v_only_st * x.st.alone, behind_st);
        const float v_through_dy = T_dy * beyond(x.through_dy, v_only_dy * x.dy.alone, behind_dy);
        if (!here) continue;
        const float v_a_st = T * v_w_st - (1.0f - x.a_dy) * v_through;
        const float v_a_dy = T * v_w_dy - (1.0f - x.a_st) * v_through;
        v_blend[at] = v_a_dy * x.dy.alone - v_a_st * x.st.alone;
        v_raw_st[at] = x.st.slope * (v_a_st * (1.0f - x.v) + T_st * v_only_st - v_through_st);
        v_raw_dy[at] = x.dy.slope * (v_a_dy * x.v + T_dy * v_only_dy - v_through_dy);
    }
}

// The weights of a density `sigma`. `starts`: (R, ceil(S / 32)), may be null.
extern "C" __global__ void __launch_bounds__(128) weigh(
    const float* __restrict__ sigma, const float* __restrict__ deltas, float* __restrict__ weights,
    float* __restrict__ starts, int R, int S
) {
    const int ray = ray_index(), lane = lane_index(), chunks = (S + 31) >> 5;
    if (ray >= R) return;
    float light = 1.0f;
    for (int chunk = 0; chunk < chunks; ++chunk) {
        if (starts && lane == 0) starts[ray * chunks + chunk] = light;
        const int i = 32 * chunk + lane, at = ray * S + i;
        Part part = {0.0f, 1.0f, 0.0f};
        if (i < S) part = part_of_density(sigma[at], deltas[at]);
        const float T = product_before(i < S ? part.through + LEAST_THROUGH : 1.0f, light);
        if (i < S) weights[at] = T * part.alone;
    }
}

extern "C" __global__ void __launch_bounds__(128) weigh_backward(
    const float* __restrict__ sigma, const float* __restrict__ deltas, const float* __restrict__ starts,
    const float* __restrict__ v_weights, float* __restrict__ v_sigma, int R, int S
) {
    const int ray = ray_index(), lane = lane_index(), chunks = (S + 31) >> 5;
    if (ray >= R) return;
    float behind = 0.0f;
    for (int chunk = chunks - 1; chunk >= 0; --chunk) {
        const int i = 32 * chunk + lane, at = ray * S + i;
        Part part = {0.0f, 1.0f, 0.0f};
        float through = 1.0f, v_w = 0.0f, light = starts[ray * chunks + chunk];
        if (i < S) {
            part = part_of_density(sigma[at], deltas[at]);
            through = part.through + LEAST_THROUGH;
            v_w = v_weights[at];
        }
        const float T = product_before(through, light);
        const float v_through = T * beyond(through, v_w * part.alone, behind);
        if (i < S) v_sigma[at] = part.slope * (T * v_w - v_through);
    }
}
