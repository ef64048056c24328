// Kernels that tests/test_cuda_launch.py knows the results of, and kernels with mistakes.

constexpr unsigned ALL = 0xffffffffu;
constexpr int MOST = 256;

extern "C" __global__ void __launch_bounds__(MOST) add(
    const float* __restrict__ x,  // (n,)
    float a,
    float* __restrict__ out,  // (n,)
    int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = a * x[i] + out[i];
}

extern "C" __global__ void coordinates(int* __restrict__ out) {
    int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    out[block * blockDim.x + threadIdx.x] = 10000 * blockIdx.z + 1000 * blockIdx.y + 100 * blockIdx.x + threadIdx.x;
}

extern "C" __global__ void block_sum(const float* __restrict__ x, float* __restrict__ out) {
    __shared__ float part[256];
    part[threadIdx.x] = x[blockIdx.x * 256 + threadIdx.x];
    __syncthreads();
    for (int half = 128; half; half >>= 1) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) atomicAdd(out, part[0]);
}

extern "C" __global__ void warp_exchange(
    float* sums, int* votes, float* halves, int* above, int* below, int* same, int* counts) {
    int t = threadIdx.x;
    float v = t;
    for (int k = 16; k; k >>= 1) v += __shfl_xor_sync(ALL, v, k);
    sums[t] = v;
    unsigned odd = __ballot_sync(ALL, t & 1);
    votes[t] = (int)odd;
    if (t & 1) halves[t] = __shfl_sync(odd, v + t, 1);
    else halves[t] = __shfl_sync(~odd, v + t, 0);
    above[t] = __shfl_up_sync(ALL, t, 3);
    below[t] = __shfl_down_sync(ALL, t, 3, 8);
    same[t] = (int)__match_any_sync(ALL, t % 3);
    counts[t] = __syncthreads_count(t % 5 == 0) + 1000 * __syncthreads_or(t == 70) + 2000 * __syncthreads_and(t >= 0);
}

extern "C" __global__ void early_end(int* __restrict__ out, int n) {
    if (threadIdx.x >= n) return;
    __shared__ int seen[64];
    seen[threadIdx.x] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = seen[n - 1 - threadIdx.x];
}

extern "C" __global__ void vectors(const float* __restrict__ x, float* __restrict__ out) {
    float4 v = reinterpret_cast<const float4*>(x)[threadIdx.x];
    reinterpret_cast<float4*>(out)[threadIdx.x] = make_float4(v.w, v.z, v.y, v.x);
}


// From here on, mistakes.

extern "C" __global__ void forgotten_barrier(float* __restrict__ out) {
    __shared__ float part[64];
    part[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = part[63 - threadIdx.x];
}

extern "C" __global__ void first_come(int* __restrict__ next, int* __restrict__ out) {
    out[atomicAdd(next, 1)] = threadIdx.x;
}

extern "C" __global__ void divergent_barriers(float* __restrict__ out) {
    if (threadIdx.x < 32) __syncthreads();
    else __syncthreads_or(0);
    out[threadIdx.x] = 1.0f;
}

extern "C" __global__ void deadlock(float* __restrict__ out) {
    if (threadIdx.x == 3) __syncthreads();
    else __syncwarp();
    out[threadIdx.x] = 1.0f;
}

extern "C" __global__ void ended_lane(float* __restrict__ out) {
    if (threadIdx.x == 5) return;
    out[threadIdx.x] = __shfl_xor_sync(ALL, 1.0f, 1);
}

extern "C" __global__ void outside_mask(float* __restrict__ out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffffu, 1.0f, 20);
}

extern "C" __global__ void not_in_mask(float* __restrict__ out) {
    __syncwarp(0xffffu);
    out[threadIdx.x] = 1.0f;
}

extern "C" __global__ void one_too_many(const float* __restrict__ x, float* __restrict__ out, int i) {
    if (threadIdx.x == 0) out[i] = x[0];
}

extern "C" __global__ void read_at(const float* __restrict__ x, float* __restrict__ out, int i) {
    out[threadIdx.x] = x[i];
}

extern "C" __global__ void write_const(const float* __restrict__ x) {
    const_cast<float*>(x)[threadIdx.x] = 1.0f;
}

extern "C" __global__ void divide(int* __restrict__ out, int n) {
    out[threadIdx.x] = 7 / n;
}

extern "C" __global__ void deep(int* __restrict__ out, int n) {
    volatile float local[1 << 17];
    for (int k = 0; k < (1 << 17); k += 256) local[k] = n;
    out[threadIdx.x] = local[n];
}
