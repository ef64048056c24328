// Adam (Kingma and Ba 2015) over many tensors at once, each value read and written once.
//
// `table`: one row of 8 numbers for each tensor: the addresses of its values, gradient, and first and second moment;
// how many values; how many of them make a row; its first block; and two floats, the lower bits the step size with the
// first moment's bias in it, the upper bits what the root of the second moment is multiplied by for its bias.

constexpr int FIELDS = 8;
constexpr int ROUNDS = 4;  // of four values each that a thread takes; as CHUNK in renderer/cuda/adam.py

struct Decay {
    float first, second;            // shares of the moments that stay
    float new_first, new_second;  // and of what is new
};

__device__ __forceinline__ void update(float& value, float gradient, float& m, float& v, const Decay& decay, float rate,
                                       float root, float eps) {
    m = decay.first * m + decay.new_first * gradient;
    v = decay.second * v + decay.new_second * gradient * gradient;
    value -= rate * m / (sqrtf(v) * root + eps);
}

extern "C" __global__ void __launch_bounds__(256)
    adam_step(const long long* __restrict__ table,
              const int* __restrict__ visible,  // (N,) rows with zero or less are left as they are; or null
              int tensors, float first, float second, float new_first, float new_second, float eps) {
    int t = 0;
    while (t + 1 < tensors && table[(t + 1) * FIELDS + 6] <= (long long)blockIdx.x) ++t;
    const long long* row = table + t * FIELDS;
    float* value = reinterpret_cast<float*>(row[0]);
    const float* gradient = reinterpret_cast<const float*>(row[1]);
    float* m = reinterpret_cast<float*>(row[2]);
    float* v = reinterpret_cast<float*>(row[3]);
    const int count = int(row[4]), columns = int(row[5]);
    const float rate = __int_as_float(int(row[7] & 0xffffffffLL)), root = __int_as_float(int(row[7] >> 32));
    const bool aligned = ((row[0] | row[1] | row[2] | row[3]) & 15) == 0;
    const Decay decay{first, second, new_first, new_second};
    const int start = (int(blockIdx.x) - int(row[6])) * (256 * 4 * ROUNDS) + int(threadIdx.x) * 4;
    for (int round = 0; round < ROUNDS; ++round) {
        const int k = start + round * 256 * 4;
        if (k >= count) return;
        const int here = min(4, count - k);
        bool moves[4] = {true, true, true, true};
        if (visible != nullptr) {
            int n = k / columns, column = k - n * columns;
            bool any = false;
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                moves[j] = j < here && __ldg(visible + n) > 0;
                any |= moves[j];
                if (++column == columns) column = 0, n += j + 1 < here;
            }
            if (!any) continue;
        }
        if (aligned && here == 4) {
            float4 p4 = *reinterpret_cast<float4*>(value + k), m4 = *reinterpret_cast<float4*>(m + k);
            float4 v4 = *reinterpret_cast<float4*>(v + k);
            const float4 g4 = *reinterpret_cast<const float4*>(gradient + k);
            if (moves[0]) update(p4.x, g4.x, m4.x, v4.x, decay, rate, root, eps);
            if (moves[1]) update(p4.y, g4.y, m4.y, v4.y, decay, rate, root, eps);
            if (moves[2]) update(p4.z, g4.z, m4.z, v4.z, decay, rate, root, eps);
            if (moves[3]) update(p4.w, g4.w, m4.w, v4.w, decay, rate, root, eps);
            *reinterpret_cast<float4*>(value + k) = p4;
            *reinterpret_cast<float4*>(m + k) = m4;
            *reinterpret_cast<float4*>(v + k) = v4;
        } else {
#pragma unroll
            for (int j = 0; j < 4; ++j)
                if (j < here && moves[j]) update(value[k + j], gradient[k + j], m[k + j], v[k + j], decay, rate, root, eps);
        }
    }
}
