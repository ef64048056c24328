"""Splatting on the CPU (placeholder)."""
def splat(splats, camera, pose, background, screen_offsets):
    raise NotImplementedError
