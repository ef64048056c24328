// The screen records of a 4D scene at one instant, one Gaussian in each thread: culled by time, opacity, depth and the
// picture's edges, in this order, before its harmonics are read. Needs project.cu, slice.cu and harmonics.cu.

extern "C" __global__ void __launch_bounds__(128) project_gaussians(
    const float* __restrict__ positions,    // (N, 3)
    const float* __restrict__ times,        // (N)
    const float* __restrict__ scales,       // (N, 3)
    const float* __restrict__ time_scales,  // (N)
    const float* __restrict__ left,         // (N, 4)
    const float* __restrict__ right,        // (N, 4)
    const float* __restrict__ opacities,    // (N)
    const float* __restrict__ sh_dc,        // (N, 3)
    const float* __restrict__ sh_rest,      // (N, 47, 3)
    int n, float t, float span, int softplus,
    const float* __restrict__ center,      // (3)
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
    __shared__ float stages[4][32][STAGED];
    const int i = thread_index(), first = i - int(threadIdx.x & 31);
    const Shapes shapes = {positions, times, scales, time_scales, left, right, opacities, softplus != 0};
    const Pinhole camera = pinhole_at(pose, intrinsics, fx, fy, cx, cy, near, width, height);
    Placed placed = {};
    float opacity = 0.0f, dt = 0.0f, position[3] = {0.0f, 0.0f, 0.0f};
    bool drawn = false;
    if (i < n) {
        dt = t - times[i];
        const float variance = time_variance(shapes, i);
        if (dt * dt < TIME_REACH * variance) {
            opacity = expf(-0.5f * dt * dt / variance) * sigmoid(opacities[i]);
            drawn = opacity >= ALPHA_MIN;
        }
    }
    if (drawn) {
        const Conditioned g = condition(shapes, i);
        float mean[3], covariance[6];
        for (int k = 0; k < 3; k++) position[k] = positions[3 * i + k];
        for (int k = 0; k < 3; k++) mean[k] = position[k] + g.v[k] * dt;
        drawn = depth_of(camera, mean) > near;
        if (drawn) {
            covariance_of(g.W, covariance);
            const float2 offset = offsets ? make_float2(offsets[2 * i], offsets[2 * i + 1]) : make_float2(0.0f, 0.0f);
            drawn = place(camera, ellipse_of(camera, mean, covariance), opacity, offset, placed);
        }
    }

    const unsigned rows = __ballot_sync(ALL_LANES, drawn);
    float color[3] = {0.0f, 0.0f, 0.0f};
    if (rows != 0) {
        const float x = position[0] - center[0], y = position[1] - center[1], z = position[2] - center[2];
        const float distance = fmaxf(sqrtf(x * x + y * y + z * z), 1e-12f);
        colors_seen(sh_dc, sh_rest, i, first, rows, drawn, x / distance, y / distance, z / distance, dt / span,
                    stages[threadIdx.x >> 5], color);
        for (int ch = 0; ch < 3; ch++) color[ch] = fmaxf(color[ch], 0.0f);
    }
    write_placed(i, n, drawn, placed, opacity, color, screen, keys, radii, boxes, counts);
}
