// Splats to pixels, front to back (Kerbl et al. 2023, eq. 2-3): read after walk.cu.
//
// Switches: WITH_TARGET adds the sum of weight times |z - target|. WITH_BUCKETS keeps, for the backward with a warp per
// bucket, what each pixel has gathered in front of each 32 splats of its tile's list: a bucket. That of a tile's splats
// from place 32 k on has the number starts[tile] / 32 + tile + k; no two tiles share one, and no scan is needed.

extern "C" __global__ void __launch_bounds__(256) blend(
    const float* __restrict__ screen,      // (N, 12)
    const int* __restrict__ starts,        // (tiles + 1,)
    const int* __restrict__ rows,          // (capacity,)
    int capacity,
    const float* __restrict__ background,  // (3,)
    const float* __restrict__ target,      // (H, W), none without WITH_TARGET
    int width, int height,
    float* __restrict__ color,             // (H, W, 3)
    float* __restrict__ depth,             // (H, W)
    float* __restrict__ opacity,           // (H, W)
    float* __restrict__ error,             // (H, W), none without WITH_TARGET
    int* __restrict__ ends,                // (H, W) one behind the last contribution's place; perhaps none
    int* __restrict__ bucket_tiles,        // (buckets,) where a ray gets to; none without WITH_BUCKETS
    float* __restrict__ states             // (buckets, STATE * 256); none without WITH_BUCKETS
) {
    const Place at = place_of_thread(width, height);
    const int first = min(starts[at.tile], capacity), last = min(starts[at.tile + 1], capacity);
    const int pixel = at.y * width + at.x;
    const float px = float(at.x) + 0.5f, py = float(at.y) + 0.5f;
    float T = 1.0f, red = 0.0f, green = 0.0f, blue = 0.0f, z = 0.0f;
    int end = 0;
    bool done = !at.inside;
#if WITH_TARGET
    const float D = at.inside ? target[pixel] : 0.0f;
    float off = 0.0f;
#endif
#if WITH_BUCKETS
    const int bucket = first / BUCKET + at.tile;
#endif
    walk(
        screen, rows, first, last, at, done,
        [&](int place) {
#if WITH_BUCKETS
            if (done) return;
            bucket_tiles[bucket + place / BUCKET] = at.tile;
            float* state = states + (long long)(bucket + place / BUCKET) * (STATE * BATCH);
            reinterpret_cast<float4*>(state)[threadIdx.x] = make_float4(T, red, green, blue);
            state[4 * BATCH + threadIdx.x] = z;
#if WITH_TARGET
            state[5 * BATCH + threadIdx.x] = off;
#endif
#endif
        },
        [&](const Record& r, int place) {
            if (done) return;
            const float alpha = fminf(raw_alpha(r, px - r.a.x, py - r.a.y), ALPHA_MAX);
            if (!(alpha >= ALPHA_MIN)) return;
            const float behind = T * (1.0f - alpha);
            if (behind < TRANSMITTANCE_MIN) {
                done = true;
                return;
            }
            const float weight = alpha * T;
            red += weight * r.b.w;
            green += weight * r.c.x;
            blue += weight * r.c.y;
            z += weight * r.b.z;
#if WITH_TARGET
            off += weight * fabsf(r.b.z - D);
#endif
            T = behind;
            end = place + 1;
        }
    );
    if (!at.inside) return;
    color[3 * pixel] = red + T * background[0];
    color[3 * pixel + 1] = green + T * background[1];
    color[3 * pixel + 2] = blue + T * background[2];
    depth[pixel] = z;
    opacity[pixel] = 1.0f - T;
#if WITH_TARGET
    error[pixel] = D > 0.0f ? off : 0.0f;
#endif
    if (ends != nullptr) ends[pixel] = end;
}
