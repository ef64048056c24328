// The difference of two pictures, (1 - dssim) L1 + dssim (1 - SSIM), and its gradient to the first one.
//
// Structural similarity is that of Wang et al. 2004 with an 11x11 Gaussian window of sigma 1.5 and a zero border. The
// window is separable: a block reads its pixels and a border of five, blurs along the rows and then across them, all in
// shared memory. Lanes are neighbouring columns. Switch: WITH_SLOPES, whether the way back is prepared.

constexpr int REACH = 5, TAPS = 2 * REACH + 1;
constexpr int ACROSS = 32, DOWN = 16;  // pixels of a block; two rows for each warp
constexpr int WIDE = ACROSS + 2 * REACH, HIGH = DOWN + 2 * REACH;
constexpr float C1 = 0.01f * 0.01f, C2 = 0.03f * 0.03f;

// Weight of a tap, 0 to 10; known at compile time where the loop over taps is unrolled.
__device__ __forceinline__ float window(int tap) {
    const int from_middle = tap < REACH ? REACH - tap : tap - REACH;
    return from_middle == 0   ? 0.266011715f
           : from_middle == 1 ? 0.213005543f
           : from_middle == 2 ? 0.109360687f
           : from_middle == 3 ? 0.0360007733f
           : from_middle == 4 ? 0.00759875821f
                              : 0.00102838012f;
}

// Two rows of this lane's column of blurred maps, from maps that are blurred along the rows.
template <int MAPS>
__device__ __forceinline__ void blur_across(const float (&rows)[MAPS][HIGH][ACROSS], int top, int lane,
                                            float (&out)[2][MAPS]) {
#pragma unroll
    for (int m = 0; m < MAPS; ++m) {
        out[0][m] = out[1][m] = 0.0f;
#pragma unroll
        for (int tap = 0; tap <= TAPS; ++tap) {
            const float value = rows[m][top + tap][lane];
            if (tap < TAPS) out[0][m] += window(tap) * value;
            if (tap > 0) out[1][m] += window(tap - 1) * value;
        }
    }
}

extern "C" __global__ void __launch_bounds__(256)
    compare_pictures(const float* __restrict__ image,   // (H, W, 3)
                     const float* __restrict__ target,  // (H, W, 3)
                     float* __restrict__ slopes,  // (3, H, W, 3) of the mean similarity by E[x], E[x^2] and E[x y]
                     float* __restrict__ costs,   // of each block
                     int H, int W,
                     float per_l1, float per_dssim) {  // weights over the number of values
    __shared__ float x[HIGH][WIDE], y[HIGH][WIDE], moments[5][HIGH][ACROSS];
    const int left = int(blockIdx.x) * ACROSS, top = int(blockIdx.y) * DOWN;
    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
    float cost = 0.0f;
    for (int channel = 0; channel < 3; ++channel) {
        for (int k = int(threadIdx.x); k < HIGH * WIDE; k += 256) {
            const int row = k / WIDE, column = k % WIDE, v = top + row - REACH, u = left + column - REACH;
            const bool inside = v >= 0 && v < H && u >= 0 && u < W;
            const int at = (v * W + u) * 3 + channel;
            x[row][column] = inside ? __ldg(image + at) : 0.0f;
            y[row][column] = inside ? __ldg(target + at) : 0.0f;
        }
        __syncthreads();
        for (int row = warp; row < HIGH; row += 8) {
            float mx = 0.0f, my = 0.0f, xx = 0.0f, yy = 0.0f, xy = 0.0f;
#pragma unroll
            for (int tap = 0; tap < TAPS; ++tap) {
                const float a = x[row][lane + tap], b = y[row][lane + tap], w = window(tap);
                mx += w * a, my += w * b;
                xx += w * a * a, yy += w * b * b, xy += w * a * b;
            }
            moments[0][row][lane] = mx, moments[1][row][lane] = my, moments[2][row][lane] = xx;
            moments[3][row][lane] = yy, moments[4][row][lane] = xy;
        }
        float apart[2];
#pragma unroll
        for (int k = 0; k < 2; ++k) {
            const int row = 2 * warp + k + REACH, column = lane + REACH;
            apart[k] = fabsf(x[row][column] - y[row][column]);
        }
        __syncthreads();  // after which the pictures may be overwritten
        float blurred[2][5];
        blur_across<5>(moments, 2 * warp, lane, blurred);
#pragma unroll
        for (int k = 0; k < 2; ++k) {
            const int v = top + 2 * warp + k, u = left + lane;
            if (v >= H || u >= W) continue;
            const float mx = blurred[k][0], my = blurred[k][1];
            const float a1 = 2.0f * mx * my + C1, a2 = 2.0f * (blurred[k][4] - mx * my) + C2;
            const float b1 = mx * mx + my * my + C1;
            const float b2 = blurred[k][2] - mx * mx + blurred[k][3] - my * my + C2;
            const float b = 1.0f / (b1 * b2), s = a1 * a2 * b;
            cost += per_l1 * apart[k] + per_dssim * (1.0f - s);
#if WITH_SLOPES
            const float by_xy = 2.0f * a1 * b, by_xx = -s / b2;
            const int at = (v * W + u) * 3 + channel, map = H * W * 3;
            slopes[at] = 2.0f * my * a2 * b - 2.0f * mx * s / b1 - 2.0f * mx * by_xx - my * by_xy;
            slopes[at + map] = by_xx;
            slopes[at + 2 * map] = by_xy;
#endif
        }
    }
    cost = block_sum(cost);
    if (threadIdx.x == 0) costs[blockIdx.y * gridDim.x + blockIdx.x] = cost;
}

extern "C" __global__ void __launch_bounds__(256)
    compare_pictures_backward(const float* __restrict__ image, const float* __restrict__ target,
                              const float* __restrict__ slopes,
                              const float* __restrict__ v_cost,  // one value
                              float* __restrict__ v_image, int H, int W, float per_l1, float per_dssim) {
    __shared__ float maps[3][HIGH][WIDE], rows[3][HIGH][ACROSS];
    const int left = int(blockIdx.x) * ACROSS, top = int(blockIdx.y) * DOWN;
    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
    const float v_total = __ldg(v_cost);
    for (int channel = 0; channel < 3; ++channel) {
        for (int k = int(threadIdx.x); k < HIGH * WIDE; k += 256) {
            const int row = k / WIDE, column = k % WIDE, v = top + row - REACH, u = left + column - REACH;
            const bool inside = v >= 0 && v < H && u >= 0 && u < W;
            const int at = (v * W + u) * 3 + channel;
#pragma unroll
            for (int m = 0; m < 3; ++m) maps[m][row][column] = inside ? __ldg(slopes + at + m * H * W * 3) : 0.0f;
        }
        __syncthreads();
        for (int row = warp; row < HIGH; row += 8) {
#pragma unroll
            for (int m = 0; m < 3; ++m) {
                float sum = 0.0f;
#pragma unroll
                for (int tap = 0; tap < TAPS; ++tap) sum += window(tap) * maps[m][row][lane + tap];
                rows[m][row][lane] = sum;
            }
        }
        __syncthreads();
        float blurred[2][3];
        blur_across<3>(rows, 2 * warp, lane, blurred);
#pragma unroll
        for (int k = 0; k < 2; ++k) {
            const int v = top + 2 * warp + k, u = left + lane;
            if (v >= H || u >= W) continue;
            const int at = (v * W + u) * 3 + channel;
            const float a = __ldg(image + at), b = __ldg(target + at);
            const float side = a > b ? 1.0f : a < b ? -1.0f : 0.0f;
            const float similar = blurred[k][0] + 2.0f * a * blurred[k][1] + b * blurred[k][2];
            v_image[at] = v_total * (per_l1 * side - per_dssim * similar);
        }
    }
}
