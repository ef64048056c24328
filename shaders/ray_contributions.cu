// Which splats weigh on chosen pixels: read after walk.cu.

// One warp walks one ray, 32 entries of its tile's list at a time. Decides as blend does.
extern "C" __global__ void __launch_bounds__(256) ray_contributions(
    const float* __restrict__ screen,      // (N, 12)
    const int* __restrict__ starts,        // (tiles + 1,)
    const int* __restrict__ rows,          // (capacity,)
    int capacity,
    const long long* __restrict__ pixels,  // (P, 2) column and row
    int P,
    int columns,                           // tiles side by side
    const long long* __restrict__ firsts,  // (P,) where a ray's rows begin in `found`; none for counting
    long long* __restrict__ counts,        // (P,); none where they are known
    long long* __restrict__ found          // rows of the splats, ray after ray and nearest first
) {
    const int ray = thread_index() >> 5, lane = int(threadIdx.x) & 31;
    if (ray >= P) return;
    const int x = int(pixels[2 * ray]), y = int(pixels[2 * ray + 1]);
    const int tile = y / TILE * columns + x / TILE;
    const int first = min(starts[tile], capacity), last = min(starts[tile + 1], capacity);
    float T = 1.0f;
    long long count = 0;
    bool ended = false;
    for (int base = first; base < last && !ended; base += 32) {
        float alpha = 0.0f;
        int row = -1;
        if (base + lane < last) {
            row = rows[base + lane];
            const Record r = record_of(screen, row);
            alpha = fminf(raw_alpha(r, float(x) + 0.5f - r.a.x, float(y) + 0.5f - r.a.y), ALPHA_MAX);
        }
        unsigned met = __ballot_sync(ALL_LANES, alpha >= ALPHA_MIN);
        while (met != 0u) {
            const int j = __ffs(met) - 1;
            met &= met - 1u;
            const float behind = T * (1.0f - __shfl_sync(ALL_LANES, alpha, j));
            if (behind < TRANSMITTANCE_MIN) {
                ended = true;
                break;
            }
            T = behind;
            if (firsts != nullptr && lane == j) found[firsts[ray] + count] = row;
            ++count;
        }
    }
    if (counts != nullptr && lane == 0) counts[ray] = count;
}
