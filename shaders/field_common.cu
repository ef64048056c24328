// What the kernels along rays of a field share: one warp goes along one ray, 32 samples at a time.

constexpr float FLOOR = 1e-8f;  // of training/ray_losses.py: added to what is divided by or taken the logarithm of

__device__ __forceinline__ int lane_index() { return int(threadIdx.x & 31u); }
__device__ __forceinline__ int warp_index() { return int(threadIdx.x >> 5); }
__device__ __forceinline__ int ray_index() { return thread_index() >> 5; }

// Of lane i the sum over the lanes up to i.
__device__ __forceinline__ float sum_up_to(float x) {
    const int lane = lane_index();
#pragma unroll
    for (int step = 1; step < 32; step <<= 1) {
        const float before = __shfl_up_sync(ALL_LANES, x, step);
        if (lane >= step) x += before;
    }
    return x;
}

// Of lane i the product over the lanes up to i.
__device__ __forceinline__ float product_up_to(float x) {
    const int lane = lane_index();
#pragma unroll
    for (int step = 1; step < 32; step <<= 1) {
        const float before = __shfl_up_sync(ALL_LANES, x, step);
        if (lane >= step) x *= before;
    }
    return x;
}

// Of lane i the product over the lanes before i times `carry`, which becomes that over all of them.
__device__ __forceinline__ float product_before(float x, float& carry) {
    const float up_to = product_up_to(x);
    float before = __shfl_up_sync(ALL_LANES, up_to, 1);
    if (lane_index() == 0) before = 1.0f;
    before *= carry;
    carry *= __shfl_sync(ALL_LANES, up_to, 31);
    return before;
}

// The backward of a product along the ray. With T_i = prod_{j<i} through_j and `v_T` = dL/dT_i, of lane j
//     sum_{i>j} v_T_i prod_{j<k<i} through_k,
// which times T_j is dL/dthrough_j: nothing is divided by what may be close to 0. `carry` holds it for the chunk's last
// lane, and then for the last lane of the chunk in front.
__device__ __forceinline__ float beyond(float through, float v_T, float& carry) {
    const int lane = lane_index();
    float m = through, b = v_T;  // x -> b + m x of this lane and of those behind it
#pragma unroll
    for (int step = 1; step < 32; step <<= 1) {
        const float m_behind = __shfl_down_sync(ALL_LANES, m, step), b_behind = __shfl_down_sync(ALL_LANES, b, step);
        if (lane + step < 32) {
            b += m * b_behind;
            m *= m_behind;
        }
    }
    const float m_next = __shfl_down_sync(ALL_LANES, m, 1), b_next = __shfl_down_sync(ALL_LANES, b, 1);
    const float behind = lane == 31 ? carry : b_next + m_next * carry;
    const float whole = b + m * carry;
    carry = __shfl_sync(ALL_LANES, whole, 0);
    return behind;
}

// How many of `values` (n,), ascending, are at most x.
__device__ __forceinline__ int count_up_to(const float* values, int n, float x) {
    int low = 0, high = n;
    while (low < high) {
        const int middle = (low + high) >> 1;
        if (values[middle] <= x) low = middle + 1;
        else high = middle;
    }
    return low;
}

// Of a gradient that may be absent.
__device__ __forceinline__ float given(const float* __restrict__ v, int at) { return v ? v[at] : 0.0f; }

__device__ __forceinline__ float sign_of(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f; }
