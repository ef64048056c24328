// A 4D Gaussian at one instant, and the way back of its gradients: the equations of renderer/slicing.py, one Gaussian in
// each thread. Needs common.cu.
//
// With m_x (3, 4) and m_t (4) the rows of A S, the rotation times the standard deviations: Sigma_tt = m_t . m_t,
// velocity v = m_x m_t / Sigma_tt, and the covariance at the instant is W W^T with W = m_x - v m_t^T, which unlike
// Sigma_xx - Sigma_xt Sigma_xt^T / Sigma_tt stays accurate and positive in float32 for what lives long and moves.

constexpr float TIME_REACH = 5.99146455f;  // -2 ln P_MIN: the temporal weight is above P_MIN where dt^2 < this Sigma_tt

// The learned tensors that make a Gaussian's place, size and opacity: (N, 3), (N), (N, 3), (N), (N, 4), (N, 4), (N).
struct Shapes {
    const float *positions, *times, *scales, *time_scales, *left, *right, *opacities;
    bool softplus;
};

struct ShapeGradients {
    float *positions, *times, *scales, *time_scales, *left, *right, *opacities;
};

__device__ __forceinline__ float4 read4(const float* rows, int i) { return reinterpret_cast<const float4*>(rows)[i]; }

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

__device__ __forceinline__ float standard_deviation(float raw, bool softplus) {
    return softplus ? fmaxf(raw, 0.0f) + log1pf(expf(-fabsf(raw))) : expf(raw);
}

__device__ __forceinline__ void read_standard_deviations(const Shapes& shapes, int i, float s[4]) {
    for (int k = 0; k < 3; k++) s[k] = standard_deviation(shapes.scales[3 * i + k], shapes.softplus);
    s[3] = standard_deviation(shapes.time_scales[i], shapes.softplus);
}

// Sigma_tt from the last row of the rotation alone: what culling by time needs.
__device__ float time_variance(const Shapes& shapes, int i) {
    const float4 l = read4(shapes.left, i), r = read4(shapes.right, i);
    float s[4];
    read_standard_deviations(shapes, i, s);
    const float x = (l.x * r.w - l.y * r.z + l.z * r.y - l.w * r.x) * s[0];
    const float y = (l.x * r.z + l.y * r.w - l.z * r.x - l.w * r.y) * s[1];
    const float z = (l.x * r.y - l.y * r.x - l.z * r.w + l.w * r.z) * s[2];
    const float w = (l.x * r.x + l.y * r.y + l.z * r.z + l.w * r.w) * s[3];
    const float squares = fmaxf(l.x * l.x + l.y * l.y + l.z * l.z + l.w * l.w, 1e-24f);
    return (x * x + y * y + z * z + w * w) / squares / fmaxf(r.x * r.x + r.y * r.y + r.z * r.z + r.w * r.w, 1e-24f);
}

// A unit quaternion and the length of the one that is learned.
struct Quaternion {
    float w, x, y, z, length;
};

__device__ Quaternion normalised(float4 raw) {
    const float length = fmaxf(sqrtf(raw.x * raw.x + raw.y * raw.y + raw.z * raw.z + raw.w * raw.w), 1e-12f);
    return {raw.x / length, raw.y / length, raw.z / length, raw.w / length, length};
}

// L of x -> l x.
__device__ __forceinline__ void left_matrix(const Quaternion& l, float L[4][4]) {
    L[0][0] = l.w; L[0][1] = -l.x; L[0][2] = -l.y; L[0][3] = -l.z;
    L[1][0] = l.x; L[1][1] = l.w; L[1][2] = -l.z; L[1][3] = l.y;
    L[2][0] = l.y; L[2][1] = l.z; L[2][2] = l.w; L[2][3] = -l.x;
    L[3][0] = l.z; L[3][1] = -l.y; L[3][2] = l.x; L[3][3] = l.w;
}

// R of x -> x times the conjugate of r.
__device__ __forceinline__ void right_matrix(const Quaternion& r, float R[4][4]) {
    R[0][0] = r.w; R[0][1] = r.x; R[0][2] = r.y; R[0][3] = r.z;
    R[1][0] = -r.x; R[1][1] = r.w; R[1][2] = -r.z; R[1][3] = r.y;
    R[2][0] = -r.y; R[2][1] = r.z; R[2][2] = r.w; R[2][3] = -r.x;
    R[3][0] = -r.z; R[3][1] = -r.y; R[3][2] = r.x; R[3][3] = r.w;
}

// A Gaussian conditioned on time. A: the rotation L R with both axes reversed, so that time is its last row.
struct Conditioned {
    Quaternion left, right;
    float A[4][4], s[4];
    float variance, v[3], W[3][4];
};

__device__ Conditioned condition(const Shapes& shapes, int i) {
    Conditioned g;
    g.left = normalised(read4(shapes.left, i));
    g.right = normalised(read4(shapes.right, i));
    read_standard_deviations(shapes, i, g.s);
    float L[4][4], R[4][4];
    left_matrix(g.left, L);
    right_matrix(g.right, R);
#pragma unroll
    for (int row = 0; row < 4; row++)
#pragma unroll
        for (int k = 0; k < 4; k++)
            g.A[row][k] = L[3 - row][0] * R[0][3 - k] + L[3 - row][1] * R[1][3 - k] + L[3 - row][2] * R[2][3 - k] +
                          L[3 - row][3] * R[3][3 - k];
    float m_t[4];
    g.variance = 0.0f;
#pragma unroll
    for (int k = 0; k < 4; k++) m_t[k] = g.A[3][k] * g.s[k];
#pragma unroll
    for (int k = 0; k < 4; k++) g.variance += m_t[k] * m_t[k];
#pragma unroll
    for (int a = 0; a < 3; a++) {
        float along = 0.0f, left_over = 0.0f;
#pragma unroll
        for (int k = 0; k < 4; k++) along += g.A[a][k] * g.s[k] * m_t[k];
        g.v[a] = along / g.variance;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            g.W[a][k] = (g.A[a][k] - g.v[a] * g.A[3][k]) * g.s[k];
            left_over += g.W[a][k] * m_t[k];
        }
        left_over /= g.variance;
#pragma unroll
        for (int k = 0; k < 4; k++) g.W[a][k] -= left_over * m_t[k];  // the gradients rely on W m_t = 0
    }
    return g;
}

// The upper triangle of W W^T.
__device__ void covariance_of(const float W[3][4], float covariance[6]) {
    int n = 0;
#pragma unroll
    for (int a = 0; a < 3; a++)
#pragma unroll
        for (int b = a; b < 3; b++)
            covariance[n++] = W[a][0] * W[b][0] + W[a][1] * W[b][1] + W[a][2] * W[b][2] + W[a][3] * W[b][3];
}

// The gradient of a raw quaternion from that of the unit one.
__device__ __forceinline__ void write_quaternion(
    float* rows, int i, const Quaternion& q, float v_w, float v_x, float v_y, float v_z
) {
    const float along = q.w * v_w + q.x * v_x + q.y * v_y + q.z * v_z;
    reinterpret_cast<float4*>(rows)[i] = make_float4(
        (v_w - q.w * along) / q.length, (v_x - q.x * along) / q.length, (v_y - q.y * along) / q.length,
        (v_z - q.z * along) / q.length
    );
}

// Gradients of both raw quaternions from V, that of L R: V R^T is that of L, and L^T V that of R.
__device__ void quaternions_backward(
    const Quaternion& left, const Quaternion& right, const float V[4][4], float* v_left, float* v_right, int i
) {
    float L[4][4], R[4][4], g[4][4];
    left_matrix(left, L);
    right_matrix(right, R);
#pragma unroll
    for (int a = 0; a < 4; a++)
#pragma unroll
        for (int k = 0; k < 4; k++)
            g[a][k] = V[a][0] * R[k][0] + V[a][1] * R[k][1] + V[a][2] * R[k][2] + V[a][3] * R[k][3];
    write_quaternion(
        v_left, i, left, g[0][0] + g[1][1] + g[2][2] + g[3][3], -g[0][1] + g[1][0] - g[2][3] + g[3][2],
        -g[0][2] + g[1][3] + g[2][0] - g[3][1], -g[0][3] - g[1][2] + g[2][1] + g[3][0]
    );
#pragma unroll
    for (int k = 0; k < 4; k++)
#pragma unroll
        for (int n = 0; n < 4; n++)
            g[k][n] = L[0][k] * V[0][n] + L[1][k] * V[1][n] + L[2][k] * V[2][n] + L[3][k] * V[3][n];
    write_quaternion(
        v_right, i, right, g[0][0] + g[1][1] + g[2][2] + g[3][3], g[0][1] - g[1][0] - g[2][3] + g[3][2],
        g[0][2] + g[1][3] - g[2][0] - g[3][1], g[0][3] - g[1][2] + g[2][1] - g[3][0]
    );
}

// Writes the gradients of scales, quaternions and opacity from those of the mean, the covariance and the opacity at the
// instant, and returns that of dt = t - mu_t.
__device__ float slice_backward(
    const Shapes& shapes, const Conditioned& g, int i, float dt, const float v_mean[3], const float v_covariance[6],
    float v_opacity, const ShapeGradients& out
) {
    const float weight = expf(-0.5f * dt * dt / g.variance), opaque = sigmoid(shapes.opacities[i]);
    out.opacities[i] = v_opacity * weight * opaque * (1.0f - opaque);
    const float v_exponent = v_opacity * opaque * weight;  // of -dt^2 / (2 Sigma_tt)
    const float v_variance = 0.5f * v_exponent * dt * dt / (g.variance * g.variance);
    float v_dt = -v_exponent * dt / g.variance;

    // mean = position + v dt
    float v_v[3], along = 0.0f;
#pragma unroll
    for (int a = 0; a < 3; a++) {
        v_v[a] = v_mean[a] * dt;
        v_dt += v_mean[a] * g.v[a];
        along += v_v[a] * g.v[a];
    }

    // covariance = W W^T; W m_t = 0, hence it does not act on v
    const float* c = v_covariance;
    float V[4][4];
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const float m_t = g.A[3][k] * g.s[k];
        float x = 2.0f * c[0] * g.W[0][k] + c[1] * g.W[1][k] + c[2] * g.W[2][k];
        float y = c[1] * g.W[0][k] + 2.0f * c[3] * g.W[1][k] + c[4] * g.W[2][k];
        float z = c[2] * g.W[0][k] + c[4] * g.W[1][k] + 2.0f * c[5] * g.W[2][k];
        float w = (v_v[0] * g.W[0][k] + v_v[1] * g.W[1][k] + v_v[2] * g.W[2][k] - along * m_t) / g.variance;
        w += 2.0f * v_variance * m_t - g.v[0] * x - g.v[1] * y - g.v[2] * z;
        x += v_v[0] * m_t / g.variance;
        y += v_v[1] * m_t / g.variance;
        z += v_v[2] * m_t / g.variance;

        // (x, y, z, w) is the gradient of column k of A S
        const float raw = k < 3 ? shapes.scales[3 * i + k] : shapes.time_scales[i];
        const float v_s = x * g.A[0][k] + y * g.A[1][k] + z * g.A[2][k] + w * g.A[3][k];
        const float v_raw = v_s * (shapes.softplus ? sigmoid(raw) : g.s[k]);
        if (k < 3) out.scales[3 * i + k] = v_raw;
        else out.time_scales[i] = v_raw;
        V[3][3 - k] = x * g.s[k];
        V[2][3 - k] = y * g.s[k];
        V[1][3 - k] = z * g.s[k];
        V[0][3 - k] = w * g.s[k];
    }
    quaternions_backward(g.left, g.right, V, out.left, out.right, i);
    return v_dt;
}
