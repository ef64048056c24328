"""Fused slicing on the CPU (placeholder)."""


def slice_at(gaussians, t, camera_center):
    raise NotImplementedError
