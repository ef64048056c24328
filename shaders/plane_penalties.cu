// What keeps feature planes smooth and close to one, over all planes at once, and its gradient.
//
// The penalty of a plane with values p[j][i] is a sum of squared differences of neighbours along i, of those along j, of
// squared second differences along j, and of |1 - p|, each with a weight. `table`: (Q, 3) a plane's first value, and how
// many nodes along i and j; `weights`: (Q, 4) in the order above. Blocks: x through a plane's values, y the planes.

struct Sheet {
    int first, row, count;  // values: before the plane, of a row, of the plane
    float along_i, along_j, bend, to_one;
};

__device__ __forceinline__ Sheet sheet_of(const int* __restrict__ table, const float* __restrict__ weights, int C) {
    const int q = int(blockIdx.y), row = table[3 * q + 1] * C;
    return Sheet{table[3 * q],       row, row * table[3 * q + 2], weights[4 * q], weights[4 * q + 1], weights[4 * q + 2],
                 weights[4 * q + 3]};
}

__device__ __forceinline__ bool idle(const Sheet& s) {
    return s.along_i == 0.0f && s.along_j == 0.0f && s.bend == 0.0f && s.to_one == 0.0f;
}

// The second difference along j around value k, 0 where it has no two neighbours.
__device__ __forceinline__ float bend_at(const float* __restrict__ p, const Sheet& s, int k) {
    if (k - s.row < 0 || k + s.row >= s.count) return 0.0f;
    return (p[k - s.row] - p[k]) - (p[k] - p[k + s.row]);
}

extern "C" __global__ void __launch_bounds__(256)
    plane_penalties(const float* __restrict__ values,  // (V, C)
                    const int* __restrict__ table, const float* __restrict__ weights,
                    float* __restrict__ costs,  // of each block
                    int C) {
    const Sheet s = sheet_of(table, weights, C);
    const float* p = values + s.first;
    float cost = 0.0f;
    const int stride = int(gridDim.x) * 256;
    for (int k = idle(s) ? s.count : thread_index(); k < s.count; k += stride) {
        const float here = p[k];
        if (s.along_i != 0.0f && k % s.row + C < s.row) cost += s.along_i * (p[k + C] - here) * (p[k + C] - here);
        if (s.along_j != 0.0f && k + s.row < s.count) cost += s.along_j * (p[k + s.row] - here) * (p[k + s.row] - here);
        if (s.bend != 0.0f) {
            const float bend = bend_at(p, s, k);
            cost += s.bend * bend * bend;
        }
        cost += s.to_one * fabsf(1.0f - here);
    }
    cost = block_sum(cost);
    if (threadIdx.x == 0) costs[blockIdx.y * gridDim.x + blockIdx.x] = cost;
}

extern "C" __global__ void __launch_bounds__(256)
    plane_penalties_backward(const float* __restrict__ values, const int* __restrict__ table,
                             const float* __restrict__ weights,
                             const float* __restrict__ v_cost,  // one value
                             float* __restrict__ v_values, int C) {
    const Sheet s = sheet_of(table, weights, C);
    const float* p = values + s.first;
    const float v = __ldg(v_cost);
    const bool none = idle(s);
    const int stride = int(gridDim.x) * 256;
    for (int k = thread_index(); k < s.count; k += stride) {
        float slope = 0.0f;
        if (!none) {
            const float here = p[k];
            if (s.along_i != 0.0f) {
                const int column = k % s.row;
                if (column >= C) slope += 2.0f * s.along_i * (here - p[k - C]);
                if (column + C < s.row) slope -= 2.0f * s.along_i * (p[k + C] - here);
            }
            if (s.along_j != 0.0f) {
                if (k >= s.row) slope += 2.0f * s.along_j * (here - p[k - s.row]);
                if (k + s.row < s.count) slope -= 2.0f * s.along_j * (p[k + s.row] - here);
            }
            if (s.bend != 0.0f) {
                const float around = bend_at(p, s, k - s.row) + bend_at(p, s, k + s.row);
                slope += 2.0f * s.bend * (around - 2.0f * bend_at(p, s, k));
            }
            slope += here > 1.0f ? s.to_one : here < 1.0f ? -s.to_one : 0.0f;
        }
        v_values[s.first + k] = v * slope;
    }
}
