// Where samples lie along rays (renderer/field/march.py and space.py), and their weights by bins of depth (draw.py).

constexpr int WARPS = 4;  // of a block of `resample` and `spread`, each with one ray
constexpr int MOST = 1024;  // intervals of a ray that is searched in

// (R, n + 1) edges from 0 to 1, the inner ones moved by (noise - 0.5) intervals; `noise` in [0, 1).
__device__ __forceinline__ float edge_of(int k, int n, float noise) {
    const float shift = k == 0 || k == n ? 0.0f : noise - 0.5f;
    return (float(k) + shift) / float(n);
}

extern "C" __global__ void __launch_bounds__(256) stratify(
    const float* __restrict__ noise, float* __restrict__ edges, int R, int n
) {
    const int at = thread_index();
    if (at < R * (n + 1)) edges[at] = edge_of(at % (n + 1), n, noise[at]);
}

// Edges (R, n + 1) of intervals with equal shares of the weight of `edges` (R, P + 1), `weights` (R, P), P <= MOST; an
// even share `uniform` of it lies everywhere. `noise` (R, n + 1) as above, or null for none.
extern "C" __global__ void __launch_bounds__(128) resample(
    const float* __restrict__ edges, const float* __restrict__ weights, const float* __restrict__ noise,
    float* __restrict__ out, float uniform, int R, int P, int n
) {
    __shared__ float shared[WARPS][MOST + 1];
    const int ray = ray_index(), lane = lane_index();
    if (ray >= R) return;
    float* const mass = shared[warp_index()];  // in front of each edge
    const float* const e = edges + ray * (P + 1);
    const float* const w = weights + ray * P;

    float total = 0.0f;
    for (int i = lane; i < P; i += 32) total += w[i];
    const float share = (1.0f - uniform) / fmaxf(warp_sum(total), 1e-8f);
    float whole = 0.0f;
    for (int start = 0; start < P; start += 32) {
        const int i = start + lane;
        const float up_to = whole + sum_up_to(i < P ? w[i] * share + uniform * (e[i + 1] - e[i]) : 0.0f);
        if (i < P) mass[i + 1] = up_to;
        whole = __shfl_sync(ALL_LANES, up_to, 31);
    }
    if (lane == 0) mass[0] = 0.0f;
    __syncwarp();
    for (int i = lane; i <= P; i += 32) mass[i] /= whole;
    __syncwarp();

    for (int k = lane; k <= n; k += 32) {
        const float u = edge_of(k, n, noise ? noise[ray * (n + 1) + k] : 0.5f);
        const int upper = min(max(count_up_to(mass, P + 1, u), 1), P);
        const float m0 = mass[upper - 1], m1 = mass[upper], e0 = e[upper - 1], e1 = e[upper];
        out[ray * (n + 1) + k] = e0 + (e1 - e0) * __saturatef((u - m0) / fmaxf(m1 - m0, 1e-8f));
    }
}

// ------------------------------------------------------------------------------------------------ the cube

// A folding of the world (renderer/field/space.py). `disparity`: of the near depth; `range`: less that of the far one.
// `nearest`: depth at which normalised device coordinates stop.
struct Space {
    float m[12];  // world to local, row by row
    float3 half;
    float disparity, range, nearest;
    int contracts;
};

__device__ __forceinline__ float depth_of(const Space& space, float s) {
    return 1.0f / (space.disparity - s * space.range);
}

__device__ __forceinline__ float3 local_of(const Space& space, float3 p) {
    const float* const m = space.m;
    return make_float3(
        m[0] * p.x + m[1] * p.y + m[2] * p.z + m[3], m[4] * p.x + m[5] * p.y + m[6] * p.z + m[7],
        m[8] * p.x + m[9] * p.y + m[10] * p.z + m[11]
    );
}

__device__ __forceinline__ float3 fold(const Space& space, float3 p) {
    const float3 q = local_of(space, p), h = space.half;
    if (!space.contracts) {
        const float z = fmaxf(q.z, space.nearest);
        const float s = (space.disparity - 1.0f / z) / space.range;
        return make_float3(q.x / (z * h.x), q.y / (z * h.y), 2.0f * s - 1.0f);
    }
    const float x = q.x / h.x, y = q.y / h.y, z = q.z / h.z;
    const float length = sqrtf(x * x + y * y + z * z);
    const float factor = length > 1.0f ? 0.5f * (2.0f - 1.0f / length) / length : 0.5f;
    return make_float3(factor * x, factor * y, factor * z);
}

// dL/dp from dL/d(fold of p).
__device__ __forceinline__ float3 fold_backward(const Space& space, float3 p, float3 v) {
    const float3 q = local_of(space, p), h = space.half;
    float3 v_q;
    if (!space.contracts) {
        const float z = fmaxf(q.z, space.nearest), inverse = 1.0f / z;
        v_q.x = v.x * inverse / h.x;
        v_q.y = v.y * inverse / h.y;
        const float along = 2.0f * v.z * inverse * inverse / space.range;
        v_q.z = q.z >= space.nearest ? along - (v_q.x * q.x + v_q.y * q.y) * inverse : 0.0f;
    } else {
        const float x = q.x / h.x, y = q.y / h.y, z = q.z / h.z;
        const float length = sqrtf(x * x + y * y + z * z);
        float factor = 0.5f, radial = 0.0f;
        if (length > 1.0f) {
            const float inverse = 1.0f / length;
            factor = 0.5f * (2.0f - inverse) * inverse;
            radial = (inverse - 1.0f) * inverse * inverse * inverse * (v.x * x + v.y * y + v.z * z);
        }
        v_q = make_float3((factor * v.x + radial * x) / h.x, (factor * v.y + radial * y) / h.y,
                          (factor * v.z + radial * z) / h.z);
    }
    const float* const m = space.m;
    return make_float3(
        m[0] * v_q.x + m[4] * v_q.y + m[8] * v_q.z, m[1] * v_q.x + m[5] * v_q.y + m[9] * v_q.z,
        m[2] * v_q.x + m[6] * v_q.y + m[10] * v_q.z
    );
}

__device__ __forceinline__ float3 point_at(const float* __restrict__ o, const float* __restrict__ d, float depth) {
    return make_float3(o[0] + depth * d[0], o[1] + depth * d[1], o[2] + depth * d[2]);
}

// The middles of intervals and where they are. `origins`, `directions`: (R, 3); `edges`: (R, S + 1); `s`, `depths`,
// `deltas`: (R, S); `places`: (R, S, 3). The last interval has the length `last`.
extern "C" __global__ void __launch_bounds__(128) place(
    const float* __restrict__ origins, const float* __restrict__ directions, const float* __restrict__ edges,
    float* __restrict__ s, float* __restrict__ depths, float* __restrict__ places, float* __restrict__ deltas,
    float last, int R, int S, int contracts, float disparity, float range, float nearest, float half_x, float half_y,
    float half_z, float m0, float m1, float m2, float m3, float m4, float m5, float m6, float m7, float m8, float m9,
    float m10, float m11
) {
    const int at = thread_index();
    if (at >= R * S) return;
    const Space space = {
        {m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11}, make_float3(half_x, half_y, half_z), disparity, range,
        nearest, contracts
    };
    const int ray = at / S, i = at - ray * S;
    const float* const e = edges + ray * (S + 1) + i;
    const float* const o = origins + 3 * ray;
    const float* const d = directions + 3 * ray;
    const float middle = 0.5f * (e[1] + e[0]), depth = depth_of(space, middle);
    const float3 p = fold(space, point_at(o, d, depth));
    s[at] = middle;
    depths[at] = depth;
    places[3 * at] = p.x;
    places[3 * at + 1] = p.y;
    places[3 * at + 2] = p.z;
    float delta = last;
    if (i + 1 < S) {
        const float3 next = fold(space, point_at(o, d, depth_of(space, 0.5f * (e[2] + e[1]))));
        const float x = next.x - p.x, y = next.y - p.y, z = next.z - p.z;
        delta = sqrtf(x * x + y * y + z * z);
    }
    deltas[at] = delta;
}

// Gradients of the rays; edges, and with them depths, get none.
extern "C" __global__ void __launch_bounds__(128) place_backward(
    const float* __restrict__ origins, const float* __restrict__ directions, const float* __restrict__ depths,
    const float* __restrict__ v_places, float* __restrict__ v_origins, float* __restrict__ v_directions, int R, int S,
    int contracts, float disparity, float range, float nearest, float half_x, float half_y, float half_z, float m0,
    float m1, float m2, float m3, float m4, float m5, float m6, float m7, float m8, float m9, float m10, float m11
) {
    const int ray = ray_index(), lane = lane_index();
    if (ray >= R) return;
    const Space space = {
        {m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11}, make_float3(half_x, half_y, half_z), disparity, range,
        nearest, contracts
    };
    const float* const o = origins + 3 * ray;
    const float* const d = directions + 3 * ray;
    float v_o[3] = {0.0f, 0.0f, 0.0f}, v_d[3] = {0.0f, 0.0f, 0.0f};
    for (int i = lane; i < S; i += 32) {
        const int at = ray * S + i;
        const float depth = depths[at];
        const float3 v = make_float3(v_places[3 * at], v_places[3 * at + 1], v_places[3 * at + 2]);
        const float3 v_point = fold_backward(space, point_at(o, d, depth), v);
        v_o[0] += v_point.x;
        v_o[1] += v_point.y;
        v_o[2] += v_point.z;
        v_d[0] += depth * v_point.x;
        v_d[1] += depth * v_point.y;
        v_d[2] += depth * v_point.z;
    }
#pragma unroll
    for (int c = 0; c < 3; ++c) {
        const float of_origin = warp_sum(v_o[c]), of_direction = warp_sum(v_d[c]);
        if (lane == 0) {
            v_origins[3 * ray + c] = of_origin;
            v_directions[3 * ray + c] = of_direction;
        }
    }
}

// ------------------------------------------------------------------------------------------------ histograms

// (R, B) weights per bin of `bins` (B + 1,), of weights (R, S) spread evenly over the intervals of `edges` (R, S + 1),
// S <= MOST: differences of the cumulative weight, read at the bins' inner edges.
extern "C" __global__ void __launch_bounds__(128) spread(
    const float* __restrict__ weights, const float* __restrict__ edges, const float* __restrict__ bins,
    float* __restrict__ out, int R, int S, int B
) {
    __shared__ float shared[WARPS][MOST + 1];
    const int ray = ray_index(), lane = lane_index();
    if (ray >= R) return;
    float* const mass = shared[warp_index()];
    const float* const e = edges + ray * (S + 1);
    float whole = 0.0f;
    for (int start = 0; start < S; start += 32) {
        const int i = start + lane;
        const float up_to = whole + sum_up_to(i < S ? weights[ray * S + i] : 0.0f);
        if (i < S) mass[i + 1] = up_to;
        whole = __shfl_sync(ALL_LANES, up_to, 31);
    }
    if (lane == 0) mass[0] = 0.0f;
    __syncwarp();

    float before = 0.0f;  // in front of the chunk's first bin
    for (int start = 0; start < B; start += 32) {
        const int b = start + lane;  // the bin that ends at the edge b + 1
        float up_to = whole;
        if (b + 1 < B) {
            const float x = bins[b + 1];
            const int upper = min(max(count_up_to(e, S + 1, x), 1), S);
            const float m0 = mass[upper - 1], m1 = mass[upper], e0 = e[upper - 1], e1 = e[upper];
            up_to = m0 + (m1 - m0) * __saturatef((x - e0) / fmaxf(e1 - e0, 1e-12f));
        }
        float front = __shfl_up_sync(ALL_LANES, up_to, 1);
        if (lane == 0) front = before;
        if (b < B) out[ray * B + b] = up_to - front;
        before = __shfl_sync(ALL_LANES, up_to, 31);
    }
}
