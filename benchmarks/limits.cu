// What a GPU does at most: copying memory and multiplying with addition, nothing else.

// A float4 for each thread and round.
extern "C" __global__ void __launch_bounds__(256)
    copy_values(const float* __restrict__ from, float* __restrict__ to, int quads) {
    const float4* source = reinterpret_cast<const float4*>(from);
    float4* target = reinterpret_cast<float4*>(to);
    const int step = int(gridDim.x * blockDim.x);
    for (int k = int(blockIdx.x * blockDim.x + threadIdx.x); k < quads; k += step) target[k] = source[k];
}

constexpr int CHAINS = 16;  // independent, so that no result is waited for
constexpr int STEPS = 8;    // of each between two tests of the loop

// x -> a x + b in 16 chains of each thread, 8 `rounds` times; the chain k of thread t starts at t + k. out: (threads,)
// the sum of a thread's chains.
extern "C" __global__ void __launch_bounds__(256)
    multiply_add(float* __restrict__ out, int rounds, float a, float b) {
    const int thread = int(blockIdx.x * blockDim.x + threadIdx.x);
    float x[CHAINS];
#pragma unroll
    for (int k = 0; k < CHAINS; ++k) x[k] = float(thread + k);
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (int step = 0; step < STEPS; ++step) {
#pragma unroll
            for (int k = 0; k < CHAINS; ++k) x[k] = fmaf(x[k], a, b);
        }
    }
    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k < CHAINS; ++k) sum += x[k];
    out[thread] = sum;
}
