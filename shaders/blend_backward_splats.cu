// The backward with a warp per bucket: read after blend_gradient.cu.

__device__ __forceinline__ void add_row(float* __restrict__ v_row, const float* v) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    float4* quarters = reinterpret_cast<float4*>(v_row);
    atomicAdd(quarters, make_float4(v[0], v[1], v[2], v[3]));
    atomicAdd(quarters + 1, make_float4(v[4], v[5], v[6], v[7]));
    atomicAdd(reinterpret_cast<float2*>(quarters + 2), make_float2(v[8], v[9]));
#else
#pragma unroll
    for (int n = 0; n < GRADIENTS; ++n) atomicAdd(v_row + n, v[n]);
#endif
}

// One warp for a bucket: lane k holds its splat k, and the tile's pixels move past, a lane further with each step. What
// belongs to a pixel and changes, transmittance and sum behind, moves along with it; the rest lies in a ring of 64.
extern "C" __global__ void __launch_bounds__(256) blend_backward_splats(
    const float* __restrict__ screen,      // (N, 12)
    const int* __restrict__ starts,        // (tiles + 1,)
    const int* __restrict__ rows,          // (capacity,)
    int capacity,
    const int* __restrict__ bucket_tiles,  // (buckets,) -1 where no pixel needs it
    int buckets,
    const float* __restrict__ states,      // (buckets, STATE * 256)
    const int* __restrict__ ends,          // (H, W)
    const float* __restrict__ background,  // (3,)
    const float* __restrict__ target,      // (H, W), none without WITH_TARGET
    int width, int height,
    const float* __restrict__ color,       // (H, W, 3), and the others (H, W)
    const float* __restrict__ depth,
    const float* __restrict__ opacity,
    const float* __restrict__ error,
    const float* __restrict__ v_color,     // none where 0, like the next three
    const float* __restrict__ v_depth,
    const float* __restrict__ v_opacity,
    const float* __restrict__ v_error,
    float* __restrict__ v_screen           // (N, 12)
) {
    constexpr int RING = 64, WARPS = 8;
    __shared__ float4 places[WARPS][RING];   // x, y, end, target
    __shared__ float4 colors[WARPS][RING];   // red, green, blue, depth
    __shared__ float4 carried[WARPS][RING];  // weight, error, T, behind
    const int warp = int(threadIdx.x) >> 5, lane = int(threadIdx.x) & 31;
    const int bucket = int(blockIdx.x) * WARPS + warp;
    if (bucket >= buckets) return;
    const int tile = bucket_tiles[bucket];
    if (tile < 0) return;

    const Pictures pictures{background, target, color, depth, opacity, error, v_color, v_depth, v_opacity, v_error};
    const int first = min(starts[tile], capacity), last = min(starts[tile + 1], capacity);
    const int skipped = (bucket - first / BUCKET - tile) * BUCKET;  // places in front of this bucket
    const int columns = (width + TILE - 1) / TILE;
    const int tile_x = tile % columns * TILE, tile_y = tile / columns * TILE;

    // of the tile's eights of 8x4 pixels, as the warps of blend have them, those that end no earlier than here
    unsigned live = 0u;
#pragma unroll
    for (int part = 0; part < WARPS; ++part) {
        const int x = tile_x + (part & 1) * 8 + (lane & 7), y = tile_y + (part >> 1) * 4 + (lane >> 3);
        const int end = x < width && y < height ? ends[y * width + x] : 0;
        if (__any_sync(ALL_LANES, end > skipped)) live |= 1u << part;
    }
    const int stream = __popc(live) * 32;

    const int place = skipped + lane;
    const bool filled = first + place < last;
    Record r{};
    if (filled) r = record_of(screen, rows[first + place]);
    float v[GRADIENTS] = {};
    bool any = false;
    float T = 0.0f, behind = 0.0f;
    for (int step = 0; step < stream + 31; ++step) {
        if ((step & 31) == 0 && step < stream) {
            const int part = __ffs(live) - 1;
            live &= live - 1u;
            const int x = tile_x + (part & 1) * 8 + (lane & 7), y = tile_y + (part >> 1) * 4 + (lane >> 3);
            const int slot = (step & (RING - 1)) + lane;
            const int end = x < width && y < height ? ends[y * width + x] : 0;
            Incoming in{};
            if (end > skipped) {
                in = incoming(pictures, y * width + x, end);
                const float* state = states + (long long)bucket * (STATE * BATCH);
                const int thread = part * 32 + lane;
                const float4 s = reinterpret_cast<const float4*>(state)[thread];
                in.T = s.x;
                in.behind -= in.red * s.y + in.green * s.z + in.blue * s.w + in.depth * state[4 * BATCH + thread] +
                             in.weight * (1.0f - s.x);
#if WITH_TARGET
                if (in.error != 0.0f) in.behind -= in.error * state[5 * BATCH + thread];
#endif
            }
            __syncwarp();  // nobody reads what lay there
            places[warp][slot] = make_float4(float(x) + 0.5f, float(y) + 0.5f, __int_as_float(in.end), in.target);
            colors[warp][slot] = make_float4(in.red, in.green, in.blue, in.depth);
            carried[warp][slot] = make_float4(in.weight, in.error, in.T, in.behind);
            __syncwarp();
        }
        T = __shfl_up_sync(ALL_LANES, T, 1);
        behind = __shfl_up_sync(ALL_LANES, behind, 1);
        const int at = step - lane, slot = at & (RING - 1);
        if (at < 0 || at >= stream) continue;
        const float4 of = carried[warp][slot];
        if (lane == 0) {
            T = of.z;
            behind = of.w;
        }
        const float4 p = places[warp][slot];
        if (!filled || place >= __float_as_int(p.z)) continue;
        const float4 c = colors[warp][slot];
        const Incoming in{c.x, c.y, c.z, c.w, of.x, of.y, p.w, 0, 0.0f, 0.0f};
        any |= take(r, p.x - r.a.x, p.y - r.a.y, v, T, behind, in);
    }
    if (!any) return;
    finish(r, v);
    add_row(v_screen + (long long)__float_as_int(r.c.w) * RECORD, v);
}
