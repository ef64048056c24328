// Looking feature planes up, and the way back: every plane, group and level of a point in one go.
//
// Switches: CHANNELS of a plane; WIDTH, the channels of one thread, 4 or 1; GROUP, the most planes that a slot of the
// output multiplies; WITH_VALUES, WITH_COORDINATES: which gradients are wanted. Neighbouring lanes have neighbouring
// channels of one point, so that a plane is read and written by whole sectors. `table`: one row of 8 numbers for each
// plane, see Plane; the planes of a slot follow each other.

constexpr int NEEDED = (CHANNELS + WIDTH - 1) / WIDTH;
constexpr int LANES =  // of one point: a power of two, so that its sums stay within a warp
    NEEDED <= 1 ? 1 : NEEDED <= 2 ? 2 : NEEDED <= 4 ? 4 : NEEDED <= 8 ? 8 : NEEDED <= 16 ? 16 : 32;
constexpr int AXES = 5;

struct Plane {
    int first;       // node in `values`
    int i, j;        // axes
    int N_i, N_j;    // nodes along them
    int slot;        // of the output
    int line;        // the first node in `lines` of a plane that is cut at a common coordinate, or -1
    int companions;  // planes of its slot
};

__device__ __forceinline__ Plane plane_of(const int* __restrict__ table, int q) {
    const int4 a = reinterpret_cast<const int4*>(table)[2 * q], b = reinterpret_cast<const int4*>(table)[2 * q + 1];
    return Plane{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
}

struct Place {
    int node;      // the lower one
    float weight;  // of the upper one
    float slope;   // of the weight, zero outside [-1, 1]
};

__device__ __forceinline__ Place place_of(float u, int nodes) {
    const float last = float(nodes - 1), x = (u + 1.0f) * 0.5f * last, inside = fminf(fmaxf(x, 0.0f), last);
    const int node = min(int(inside), max(nodes - 2, 0));
    return Place{node, inside - float(node), x >= 0.0f && x <= last ? 0.5f * last : 0.0f};
}

struct Pack {
    float at[WIDTH];
};

__device__ __forceinline__ Pack filled(float x) {
    Pack pack;
#pragma unroll
    for (int k = 0; k < WIDTH; ++k) pack.at[k] = x;
    return pack;
}

__device__ __forceinline__ Pack load(const float* __restrict__ from) {
    Pack pack;
#if WIDTH == 4
    const float4 x = __ldg(reinterpret_cast<const float4*>(from));
    pack.at[0] = x.x, pack.at[1] = x.y, pack.at[2] = x.z, pack.at[3] = x.w;
#else
    pack.at[0] = __ldg(from);
#endif
    return pack;
}

__device__ __forceinline__ void store(float* to, const Pack& pack) {
#if WIDTH == 4
    *reinterpret_cast<float4*>(to) = make_float4(pack.at[0], pack.at[1], pack.at[2], pack.at[3]);
#else
    *to = pack.at[0];
#endif
}

// Add weight times v; a corner without weight may lie beyond the plane's last node, or be the other corner.
__device__ __forceinline__ void scatter(float* to, float weight, const Pack& v) {
    if (weight == 0.0f) return;
#if WIDTH == 4 && defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    atomicAdd(reinterpret_cast<float4*>(to),
              make_float4(weight * v.at[0], weight * v.at[1], weight * v.at[2], weight * v.at[3]));
#else
#pragma unroll
    for (int k = 0; k < WIDTH; ++k) atomicAdd(to + k, weight * v.at[k]);
#endif
}

// What a plane says at a point: the corner with the lower nodes, and how far the others are.
struct Corner {
    Place x, y;
    int offset, right, down;  // in values
};

__device__ __forceinline__ Corner corner_of(const Plane& plane, const float* __restrict__ point) {
    Corner corner;
    corner.x = place_of(__ldg(point + plane.i), plane.N_i);
    corner.right = plane.N_i > 1 ? CHANNELS : 0;
    if (plane.line >= 0) {
        corner.y = Place{0, 0.0f, 0.0f};
        corner.down = 0;
        corner.offset = (plane.line + corner.x.node) * CHANNELS;
    } else {
        corner.y = place_of(__ldg(point + plane.j), plane.N_j);
        corner.down = plane.N_j > 1 ? plane.N_i * CHANNELS : 0;
        corner.offset = (plane.first + corner.y.node * plane.N_i + corner.x.node) * CHANNELS;
    }
    return corner;
}

// The feature of a plane, and where asked its slopes along the axes.
template <bool SLOPES>
__device__ __forceinline__ Pack feature_of(const Corner& corner, const float* __restrict__ from, Pack& along_x,
                                           Pack& along_y) {
    const Pack p00 = load(from), p01 = load(from + corner.right);
    Pack p10 = p00, p11 = p01, feature;
    if (corner.down > 0) {
        p10 = load(from + corner.down);
        p11 = load(from + corner.down + corner.right);
    }
#pragma unroll
    for (int k = 0; k < WIDTH; ++k) {
        const float above = p01.at[k] - p00.at[k], below = p11.at[k] - p10.at[k];
        const float top = p00.at[k] + corner.x.weight * above, bottom = p10.at[k] + corner.x.weight * below;
        feature.at[k] = top + corner.y.weight * (bottom - top);
        if (SLOPES) {
            along_x.at[k] = corner.x.slope * (above + corner.y.weight * (below - above));
            along_y.at[k] = corner.y.slope * (bottom - top);
        }
    }
    return feature;
}

// The planes of common axes, cut to lines (L, C) at the common coordinates: a block row for each plane. `own`: how many
// axes are not common.
extern "C" __global__ void __launch_bounds__(256)
    cut_planes(const float* __restrict__ values,  // (V, C)
               const int* __restrict__ table, float* __restrict__ lines, int own, float u0, float u1, float u2,
               float u3) {
    const Plane plane = plane_of(table, int(blockIdx.y));
    const int k = thread_index();
    if (plane.line < 0 || k >= plane.N_i * CHANNELS) return;
    const int common = plane.j - own;
    const Place y = place_of(common == 0 ? u0 : common == 1 ? u1 : common == 2 ? u2 : u3, plane.N_j);
    const int row = plane.N_i * CHANNELS, lower = (plane.first + y.node * plane.N_i) * CHANNELS + k;
    const float a = values[lower], b = values[plane.N_j > 1 ? lower + row : lower];
    lines[plane.line * CHANNELS + k] = a + y.weight * (b - a);
}

// The way back: each node of a cut plane gets its gradient from one line and from nothing else.
extern "C" __global__ void __launch_bounds__(256)
    cut_planes_backward(const float* __restrict__ v_lines, const int* __restrict__ table, float* __restrict__ v_values,
                        int own, float u0, float u1, float u2, float u3) {
    const Plane plane = plane_of(table, int(blockIdx.y));
    const int k = thread_index();
    if (plane.line < 0 || k >= plane.N_i * CHANNELS) return;
    const int common = plane.j - own;
    const Place y = place_of(common == 0 ? u0 : common == 1 ? u1 : common == 2 ? u2 : u3, plane.N_j);
    const int row = plane.N_i * CHANNELS, lower = (plane.first + y.node * plane.N_i) * CHANNELS + k;
    const float v = v_lines[plane.line * CHANNELS + k];
    v_values[lower] = (1.0f - y.weight) * v;
    if (plane.N_j > 1) v_values[lower + row] = y.weight * v;
}

extern "C" __global__ void __launch_bounds__(256)
    look_planes_up(const float* __restrict__ values,       // (V, C)
                   const float* __restrict__ lines,        // (L, C)
                   const int* __restrict__ table,          // (Q, 8)
                   const float* __restrict__ coordinates,  // (N, D) in [-1, 1]
                   float* __restrict__ out,                // (N, slots, C)
                   int N, int D, int Q, int slots) {
    const int n = thread_index() / LANES, lane = int(threadIdx.x) % LANES;
    if (n >= N) return;
    const float* point = coordinates + (long long)n * D;
    for (int c = lane * WIDTH; c < CHANNELS; c += LANES * WIDTH) {
        float* to = out + (long long)n * slots * CHANNELS + c;
        Pack product = filled(1.0f), unused;
        int slot = 0;
        for (int q = 0; q < Q; ++q) {
            const Plane plane = plane_of(table, q);
            if (plane.slot != slot) {
                store(to + slot * CHANNELS, product);
                product = filled(1.0f);
                slot = plane.slot;
            }
            const Corner corner = corner_of(plane, point);
            const Pack feature =
                feature_of<false>(corner, (plane.line < 0 ? values : lines) + corner.offset + c, unused, unused);
#pragma unroll
            for (int k = 0; k < WIDTH; ++k) product.at[k] *= feature.at[k];
        }
        store(to + slot * CHANNELS, product);
    }
}

extern "C" __global__ void __launch_bounds__(256)
    look_planes_up_backward(const float* __restrict__ values, const float* __restrict__ lines,
                            const int* __restrict__ table, const float* __restrict__ coordinates,
                            const float* __restrict__ v_out,    // (N, slots, C)
                            float* __restrict__ v_values,       // (V, C), zeros
                            float* __restrict__ v_lines,        // (L, C), zeros
                            float* __restrict__ v_coordinates,  // (N, D)
                            int N, int D, int Q, int slots) {
    const int n = thread_index() / LANES, lane = int(threadIdx.x) % LANES;
    const bool inside = n < N;  // the others stay, for the sums over lanes
    const float* point = coordinates + (long long)n * D;
    float v_point[AXES] = {};
    for (int c = lane * WIDTH; inside && c < CHANNELS; c += LANES * WIDTH) {
        const float* v = v_out + (long long)n * slots * CHANNELS + c;
        for (int start = 0; start < Q;) {
            const Plane head = plane_of(table, start);
            Pack before[GROUP];  // the product of the planes before each in its slot
            Pack product = filled(1.0f), along_x, along_y;
#pragma unroll
            for (int g = 0; g < GROUP; ++g) {
                if (g >= head.companions) continue;
                before[g] = product;
                const Plane plane = plane_of(table, start + g);
                const Corner corner = corner_of(plane, point);
                const Pack feature = feature_of<false>(
                    corner, (plane.line < 0 ? values : lines) + corner.offset + c, along_x, along_y);
#pragma unroll
                for (int k = 0; k < WIDTH; ++k) product.at[k] *= feature.at[k];
            }
            Pack running = load(v + head.slot * CHANNELS);  // times the planes after it
#pragma unroll
            for (int g = GROUP - 1; g >= 0; --g) {
                if (g >= head.companions) continue;
                const Plane plane = plane_of(table, start + g);
                const Corner corner = corner_of(plane, point);
                const Pack feature = feature_of<true>(
                    corner, (plane.line < 0 ? values : lines) + corner.offset + c, along_x, along_y);
                Pack v_feature;
                float dx = 0.0f, dy = 0.0f;
#pragma unroll
                for (int k = 0; k < WIDTH; ++k) {
                    v_feature.at[k] = before[g].at[k] * running.at[k];
                    running.at[k] *= feature.at[k];
                    dx += v_feature.at[k] * along_x.at[k];
                    dy += v_feature.at[k] * along_y.at[k];
                }
#if WITH_COORDINATES
#pragma unroll
                for (int axis = 0; axis < AXES; ++axis)
                    v_point[axis] += (axis == plane.i ? dx : 0.0f) + (axis == plane.j ? dy : 0.0f);
#endif
#if WITH_VALUES
                float* to = (plane.line < 0 ? v_values : v_lines) + corner.offset + c;
                const float left = 1.0f - corner.x.weight, up = 1.0f - corner.y.weight;
                scatter(to, up * left, v_feature);
                scatter(to + corner.right, up * corner.x.weight, v_feature);
                scatter(to + corner.down, corner.y.weight * left, v_feature);
                scatter(to + corner.down + corner.right, corner.y.weight * corner.x.weight, v_feature);
#endif
            }
            start += head.companions;
        }
    }
#if WITH_COORDINATES
#pragma unroll
    for (int axis = 0; axis < AXES; ++axis) {
        float sum = v_point[axis];
#pragma unroll
        for (int step = LANES / 2; step > 0; step /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, step);
        if (inside && lane == 0 && axis < D) v_coordinates[(long long)n * D + axis] = sum;
    }
#endif
}
