// Shared by the kernels of the splatter: read before the source that uses it (renderer/cuda/program.py).

// Those of renderer/splat/types.py and renderer/gaussians.py; a test holds that they are equal.
constexpr float ALPHA_MIN = 1.0f / 255.0f;
constexpr float ALPHA_MAX = 0.99f;
constexpr float TRANSMITTANCE_MIN = 1e-4f;
constexpr float BLUR = 0.3f;
constexpr float FRUSTUM_MARGIN = 0.15f;
constexpr float P_MIN = 0.05f;

constexpr int TILE = 16;  // pixels along each side
constexpr int RECORD = 12;  // floats of a row of `screen`
constexpr unsigned ALL_LANES = 0xffffffffu;

__device__ __forceinline__ int thread_index() { return int(blockIdx.x * blockDim.x + threadIdx.x); }

// The sum over the warp, in every lane. All 32 lanes take part.
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) x += __shfl_xor_sync(ALL_LANES, x, step);
    return x;
}
