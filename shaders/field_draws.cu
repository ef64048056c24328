// DDR by sampling: soft draws from the weights along rays (training/gumbel.py; Sun et al., TVCG 2025; Sampling-Argmax,
// Li et al. 2021). CHUNKS: ceil(S / 32).

constexpr int TRIANGULAR = 0, UNIFORM = 1;  // and else normal: the basis around a sample
constexpr int WARPS = 4;  // of a block, all along one ray, each with every fourth draw

// One ray's p and log p: of sample 32 c + lane in element c; behind the ray's end p is 0.
struct Shares {
    float p[CHUNKS], log_p[CHUNKS], inverse;
};

__device__ __forceinline__ Shares shares_of(const float* __restrict__ weights, int S) {
    Shares ray;
    const int lane = lane_index();
    float total = 0.0f;
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) {
        ray.p[c] = 32 * c + lane < S ? weights[32 * c + lane] : 0.0f;
        total += ray.p[c];
    }
    ray.inverse = 1.0f / (warp_sum(total) + FLOOR);
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) {
        ray.p[c] *= ray.inverse;
        ray.log_p[c] = logf(ray.p[c] + FLOOR);
    }
    return ray;
}

// Values of the samples after and before each; 0 beyond the ray.
__device__ __forceinline__ void neighbours(const float (&x)[CHUNKS], float (&after)[CHUNKS], float (&before)[CHUNKS]) {
    const int lane = lane_index();
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) {
        after[c] = __shfl_sync(ALL_LANES, x[c], (lane + 1) & 31);
        before[c] = __shfl_sync(ALL_LANES, x[c], (lane + 31) & 31);
    }
    if (lane == 31) {
#pragma unroll
        for (int c = 0; c + 1 < CHUNKS; ++c) after[c] = after[c + 1];
        after[CHUNKS - 1] = 0.0f;
    }
    if (lane == 0) {
#pragma unroll
        for (int c = CHUNKS - 1; c > 0; --c) before[c] = before[c - 1];
        before[0] = 0.0f;
    }
}

// One draw. `y`: softmax; `q`: what each sample counts; `x`: where it is, in samples; `scale`: q over what y gives;
// `total`: sum of q x.
struct Draw {
    float y[CHUNKS], e[CHUNKS], q[CHUNKS], scale, total;
};

__device__ __forceinline__ Draw drawn(
    const Shares& ray, const float* __restrict__ gumbel, const float* __restrict__ offsets, float temperature, int basis,
    int S
) {
    Draw draw;
    const int lane = lane_index();
    float most = -1e30f;
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) {
        const int i = 32 * c + lane;
        draw.y[c] = i < S ? (ray.log_p[c] + gumbel[i]) / temperature : -1e30f;
        draw.e[c] = i < S ? offsets[i] : 0.0f;
        most = fmaxf(most, draw.y[c]);
    }
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, step));
    float sum = 0.0f;
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) {
        draw.y[c] = 32 * c + lane < S ? expf(draw.y[c] - most) : 0.0f;
        sum += draw.y[c];
    }
    const float inverse = 1.0f / warp_sum(sum);
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) draw.y[c] *= inverse;

    if (basis == TRIANGULAR) {  // y read between the samples
        float after[CHUNKS], before[CHUNKS];
        neighbours(draw.y, after, before);
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) {
            const float e = draw.e[c];
            const float q = draw.y[c] * (1.0f - fabsf(e)) + after[c] * fmaxf(e, 0.0f) - before[c] * fminf(e, 0.0f);
            draw.q[c] = 32 * c + lane < S ? q : 0.0f;
        }
    } else {
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) {
            draw.q[c] = basis == UNIFORM ? draw.y[c] : draw.y[c] * expf(-2.0f * draw.e[c] * draw.e[c]);
        }
    }
    float weight = 0.0f, total = 0.0f;
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) {
        weight += draw.q[c];
        total += draw.q[c] * (float(32 * c + lane) + draw.e[c]);
    }
    draw.scale = basis == UNIFORM ? 1.0f : 1.0f / warp_sum(weight);
    draw.total = warp_sum(total) * draw.scale;
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) draw.q[c] *= draw.scale;
    return draw;
}

// Adds dL/dlog p to `v_log_p` from v_total = dL/dtotal. `released`: the derivative by q is -2 before the total, else +2.
__device__ __forceinline__ void drawn_backward(
    const Draw& draw, float v_total, float temperature, int basis, int released, int S, float (&v_log_p)[CHUNKS]
) {
    const int lane = lane_index();
    float v[CHUNKS];
    float mean = 0.0f;
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) {
        const float x = float(32 * c + lane) + draw.e[c];
        v[c] = v_total * (!released ? x : x < draw.total ? -2.0f : 2.0f);
        mean += v[c] * draw.q[c];
    }
    if (basis != UNIFORM) {
        mean = warp_sum(mean);
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) v[c] = 32 * c + lane < S ? (v[c] - mean) * draw.scale : 0.0f;
    }
    if (basis == TRIANGULAR) {
        float up[CHUNKS], down[CHUNKS], unused[CHUNKS], from_before[CHUNKS], from_after[CHUNKS];
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) {
            up[c] = v[c] * fmaxf(draw.e[c], 0.0f);  // what the sample took of the one after it
            down[c] = -v[c] * fminf(draw.e[c], 0.0f);
        }
        neighbours(up, unused, from_before);
        neighbours(down, from_after, unused);
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) v[c] = v[c] * (1.0f - fabsf(draw.e[c])) + from_before[c] + from_after[c];
    } else if (basis != UNIFORM) {
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) v[c] *= expf(-2.0f * draw.e[c] * draw.e[c]);
    }
    mean = 0.0f;
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) mean += v[c] * draw.y[c];
    mean = warp_sum(mean);
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) v_log_p[c] += draw.y[c] * (v[c] - mean) / temperature;
}

// Adds up the warps' dL/dlog p and writes dL/dw of the ray's S weights. All of the block takes part.
__device__ __forceinline__ void write_v_weights(
    const Shares& ray, const float (&v_log_p)[CHUNKS], float* __restrict__ v_weights, int S
) {
    __shared__ float parts[WARPS][32 * CHUNKS];
    const int lane = lane_index();
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) parts[warp_index()][32 * c + lane] = v_log_p[c];
    __syncthreads();
    if (warp_index() != 0) return;
    float v_p[CHUNKS];
    float mean = 0.0f;
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) {
        float sum = 0.0f;
        for (int warp = 0; warp < WARPS; ++warp) sum += parts[warp][32 * c + lane];
        v_p[c] = sum / (ray.p[c] + FLOOR);
        mean += v_p[c] * ray.p[c];
    }
    mean = warp_sum(mean);
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) {
        if (32 * c + lane < S) v_weights[32 * c + lane] = (v_p[c] - mean) * ray.inverse;
    }
}

// `out` (R, K) draws from `weights` (R, S), indices over S, for given noise (R, K, S). A block for each ray.
extern "C" __global__ void __launch_bounds__(128, 4) soft_samples(
    const float* __restrict__ weights, const float* __restrict__ gumbel, const float* __restrict__ offsets,
    float* __restrict__ out, float temperature, int basis, int K, int S
) {
    const int ray = int(blockIdx.x);
    const Shares shares = shares_of(weights + ray * S, S);
    for (int k = warp_index(); k < K; k += WARPS) {
        const int at = (ray * K + k) * S;
        const Draw draw = drawn(shares, gumbel + at, offsets + at, temperature, basis, S);
        if (lane_index() == 0) out[ray * K + k] = draw.total / float(S);
    }
}

extern "C" __global__ void __launch_bounds__(128, 4) soft_samples_backward(
    const float* __restrict__ weights, const float* __restrict__ gumbel, const float* __restrict__ offsets,
    const float* __restrict__ v_out, float* __restrict__ v_weights, float temperature, int basis, int released, int K,
    int S
) {
    const int ray = int(blockIdx.x);
    const Shares shares = shares_of(weights + ray * S, S);
    float v_log_p[CHUNKS] = {};
    for (int k = warp_index(); k < K; k += WARPS) {
        const int at = (ray * K + k) * S;
        const Draw draw = drawn(shares, gumbel + at, offsets + at, temperature, basis, S);
        drawn_backward(draw, v_out[ray * K + k] / float(S), temperature, basis, released, S, v_log_p);
    }
    write_v_weights(shares, v_log_p, v_weights + ray * S, S);
}

// Of each ray the mean of |s_k - D| over its K draws, read along `t` (R, S), ascending, and its derivative by the
// weights, in one go. A block for each ray.
extern "C" __global__ void __launch_bounds__(128, 4) sampled_errors(
    const float* __restrict__ t, const float* __restrict__ weights, const float* __restrict__ target,
    const float* __restrict__ gumbel, const float* __restrict__ offsets, float* __restrict__ errors,
    float* __restrict__ v_weights, float temperature, int basis, int released, int K, int S
) {
    __shared__ float parts_of_error[WARPS];
    const int ray = int(blockIdx.x);
    const Shares shares = shares_of(weights + ray * S, S);
    const float D = target[ray];
    float v_log_p[CHUNKS] = {};
    float error = 0.0f;
    for (int k = warp_index(); k < K; k += WARPS) {
        const int at = (ray * K + k) * S;
        const Draw draw = drawn(shares, gumbel + at, offsets + at, temperature, basis, S);
        const int lower = min(max(int(floorf(draw.total)), 0), max(S - 2, 0));
        const float a = t[ray * S + lower], step = t[ray * S + min(lower + 1, S - 1)] - a;
        const float away = a + (draw.total - float(lower)) * step - D;
        error += fabsf(away);
        const float v_total = sign_of(away) * step / float(K);
        drawn_backward(draw, v_total, temperature, basis, released, S, v_log_p);
    }
    if (lane_index() == 0) parts_of_error[warp_index()] = error;
    write_v_weights(shares, v_log_p, v_weights + ray * S, S);  // all of the block has met there
    if (threadIdx.x == 0) {
        float sum = 0.0f;
        for (int warp = 0; warp < WARPS; ++warp) sum += parts_of_error[warp];
        errors[ray] = sum / float(K);
    }
}
