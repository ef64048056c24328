// The weights of a picture, kept apart by depth instead of summed: read after walk.cu.

extern "C" __global__ void __launch_bounds__(256) depth_histogram(
    const float* __restrict__ screen,  // (N, 12)
    const int* __restrict__ starts,    // (tiles + 1,)
    const int* __restrict__ rows,      // (capacity,)
    int capacity,
    const float* __restrict__ edges,   // (B + 1,) ascending
    int B, int width, int height,
    float* __restrict__ histogram      // (H, W, B), zeros
) {
    const Place at = place_of_thread(width, height);
    const int first = min(starts[at.tile], capacity), last = min(starts[at.tile + 1], capacity);
    const float px = float(at.x) + 0.5f, py = float(at.y) + 0.5f;
    float* mine = histogram + (long long)(at.y * width + at.x) * B;
    float T = 1.0f, sum = 0.0f;
    int bin = 0;
    bool done = !at.inside;
    walk(
        screen, rows, first, last, at, done, [](int) {},
        [&](const Record& r, int) {
            if (done) return;
            const float alpha = fminf(raw_alpha(r, px - r.a.x, py - r.a.y), ALPHA_MAX);
            if (!(alpha >= ALPHA_MIN)) return;
            const float behind = T * (1.0f - alpha);
            if (behind < TRANSMITTANCE_MIN) {
                done = true;
                return;
            }
            // they come nearest first, so bins ascend: one sum runs and is put down where the bin changes
            while (bin < B - 1 && r.b.z >= edges[bin + 1]) {
                if (sum > 0.0f) mine[bin] = sum;
                sum = 0.0f;
                ++bin;
            }
            sum += alpha * T;
            T = behind;
        }
    );
    if (at.inside && sum > 0.0f) mine[bin] = sum;
}
