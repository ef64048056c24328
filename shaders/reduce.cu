// Sums over a block of 256 threads: read after common.cu.

// The sum of x over the block, in thread 0; others get parts of it. Every thread of the block takes part.
__device__ __forceinline__ float block_sum(float x) {
    __shared__ float of_warp[8];
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
    __syncthreads();
    return threadIdx.x < 32 ? warp_sum(threadIdx.x < 8 ? of_warp[threadIdx.x] : 0.0f) : 0.0f;
}
