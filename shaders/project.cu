// Gaussians in space to ellipses on the screen by the local affine approximation (Zwicker 2001, eq. 26-31), and the way
// back of their gradients: the equations of renderer/splat/reference.py. Needs common.cu and tiles_common.cu.

constexpr int CULLED = 0x7fffffff;  // the key of what is not drawn

// A pinhole camera; R and T from the world to its axes.
struct Pinhole {
    float R[3][3], T[3];
    float fx, fy, cx, cy, near;
    int width, height;
};

// pose: (4, 4). intrinsics: fx, fy, cx, cy, or null where the four numbers say them.
__device__ Pinhole pinhole_at(
    const float* pose, const float* intrinsics, float fx, float fy, float cx, float cy, float near, int width,
    int height
) {
    Pinhole camera;
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++) camera.R[a][b] = __ldg(pose + 4 * a + b);
        camera.T[a] = __ldg(pose + 4 * a + 3);
    }
    camera.fx = intrinsics ? __ldg(intrinsics) : fx;
    camera.fy = intrinsics ? __ldg(intrinsics + 1) : fy;
    camera.cx = intrinsics ? __ldg(intrinsics + 2) : cx;
    camera.cy = intrinsics ? __ldg(intrinsics + 3) : cy;
    camera.near = near;
    camera.width = width;
    camera.height = height;
    return camera;
}

__device__ __forceinline__ float depth_of(const Pinhole& camera, const float mean[3]) {
    return camera.R[2][0] * mean[0] + camera.R[2][1] * mean[1] + camera.R[2][2] * mean[2] + camera.T[2];
}

// A Gaussian as the camera sees it. x, y, z: mean, camera axes. u, v: x / z and y / z, kept near the image where it is
// linearised; free_u, free_v: whether they had to be left as they are. p, q: rows of J R. a, b, c: screen covariance.
struct Ellipse {
    float x, y, z, u, v;
    bool free_u, free_v;
    float p[3], q[3], a, b, c;
};

// S w for a packed symmetric S.
__device__ __forceinline__ void times(const float S[6], const float w[3], float result[3]) {
    result[0] = S[0] * w[0] + S[1] * w[1] + S[2] * w[2];
    result[1] = S[1] * w[0] + S[3] * w[1] + S[4] * w[2];
    result[2] = S[2] * w[0] + S[4] * w[1] + S[5] * w[2];
}

__device__ __forceinline__ float dot(const float a[3], const float b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

__device__ Ellipse ellipse_of(const Pinhole& camera, const float mean[3], const float covariance[6]) {
    Ellipse e;
    e.x = dot(camera.R[0], mean) + camera.T[0];
    e.y = dot(camera.R[1], mean) + camera.T[1];
    e.z = depth_of(camera, mean);
    const float margin_x = FRUSTUM_MARGIN * camera.width, margin_y = FRUSTUM_MARGIN * camera.height;
    const float u = e.x / e.z, v = e.y / e.z;
    e.u = fminf(fmaxf(u, (-camera.cx - margin_x) / camera.fx), (camera.width - camera.cx + margin_x) / camera.fx);
    e.v = fminf(fmaxf(v, (-camera.cy - margin_y) / camera.fy), (camera.height - camera.cy + margin_y) / camera.fy);
    e.free_u = e.u == u;
    e.free_v = e.v == v;
    const float scale_x = camera.fx / e.z, scale_y = camera.fy / e.z;
#pragma unroll
    for (int k = 0; k < 3; k++) {
        e.p[k] = scale_x * (camera.R[0][k] - e.u * camera.R[2][k]);
        e.q[k] = scale_y * (camera.R[1][k] - e.v * camera.R[2][k]);
    }
    float Sp[3], Sq[3];
    times(covariance, e.p, Sp);
    times(covariance, e.q, Sq);
    e.a = dot(e.p, Sp) + BLUR;
    e.b = dot(e.q, Sp);
    e.c = dot(e.q, Sq) + BLUR;
    return e;
}

// A row of the projected records; what is not drawn is all zeros.
struct Placed {
    float x, y, A, B, C, z, q_max;
    int radius, x0, y0, x1, y1;
};

// Places an ellipse on the screen; false where its box meets no pixel centre. The box is where alpha can reach ALPHA_MIN:
// q = q_max at half extents sqrt(q_max a) and sqrt(q_max c). `offset`: pixels added to the mean.
__device__ bool place(const Pinhole& camera, const Ellipse& e, float opacity, float2 offset, Placed& placed) {
    const float det = e.a * e.c - e.b * e.b;
    if (!(det > 0.0f)) return false;
    const float x = camera.fx * e.x / e.z + camera.cx + offset.x, y = camera.fy * e.y / e.z + camera.cy + offset.y;
    const float q_max = fmaxf(2.0f * logf(opacity / ALPHA_MIN), 0.0f);
    const float reach_x = sqrtf(q_max * e.a), reach_y = sqrtf(q_max * e.c);
    const float last_x = camera.width - 0.5f, last_y = camera.height - 0.5f;
    if (!(x + reach_x >= 0.5f && x - reach_x <= last_x && y + reach_y >= 0.5f && y - reach_y <= last_y)) return false;
    placed.x = x;
    placed.y = y;
    placed.A = e.c / det;
    placed.B = -e.b / det;
    placed.C = e.a / det;
    placed.z = e.z;
    placed.q_max = q_max;
    placed.radius = int(ceilf(fminf(fmaxf(reach_x, reach_y), 1e6f)));
    // Pixel centres within x +- reach, a hundredth of a pixel more against rounding
    placed.x0 = int(fmaxf(x - reach_x - 0.51f, 0.0f)) / TILE;
    placed.y0 = int(fmaxf(y - reach_y - 0.51f, 0.0f)) / TILE;
    placed.x1 = int(fminf(x + reach_x - 0.49f, camera.width - 1.0f)) / TILE + 1;
    placed.y1 = int(fminf(y + reach_y - 0.49f, camera.height - 1.0f)) / TILE + 1;
    return true;
}

// How many tiles this lane's splat touches. A lane goes through at most 32 tiles alone; the warp shares those of larger
// splats, of which few would else hold up everybody. All lanes of a warp come here.
__device__ int touched_tiles(const Placed& placed) {
    const int lane = threadIdx.x & 31, columns = placed.x1 - placed.x0, area = columns * (placed.y1 - placed.y0);
    int count = 0;
    if (area <= 32)
        for (int k = 0; k < area; k++)
            count += touches(placed.x, placed.y, placed.A, placed.B, placed.C, placed.q_max,
                             placed.x0 + k % columns, placed.y0 + k / columns);
    for (unsigned large = __ballot_sync(ALL_LANES, area > 32); large != 0; large &= large - 1) {
        const int from = __ffs(large) - 1;
        const float x = __shfl_sync(ALL_LANES, placed.x, from), y = __shfl_sync(ALL_LANES, placed.y, from);
        const float A = __shfl_sync(ALL_LANES, placed.A, from), B = __shfl_sync(ALL_LANES, placed.B, from);
        const float C = __shfl_sync(ALL_LANES, placed.C, from), q_max = __shfl_sync(ALL_LANES, placed.q_max, from);
        const int x0 = __shfl_sync(ALL_LANES, placed.x0, from), y0 = __shfl_sync(ALL_LANES, placed.y0, from);
        const int wide = __shfl_sync(ALL_LANES, columns, from), tiles = __shfl_sync(ALL_LANES, area, from);
        int found = 0;
        for (int start = 0; start < tiles; start += 32) {
            const int k = start + lane;
            const bool there = k < tiles && touches(x, y, A, B, C, q_max, x0 + k % wide, y0 + k / wide);
            found += __popc(__ballot_sync(ALL_LANES, there));
        }
        if (lane == from) count = found;
    }
    return count;
}

// Writes row i of the five projected tensors. All lanes of a warp come here, with i < n or not.
__device__ void write_placed(
    int i, int n, bool drawn, const Placed& placed, float opacity, const float color[3], float* screen, int* keys,
    int* radii, short* boxes, int* counts
) {
    const int count = touched_tiles(placed);
    if (i >= n) return;
    float4* record = reinterpret_cast<float4*>(screen) + 3 * i;
    record[0] = make_float4(placed.x, placed.y, placed.A, placed.B);
    record[1] = make_float4(placed.C, drawn ? opacity : 0.0f, placed.z, drawn ? color[0] : 0.0f);
    record[2] = make_float4(drawn ? color[1] : 0.0f, drawn ? color[2] : 0.0f, placed.q_max, 0.0f);
    keys[i] = drawn ? __float_as_int(placed.z) : CULLED;
    radii[i] = placed.radius;
    reinterpret_cast<int2*>(boxes)[i] = make_int2(placed.x0 | placed.y0 << 16, placed.x1 | placed.y1 << 16);
    counts[i] = count;
}

// Row i of `screen` or of its gradient.
struct Record {
    float x, y, A, B, C, opacity, z, color[3];
};

__device__ Record read_record(const float* screen, int i) {
    const float4* row = reinterpret_cast<const float4*>(screen) + 3 * i;
    const float4 a = row[0], b = row[1], c = row[2];
    return {a.x, a.y, a.z, a.w, b.x, b.y, b.z, {b.w, c.x, c.y}};
}

constexpr int CAMERA_VALUES = 16;  // the pose's upper three rows, and fx, fy, cx, cy

// Gradients of a mean and its packed covariance from that of their record, v; record: what was written. With WITH_CAMERA
// also those of the camera, in v_camera.
__device__ void place_backward(
    const Pinhole& camera, const float mean[3], const float covariance[6], const Record& record, const Record& v,
    float v_mean[3], float v_covariance[6], float v_camera[CAMERA_VALUES]
) {
    const Ellipse e = ellipse_of(camera, mean, covariance);
    const float A = record.A, B = record.B, C = record.C;
    // d conic = -conic d(covariance) conic, with B one entry that stands for both off-diagonal ones
    const float v_a = -(v.A * A * A + v.B * A * B + v.C * B * B);
    const float v_b = -(2.0f * v.A * A * B + v.B * (A * C + B * B) + 2.0f * v.C * B * C);
    const float v_c = -(v.A * B * B + v.B * B * C + v.C * C * C);

    // a = p S p, b = q S p, c = q S q
    const float *p = e.p, *q = e.q;
    int n = 0;
#pragma unroll
    for (int j = 0; j < 3; j++)
#pragma unroll
        for (int k = j; k < 3; k++) {
            const float both = v_a * p[j] * p[k] + 0.5f * v_b * (p[j] * q[k] + p[k] * q[j]) + v_c * q[j] * q[k];
            v_covariance[n++] = j == k ? both : 2.0f * both;
        }
    float Sp[3], Sq[3], v_p[3], v_q[3];
    times(covariance, p, Sp);
    times(covariance, q, Sq);
#pragma unroll
    for (int k = 0; k < 3; k++) {
        v_p[k] = 2.0f * v_a * Sp[k] + v_b * Sq[k];
        v_q[k] = 2.0f * v_c * Sq[k] + v_b * Sp[k];
    }

    // p = fx / z (R[0] - u R[2]), q = fy / z (R[1] - v R[2])
    const float scale_x = camera.fx / e.z, scale_y = camera.fy / e.z;
    const float v_u = -scale_x * dot(v_p, camera.R[2]), v_v = -scale_y * dot(v_q, camera.R[2]);
    const float along_p = dot(v_p, p), along_q = dot(v_q, q);
    float v_x = v.x * scale_x, v_y = v.y * scale_y;
    float v_z = v.z - (along_p + along_q + v_x * e.x + v_y * e.y) / e.z;
    if (e.free_u) {  // u = x / z
        v_x += v_u / e.z;
        v_z -= v_u * e.u / e.z;
    }
    if (e.free_v) {
        v_y += v_v / e.z;
        v_z -= v_v * e.v / e.z;
    }
#pragma unroll
    for (int k = 0; k < 3; k++) v_mean[k] = camera.R[0][k] * v_x + camera.R[1][k] * v_y + camera.R[2][k] * v_z;
#if WITH_CAMERA
#pragma unroll
    for (int k = 0; k < 3; k++) {
        v_camera[k] = v_x * mean[k] + scale_x * v_p[k];
        v_camera[4 + k] = v_y * mean[k] + scale_y * v_q[k];
        v_camera[8 + k] = v_z * mean[k] - scale_x * e.u * v_p[k] - scale_y * e.v * v_q[k];
    }
    v_camera[3] = v_x;
    v_camera[7] = v_y;
    v_camera[11] = v_z;
    // A clamped u is (a constant - cx) / fx
    v_camera[12] = (along_p - (e.free_u ? 0.0f : v_u * e.u)) / camera.fx + v.x * e.x / e.z;
    v_camera[13] = (along_q - (e.free_v ? 0.0f : v_v * e.v)) / camera.fy + v.y * e.y / e.z;
    v_camera[14] = v.x - (e.free_u ? 0.0f : v_u / camera.fx);
    v_camera[15] = v.y - (e.free_v ? 0.0f : v_v / camera.fy);
#endif
}

// Sums over a block of `COUNT` numbers of each thread, into column blockIdx.x of parts (COUNT, blocks), which the host
// adds up: the result does not depend on the order in which blocks run. `some`: whether the warp has any.
template <int COUNT, int WARPS>
__device__ void sum_block(const float values[COUNT], bool some, float* parts) {
    __shared__ float sums[COUNT][WARPS];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll
    for (int k = 0; k < COUNT; k++) {
        const float sum = some ? warp_sum(values[k]) : 0.0f;
        if (lane == 0) sums[k][warp] = sum;
    }
    __syncthreads();
    if (threadIdx.x < COUNT) {
        float total = 0.0f;
        for (int w = 0; w < WARPS; w++) total += sums[threadIdx.x][w];
        parts[threadIdx.x * gridDim.x + blockIdx.x] = total;
    }
}
