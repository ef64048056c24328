// The way back of project_gaussians.cu: slices and projects again instead of reading what was stored, and writes every
// row of every gradient. Needs project.cu, slice.cu and harmonics.cu. WITH_CAMERA: whether the gradients of pose,
// intrinsics and camera centre are wanted.

extern "C" __global__ void __launch_bounds__(128, 4) project_gaussians_backward(
    const float* __restrict__ positions,    // (N, 3)
    const float* __restrict__ times,        // (N)
    const float* __restrict__ scales,       // (N, 3)
    const float* __restrict__ time_scales,  // (N)
    const float* __restrict__ left,         // (N, 4)
    const float* __restrict__ right,        // (N, 4)
    const float* __restrict__ opacities,    // (N)
    const float* __restrict__ sh_rest,      // (N, 47, 3)
    int n, float t, float span, int softplus,
    const float* __restrict__ center,      // (3)
    const float* __restrict__ pose,        // (4, 4)
    const float* __restrict__ intrinsics,  // (4) or null
    float fx, float fy, float cx, float cy, float near, int width, int height,
    const float* __restrict__ screen,     // (N, 12)
    const int* __restrict__ radii,        // (N)
    const float* __restrict__ v_screen,   // (N, 12)
    float* __restrict__ v_positions,      // (N, 3)
    float* __restrict__ v_times,          // (N)
    float* __restrict__ v_scales,         // (N, 3)
    float* __restrict__ v_time_scales,    // (N)
    float* __restrict__ v_left,           // (N, 4)
    float* __restrict__ v_right,          // (N, 4)
    float* __restrict__ v_opacities,      // (N)
    float* __restrict__ v_sh_dc,          // (N, 3)
    float* __restrict__ v_sh_rest,        // (N, 47, 3)
    float* __restrict__ v_camera          // (19, blocks) parts: pose, intrinsics, camera centre; or null
) {
    __shared__ float stages[4][32][STAGED];
    const int i = thread_index(), first = i - int(threadIdx.x & 31);
    const bool drawn = i < n && radii[i] > 0;
    const unsigned rows = __ballot_sync(ALL_LANES, drawn);
    Record record = {}, v = {};
    float dt = 0.0f, direction[3] = {0.0f, 0.0f, 0.0f}, distance = 1.0f, position[3] = {0.0f, 0.0f, 0.0f};
    if (drawn) {
        record = read_record(screen, i);
        v = read_record(v_screen, i);
        dt = t - times[i];
        for (int k = 0; k < 3; k++) position[k] = positions[3 * i + k];
        for (int k = 0; k < 3; k++) direction[k] = position[k] - center[k];
        distance = fmaxf(sqrtf(dot(direction, direction)), 1e-12f);
        for (int k = 0; k < 3; k++) direction[k] /= distance;
        for (int ch = 0; ch < 3; ch++)
            if (!(record.color[ch] > 0.0f)) v.color[ch] = 0.0f;  // clamped
    }

    float v_direction[3] = {0.0f, 0.0f, 0.0f}, v_phase = 0.0f, v_position[3];
    colors_backward(sh_rest, i, first, n, rows, drawn, direction[0], direction[1], direction[2], dt / span, v.color,
                    stages[threadIdx.x >> 5], v_sh_dc, v_sh_rest, v_direction, v_phase);
    const float radial = dot(direction, v_direction);
    for (int k = 0; k < 3; k++) v_position[k] = (v_direction[k] - direction[k] * radial) / distance;
#if WITH_CAMERA
    const float v_center[3] = {-v_position[0], -v_position[1], -v_position[2]};
    sum_block<3, 4>(v_center, rows != 0, v_camera + CAMERA_VALUES * gridDim.x);
#endif

    Conditioned g;
    float v_mean[3] = {}, v_covariance[6] = {}, v_values[CAMERA_VALUES] = {};
    if (drawn) {
        const Shapes shapes = {positions, times, scales, time_scales, left, right, opacities, softplus != 0};
        const Pinhole camera = pinhole_at(pose, intrinsics, fx, fy, cx, cy, near, width, height);
        g = condition(shapes, i);
        float mean[3], covariance[6];
        for (int k = 0; k < 3; k++) mean[k] = position[k] + g.v[k] * dt;
        covariance_of(g.W, covariance);
        place_backward(camera, mean, covariance, record, v, v_mean, v_covariance, v_values);
    }
#if WITH_CAMERA
    sum_block<CAMERA_VALUES, 4>(v_values, rows != 0, v_camera);
#endif

    if (i >= n) return;
    for (int k = 0; k < 3; k++) v_positions[3 * i + k] = v_mean[k] + v_position[k];
    if (drawn) {
        const Shapes shapes = {positions, times, scales, time_scales, left, right, opacities, softplus != 0};
        const ShapeGradients out = {v_positions, v_times, v_scales, v_time_scales, v_left, v_right, v_opacities};
        const float v_dt = slice_backward(shapes, g, i, dt, v_mean, v_covariance, v.opacity, out);
        v_times[i] = -(v_dt + v_phase / span);
    } else {
        for (int k = 0; k < 3; k++) v_scales[3 * i + k] = 0.0f;
        v_times[i] = v_time_scales[i] = v_opacities[i] = 0.0f;
        const float4 zero = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        reinterpret_cast<float4*>(v_left)[i] = reinterpret_cast<float4*>(v_right)[i] = zero;
    }
}
