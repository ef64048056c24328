// The screen records of 3D Gaussians, one in each thread. Needs project.cu.

extern "C" __global__ void __launch_bounds__(256) project_splats(
    const float* __restrict__ means,        // (N, 3)
    const float* __restrict__ covariances,  // (N, 6)
    const float* __restrict__ opacities,    // (N)
    const float* __restrict__ colors,       // (N, 3)
    int n,
    const float* __restrict__ pose,        // (4, 4)
    const float* __restrict__ intrinsics,  // (4) or null
    float fx, float fy, float cx, float cy, float near, int width, int height,
    const float* __restrict__ offsets,  // (N, 2) pixels, or null
    float* __restrict__ screen,         // (N, 12)
    int* __restrict__ keys,             // (N)
    int* __restrict__ radii,            // (N)
    short* __restrict__ boxes,          // (N, 4)
    int* __restrict__ counts            // (N)
) {
    const int i = thread_index();
    const Pinhole camera = pinhole_at(pose, intrinsics, fx, fy, cx, cy, near, width, height);
    Placed placed = {};
    float opacity = 0.0f, color[3] = {0.0f, 0.0f, 0.0f};
    bool drawn = false;
    if (i < n) {
        const float mean[3] = {means[3 * i], means[3 * i + 1], means[3 * i + 2]};
        opacity = opacities[i];
        if (opacity >= ALPHA_MIN && depth_of(camera, mean) > near) {
            float covariance[6];
            for (int k = 0; k < 6; k++) covariance[k] = covariances[6 * i + k];
            for (int ch = 0; ch < 3; ch++) color[ch] = colors[3 * i + ch];
            const float2 offset = offsets ? make_float2(offsets[2 * i], offsets[2 * i + 1]) : make_float2(0.0f, 0.0f);
            drawn = place(camera, ellipse_of(camera, mean, covariance), opacity, offset, placed);
        }
    }
    write_placed(i, n, drawn, placed, opacity, color, screen, keys, radii, boxes, counts);
}
