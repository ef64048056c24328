// The way back of project_splats.cu. Needs project.cu. WITH_CAMERA: whether the gradients of pose and intrinsics are
// wanted.

extern "C" __global__ void __launch_bounds__(256) project_splats_backward(
    const float* __restrict__ means,        // (N, 3)
    const float* __restrict__ covariances,  // (N, 6)
    int n,
    const float* __restrict__ pose,        // (4, 4)
    const float* __restrict__ intrinsics,  // (4) or null
    float fx, float fy, float cx, float cy, float near, int width, int height,
    const float* __restrict__ screen,    // (N, 12)
    const int* __restrict__ radii,       // (N)
    const float* __restrict__ v_screen,  // (N, 12)
    float* __restrict__ v_means,         // (N, 3)
    float* __restrict__ v_covariances,   // (N, 6)
    float* __restrict__ v_opacities,     // (N)
    float* __restrict__ v_colors,        // (N, 3)
    float* __restrict__ v_camera         // (16, blocks) parts of the gradients of pose and intrinsics, or null
) {
    const int i = thread_index();
    const bool drawn = i < n && radii[i] > 0;
    float v_mean[3] = {}, v_covariance[6] = {}, v_values[CAMERA_VALUES] = {};
    Record v = {};
    if (drawn) {
        const Pinhole camera = pinhole_at(pose, intrinsics, fx, fy, cx, cy, near, width, height);
        const float mean[3] = {means[3 * i], means[3 * i + 1], means[3 * i + 2]};
        float covariance[6];
        for (int k = 0; k < 6; k++) covariance[k] = covariances[6 * i + k];
        v = read_record(v_screen, i);
        place_backward(camera, mean, covariance, read_record(screen, i), v, v_mean, v_covariance, v_values);
    }
    if (i < n) {
        for (int k = 0; k < 3; k++) v_means[3 * i + k] = v_mean[k];
        for (int k = 0; k < 6; k++) v_covariances[6 * i + k] = v_covariance[k];
        v_opacities[i] = v.opacity;
        for (int ch = 0; ch < 3; ch++) v_colors[3 * i + ch] = v.color[ch];
    }
#if WITH_CAMERA
    sum_block<CAMERA_VALUES, 8>(v_values, __any_sync(ALL_LANES, drawn), v_camera);
#endif
}
