// What DDR (Sun et al., TVCG 2025) asks of the weights along rays, in closed form (training/ray_losses.py).

// p_i = w_i / (sum_j w_j + FLOOR), (R, S).
extern "C" __global__ void __launch_bounds__(128) normalise(
    const float* __restrict__ weights, float* __restrict__ out, int R, int S
) {
    const int ray = ray_index(), lane = lane_index();
    if (ray >= R) return;
    float total = 0.0f;
    for (int i = lane; i < S; i += 32) total += weights[ray * S + i];
    const float inverse = 1.0f / (warp_sum(total) + FLOOR);
    for (int i = lane; i < S; i += 32) out[ray * S + i] = weights[ray * S + i] * inverse;
}

extern "C" __global__ void __launch_bounds__(128) normalise_backward(
    const float* __restrict__ weights, const float* __restrict__ v_out, float* __restrict__ v_weights, int R, int S
) {
    const int ray = ray_index(), lane = lane_index();
    if (ray >= R) return;
    float total = 0.0f, pulled = 0.0f;
    for (int i = lane; i < S; i += 32) {
        total += weights[ray * S + i];
        pulled += weights[ray * S + i] * v_out[ray * S + i];
    }
    const float inverse = 1.0f / (warp_sum(total) + FLOOR), mean = warp_sum(pulled) * inverse;
    for (int i = lane; i < S; i += 32) v_weights[ray * S + i] = (v_out[ray * S + i] - mean) * inverse;
}

// Of each ray sum_i p_i |t_i - D| where `absolute`, else sum_i p_i (t_i - D) with all of the signed error's D, and its
// derivatives by the weights and, if not null, by t (R, S) and D (R,). Rays that are not `valid` (R,; null: all are) get 0.
extern "C" __global__ void __launch_bounds__(128) ray_errors(
    const float* __restrict__ t, const float* __restrict__ weights, const float* __restrict__ target,
    const unsigned char* __restrict__ valid, float* __restrict__ errors, float* __restrict__ v_weights,
    float* __restrict__ v_t, float* __restrict__ v_target, int absolute, int R, int S
) {
    const int ray = ray_index(), lane = lane_index();
    if (ray >= R) return;
    const bool counts = !valid || valid[ray];
    const float D = counts ? target[ray] : 0.0f;
    float total = 0.0f, sum = 0.0f, pull = 0.0f;
    if (counts) {
        for (int i = lane; i < S; i += 32) {
            const float w = weights[ray * S + i], away = t[ray * S + i] - D;
            total += w;
            sum += w * (absolute ? fabsf(away) : t[ray * S + i]);
            pull += w * sign_of(away);
        }
    }
    const float inverse = 1.0f / (warp_sum(total) + FLOOR), mean = warp_sum(sum) * inverse;
    pull = warp_sum(pull) * inverse;
    if (lane == 0) {
        errors[ray] = absolute ? mean : mean - D;
        if (!counts) errors[ray] = 0.0f;
        if (v_target) v_target[ray] = !counts ? 0.0f : absolute ? -pull : -1.0f;
    }
    for (int i = lane; i < S; i += 32) {
        const int at = ray * S + i;
        const float away = counts ? t[at] - D : 0.0f;
        if (v_weights) {
            v_weights[at] = counts ? ((absolute ? fabsf(away) : t[at]) - mean) * inverse : 0.0f;
        }
        if (v_t) v_t[at] = counts ? weights[at] * inverse * (absolute ? sign_of(away) : 1.0f) : 0.0f;
    }
}
