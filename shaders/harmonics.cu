// Colours that depend on the viewing direction and on time, and the way back: the equations of renderer/harmonics.py.
// Needs common.cu. SH_LEVEL, 0 to 5, is what is active: levels 0 to 3 raise the degree, 4 and 5 the temporal order.
//
// A Gaussian's 47 coefficients beyond the first are 564 bytes in a row, so a thread that walked its own row would use 4
// bytes of each sector at a time. A warp moves the rows of its Gaussians through shared memory instead, 16 coefficients
// of each at a time, lanes side by side; a thread then finds its own there. Gradients leave the same way.

constexpr int DEGREE = SH_LEVEL < 3 ? SH_LEVEL : 3;
constexpr int COUNT = (DEGREE + 1) * (DEGREE + 1);
constexpr int ORDERS = SH_LEVEL > 3 ? SH_LEVEL - 3 : 0;
constexpr int REST = 47 * 3;  // floats of a row of sh_rest
constexpr int STAGED = 49;  // floats of a row in shared memory: 16 coefficients, and one against bank conflicts

constexpr float TAU = 6.28318531f;
constexpr float C0 = 0.28209479177387814f;   // sqrt(1 / 4 pi)
constexpr float C1 = 0.4886025119029199f;    // sqrt(3 / 4 pi)
constexpr float C20 = 1.0925484305920792f;   // sqrt(15 / 4 pi)
constexpr float C22 = 0.31539156525252005f;  // sqrt(5 / 16 pi)
constexpr float C33 = 0.5900435899266435f;   // sqrt(35 / 32 pi)
constexpr float C32 = 2.890611442640554f;    // sqrt(105 / 4 pi)
constexpr float C31 = 0.4570457994644658f;   // sqrt(21 / 32 pi)
constexpr float C30 = 0.3731763325901154f;   // sqrt(7 / 16 pi)

// The active real harmonics of a unit direction.
__device__ void harmonics(float x, float y, float z, float B[16]) {
    B[0] = C0;
    if (DEGREE > 0) {
        B[1] = -C1 * y;
        B[2] = C1 * z;
        B[3] = -C1 * x;
    }
    const float xx = x * x, yy = y * y, zz = z * z;
    if (DEGREE > 1) {
        B[4] = C20 * x * y;
        B[5] = -C20 * y * z;
        B[6] = C22 * (2.0f * zz - xx - yy);
        B[7] = -C20 * x * z;
        B[8] = 0.5f * C20 * (xx - yy);
    }
    if (DEGREE > 2) {
        B[9] = -C33 * y * (3.0f * xx - yy);
        B[10] = C32 * x * y * z;
        B[11] = -C31 * y * (4.0f * zz - xx - yy);
        B[12] = C30 * z * (2.0f * zz - 3.0f * xx - 3.0f * yy);
        B[13] = -C31 * x * (4.0f * zz - xx - yy);
        B[14] = 0.5f * C32 * z * (xx - yy);
        B[15] = -C33 * x * (xx - 3.0f * yy);
    }
}

// Adds to the gradient v of the direction what comes through the harmonics, whose gradients are g.
__device__ void harmonics_backward(float x, float y, float z, const float g[16], float v[3]) {
    if (DEGREE > 0) {
        v[0] -= C1 * g[3];
        v[1] -= C1 * g[1];
        v[2] += C1 * g[2];
    }
    if (DEGREE > 1) {
        v[0] += C20 * (y * g[4] - z * g[7] + x * g[8]) - 2.0f * C22 * x * g[6];
        v[1] += C20 * (x * g[4] - z * g[5] - y * g[8]) - 2.0f * C22 * y * g[6];
        v[2] += 4.0f * C22 * z * g[6] - C20 * (y * g[5] + x * g[7]);
    }
    if (DEGREE > 2) {
        const float xx = x * x, yy = y * y, zz = z * z;
        v[0] += C32 * (y * z * g[10] + x * z * g[14]) + 2.0f * C31 * x * y * g[11] - 6.0f * C30 * x * z * g[12];
        v[0] -= 6.0f * C33 * x * y * g[9] + C31 * (4.0f * zz - 3.0f * xx - yy) * g[13];
        v[0] -= 3.0f * C33 * (xx - yy) * g[15];
        v[1] += C32 * (x * z * g[10] - y * z * g[14]) + 2.0f * C31 * x * y * g[13] - 6.0f * C30 * y * z * g[12];
        v[1] += 6.0f * C33 * x * y * g[15] - C31 * (4.0f * zz - xx - 3.0f * yy) * g[11];
        v[1] -= 3.0f * C33 * (xx - yy) * g[9];
        v[2] += C32 * (x * y * g[10] + 0.5f * (xx - yy) * g[14]) - 8.0f * C31 * z * (y * g[11] + x * g[13]);
        v[2] += 3.0f * C30 * (2.0f * zz - xx - yy) * g[12];
    }
}

// In [-pi, pi], where the fast sine and cosine are accurate to a millionth.
__device__ __forceinline__ float turns_to_angle(float turns) { return TAU * (turns - rintf(turns)); }

// First float and number of floats of one temporal order in a row of sh_rest; the first coefficient of order 0 is sh_dc.
__device__ __forceinline__ int order_start(int order) { return order == 0 ? 0 : 48 * order - 3; }
__device__ __forceinline__ int order_width(int order) { return order == 0 ? 45 : 48; }
__device__ __forceinline__ int active_width(int order) {
    return order > ORDERS ? 0 : order == 0 ? 3 * (COUNT - 1) : 48;
}

// Bring the active coefficients of one order into the stage, for the warp's Gaussians first, first + 1, ... whose bit in
// `rows` is set.
__device__ void stage_order(const float* sh_rest, int first, unsigned rows, int order, float (*stage)[STAGED]) {
    const int lane = threadIdx.x & 31, width = active_width(order);
#pragma unroll 8
    for (int r = 0; r < 32; r++) {
        const float* row = sh_rest + (long long)(first + r) * REST + order_start(order);
        const bool wanted = rows >> r & 1u;
        if (wanted && lane < width) stage[r][lane] = __ldg(row + lane);
        if (wanted && lane + 32 < width) stage[r][lane + 32] = __ldg(row + lane + 32);
    }
    __syncwarp();
}

// The way back of stage_order: zeros for what is not active, and for the Gaussians without a bit.
__device__ void write_order(
    float* v_sh_rest, int first, int n, unsigned rows, int order, const float (*stage)[STAGED]
) {
    __syncwarp();
    const int lane = threadIdx.x & 31, width = order_width(order), active = active_width(order);
#pragma unroll 4
    for (int r = 0; r < 32 && first + r < n; r++) {
        float* row = v_sh_rest + (long long)(first + r) * REST + order_start(order);
        const int there = rows >> r & 1u ? active : 0;
        row[lane] = lane < there ? stage[r][lane] : 0.0f;
        if (lane + 32 < width) row[lane + 32] = lane + 32 < there ? stage[r][lane + 32] : 0.0f;
    }
    __syncwarp();
}

// The colour, not yet clamped, of this lane's Gaussian i where `drawn`, seen along the unit direction (x, y, z) at `phase`
// = dt / T. All lanes of a warp come here; `first` is the Gaussian of lane 0, `rows` has a bit for each drawn one.
__device__ void colors_seen(
    const float* sh_dc, const float* sh_rest, int i, int first, unsigned rows, bool drawn, float x, float y, float z,
    float phase, float (*stage)[STAGED], float color[3]
) {
    const int lane = threadIdx.x & 31;
    float B[16];
    harmonics(x, y, z, B);
    for (int ch = 0; ch < 3; ch++) color[ch] = drawn ? 0.5f + C0 * sh_dc[3 * i + ch] : 0.0f;
#pragma unroll
    for (int order = 0; order <= ORDERS; order++) {
        if (active_width(order) == 0) continue;
        stage_order(sh_rest, first, rows, order, stage);
        if (drawn) {
            const float weight = order == 0 ? 1.0f : __cosf(turns_to_angle(order * phase));
            const int skipped = order == 0 ? 1 : 0;
            float folded[3] = {0.0f, 0.0f, 0.0f};
#pragma unroll
            for (int k = skipped; k < COUNT; k++)
#pragma unroll
                for (int ch = 0; ch < 3; ch++) folded[ch] += B[k] * stage[lane][3 * (k - skipped) + ch];
            for (int ch = 0; ch < 3; ch++) color[ch] += weight * folded[ch];
        }
        __syncwarp();
    }
}

// Writes the gradients of the coefficients of all Gaussians of the warp, given those of the unclamped colours, and adds
// to the gradients of the direction and of the phase.
__device__ void colors_backward(
    const float* sh_rest, int i, int first, int n, unsigned rows, bool drawn, float x, float y, float z, float phase,
    const float v_color[3], float (*stage)[STAGED], float* v_sh_dc, float* v_sh_rest, float v_direction[3],
    float& v_phase
) {
    const int lane = threadIdx.x & 31;
    float B[16], v_B[16] = {};
    harmonics(x, y, z, B);
    if (i < n)
        for (int ch = 0; ch < 3; ch++) v_sh_dc[3 * i + ch] = C0 * v_color[ch];
#pragma unroll
    for (int order = 0; order < 3; order++) {
        if (active_width(order) > 0 && rows != 0) {
            stage_order(sh_rest, first, rows, order, stage);
            if (drawn) {
                float sine = 0.0f, weight = 1.0f, v_weight = 0.0f;
                if (order > 0) __sincosf(turns_to_angle(order * phase), &sine, &weight);
                const int skipped = order == 0 ? 1 : 0;
#pragma unroll
                for (int k = skipped; k < COUNT; k++) {
                    float dot = 0.0f;
#pragma unroll
                    for (int ch = 0; ch < 3; ch++) {
                        float& value = stage[lane][3 * (k - skipped) + ch];
                        dot += value * v_color[ch];
                        value = weight * B[k] * v_color[ch];
                    }
                    v_B[k] += weight * dot;
                    v_weight += B[k] * dot;
                }
                v_phase -= v_weight * sine * TAU * order;
            }
        }
        write_order(v_sh_rest, first, n, rows, order, stage);
    }
    harmonics_backward(x, y, z, v_B, v_direction);
}
