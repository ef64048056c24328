// How the kernels over pixels go through a tile's splats, nearest first: read after common.cu and
// tiles_common.cu.
//
// A block of 256 threads is a tile of 16x16 pixels, a warp 8x4 of them, a thread one. Records come through shared
// memory, 256 at a time. Of each 32 of them every lane tests one against the warp's pixels, and one ballot leaves those
// that can matter there.

constexpr int BATCH = 256;
constexpr int BUCKET = 32;  // splats of a tile's list that a warp tests at once
// What a pixel keeps of a bucket: for all 256 of them transmittance and colour, then the depth, then the error.
#if WITH_TARGET
constexpr int STATE = 6;
#else
constexpr int STATE = 5;
#endif
constexpr float LOG2E = 1.44269504f;
constexpr float SLACK = 1e-3f;  // in exponents of two: a splat that just misses is looked at, none is missed

// A row of `screen` in three quarters, with A, B, C and q_max as exponents of two, so that alpha = o 2^exponent, and
// with the row itself where the record has room:
// a: x, y, -log2(e)/2 A, -log2(e) B; b: -log2(e)/2 C, o, z, red; c: green, blue, log2(e)/2 q_max, row
struct Record {
    float4 a, b, c;
};

__device__ __forceinline__ Record record_of(const float* __restrict__ screen, int row) {
    const float4* quarters = reinterpret_cast<const float4*>(screen) + 3 * (long long)row;
    Record r{__ldg(quarters), __ldg(quarters + 1), __ldg(quarters + 2)};
    r.a.z *= -0.5f * LOG2E;
    r.a.w *= -LOG2E;
    r.b.x *= -0.5f * LOG2E;
    r.c.z *= 0.5f * LOG2E;
    r.c.w = __int_as_float(row);
    return r;
}

// o exp(-q / 2) at an offset from the centre, not yet clamped, pixels.
__device__ __forceinline__ float raw_alpha(const Record& r, float dx, float dy) {
    return r.b.y * exp2f(dx * (r.a.z * dx + r.a.w * dy) + r.b.x * dy * dy);
}

// Whether alpha can reach the threshold in an 8x4 of pixels; as `touches` of tiles_common.cu does it for a tile.
__device__ __forceinline__ bool reaches(const Record& r, int left, int top) {
    const float A = -r.a.z, B = -0.5f * r.a.w, C = -r.b.x;
    const float x0 = float(left) + 0.5f - r.a.x, x1 = x0 + 7.0f;
    const float y0 = float(top) + 0.5f - r.a.y, y1 = y0 + 3.0f;
    const float near_x = fminf(fmaxf(0.0f, x0), x1), near_y = fminf(fmaxf(0.0f, y0), y1);
    const float across = fminf(fmaxf(__fdividef(-B * near_x, C), y0), y1);
    const float along = fminf(fmaxf(__fdividef(-B * near_y, A), x0), x1);
    const float least = fminf(least_power(A, B, C, near_x, across), least_power(A, B, C, along, near_y));
    return least <= r.c.z + SLACK;
}

// A thread's pixel: `left` and `top` are those of its warp's 8x4.
struct Place {
    int tile, left, top, x, y;
    bool inside;
};

__device__ __forceinline__ Place place_of_thread(int width, int height) {
    const int warp = int(threadIdx.x) >> 5, lane = int(threadIdx.x) & 31;
    Place at;
    at.tile = int(blockIdx.y * gridDim.x + blockIdx.x);
    at.left = int(blockIdx.x) * TILE + (warp & 1) * 8;
    at.top = int(blockIdx.y) * TILE + (warp >> 1) * 4;
    at.x = at.left + (lane & 7);
    at.y = at.top + (lane >> 3);
    at.inside = at.x < width && at.y < height;
    return at;
}

// Go through entries first to last of a tile's list until every thread is `done`. For each 32 that hold something for
// the warp's pixels `begin(place)` is called, and then for each of those that do `visit(record, place)`, where a place
// counts from the list's start. All lanes of a warp take part in each call; whoever is done has to stand by.
template <typename Begin, typename Visit>
__device__ __forceinline__ void walk(
    const float* __restrict__ screen, const int* __restrict__ rows, int first, int last, const Place& at, bool& done,
    Begin begin, Visit visit
) {
    __shared__ float4 batch[3][BATCH];
    const int lane = int(threadIdx.x) & 31;
    for (int base = first; base < last; base += BATCH) {
        if (__syncthreads_and(done)) return;  // also: nobody reads the batch before
        if (base + int(threadIdx.x) < last) {
            const Record mine = record_of(screen, rows[base + threadIdx.x]);
            batch[0][threadIdx.x] = mine.a;
            batch[1][threadIdx.x] = mine.b;
            batch[2][threadIdx.x] = mine.c;
        }
        __syncthreads();
        const int size = min(BATCH, last - base);
        for (int start = 0; start < size; start += BUCKET) {
            if (__all_sync(ALL_LANES, done)) break;
            const int i = start + lane;
            bool meets = false;
            if (i < size) {
                const Record mine{batch[0][i], batch[1][i], batch[2][i]};
                meets = reaches(mine, at.left, at.top);
            }
            unsigned met = __ballot_sync(ALL_LANES, meets);
            if (met == 0u) continue;
            begin(base - first + start);
            while (met != 0u) {
                const int j = start + __ffs(met) - 1;
                met &= met - 1u;
                const Record r{batch[0][j], batch[1][j], batch[2][j]};
                visit(r, base - first + j);
            }
        }
    }
}
