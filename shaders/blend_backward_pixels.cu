// The backward with a thread per pixel: read after blend_gradient.cu.

// Adds values that lie `half` apart, 2 * half lanes apart: of two each lane keeps one. What is left are sums over 16
// lanes, of which lane l has that of value l / 2.
template <int half>
__device__ __forceinline__ void exchange(float* v, int lane) {
    const bool upper = (lane & (2 * half)) != 0;
#pragma unroll
    for (int n = 0; n < half; ++n) {
        const float kept = upper ? v[n + half] : v[n], given = upper ? v[n] : v[n + half];
        v[n] = kept + __shfl_xor_sync(ALL_LANES, given, 2 * half);
    }
    if constexpr (half > 1) exchange<half / 2>(v, lane);
}

// Sums of 16 values over the warp, of which lane l gets that of value l / 2: a third of the shuffles of 10 sums.
__device__ __forceinline__ float spread_sum(float* v, int lane) {
    exchange<8>(v, lane);
    return v[0] + __shfl_xor_sync(ALL_LANES, v[0], 1);
}

// A thread for a pixel, as in blend; the gradients of a splat are summed over the warp before they are added.
extern "C" __global__ void __launch_bounds__(256) blend_backward_pixels(
    const float* __restrict__ screen,      // (N, 12)
    const int* __restrict__ starts,        // (tiles + 1,)
    const int* __restrict__ rows,          // (capacity,)
    int capacity,
    const int* __restrict__ ends,          // (H, W)
    const float* __restrict__ background,  // (3,)
    const float* __restrict__ target,      // (H, W), none without WITH_TARGET
    int width, int height,
    const float* __restrict__ color,       // (H, W, 3), and the others (H, W)
    const float* __restrict__ depth,
    const float* __restrict__ opacity,
    const float* __restrict__ error,
    const float* __restrict__ v_color,     // none where 0, like the next three
    const float* __restrict__ v_depth,
    const float* __restrict__ v_opacity,
    const float* __restrict__ v_error,
    float* __restrict__ v_screen           // (N, 12)
) {
    const Pictures pictures{background, target, color, depth, opacity, error, v_color, v_depth, v_opacity, v_error};
    const Place at = place_of_thread(width, height);
    const int first = min(starts[at.tile], capacity), last = min(starts[at.tile + 1], capacity);
    const int lane = int(threadIdx.x) & 31, pixel = at.y * width + at.x;
    const float px = float(at.x) + 0.5f, py = float(at.y) + 0.5f;
    const int end = at.inside ? ends[pixel] : 0;
    Incoming in{};
    if (end > 0) in = incoming(pictures, pixel, end);
    bool done = end == 0;
    walk(
        screen, rows, first, last, at, done, [](int) {},
        [&](const Record& r, int place) {
            float v[16] = {};
            const bool adds = !done && take(r, px - r.a.x, py - r.a.y, v, in.T, in.behind, in);
            done = done || place + 1 >= end;
            if (!__any_sync(ALL_LANES, adds)) return;
            finish(r, v);
            const float sum = spread_sum(v, lane);
            const int column = lane >> 1;
            float* row = v_screen + (long long)__float_as_int(r.c.w) * RECORD;
            if ((lane & 1) == 0 && column < GRADIENTS) atomicAdd(row + column, sum);
        }
    );
}
