"""Splatting: 3D Gaussians and a camera in, an image out, by one function with several backends.

``reference`` is plain torch, any dtype, written to be read. ``cpu`` is numba, float32, tiles of pixels. ``cuda`` is
:mod:`renderer.cuda.splat`, float32, on a GPU. All draw the same picture and return the same gradients; parametrised
tests hold them together.
"""

from __future__ import annotations

from torch import Tensor

from renderer.camera import Camera
from renderer.splat import cpu, reference
from renderer.splat.backends import Backend, Splatter, chosen, pose_of
from renderer.splat.types import SplatImage, Splats

__all__ = ["Backend", "SplatImage", "Splats", "depth_histogram", "splat", "splatter"]


def splat(
    splats: Splats,
    camera: Camera,
    *,
    pose: Tensor | None = None,
    background: Tensor | None = None,
    screen_offsets: Tensor | None = None,
    depth_target: Tensor | None = None,
    backend: Backend = "auto",
) -> SplatImage:
    """Blend 3D Gaussians front to back into a picture (EWA splatting, Zwicker 2001; Kerbl et al. 2023, eq. 2-3).

    ``pose``: (4, 4) world-to-camera tensor that replaces the camera's own, so that it can be learned.
    ``background``: (3,) colour behind everything, black when absent; it gets no gradient.
    ``screen_offsets``: (M, 2) pixels added to the projected means. Pass zeros that require a gradient to learn
    dL/d(screen position), which drives densification.
    ``depth_target``: (H, W) depths D along +z, scene units, without NaN, not positive where none is known. Asks for
    ``depth_error``, sum_i w_i |z_i - D|: the expectation of the error that DDR (TVCG 2025) estimates by sampling, in
    closed form and not divided by the opacity. The target gets no gradient.
    Gradients flow to every field of ``splats``, to ``pose`` and to ``screen_offsets``.
    Raises ValueError for a target that is not of the picture's size.
    """
    if depth_target is not None and depth_target.shape != (camera.height, camera.width):
        shape = tuple(depth_target.shape)
        raise ValueError(f"depth_target has shape {shape}, expected {(camera.height, camera.width)}")
    if background is None:
        background = splats.means.new_zeros(3)
    pose = pose_of(camera, splats) if pose is None else pose
    return splatter(backend, splats).splat(splats, camera, pose, background, screen_offsets, depth_target)


def depth_histogram(splats: Splats, camera: Camera, edges: Tensor, backend: Backend = "auto") -> Tensor:
    """The weights along each pixel's ray, by depth: (H, W, B) in the splats' dtype, without gradients.

    ``edges``: (B + 1,) ascending depths along +z, scene units; B is at least 1. A bin holds what lies at its near edge
    and none of what lies at its far one. What lies in front of the first edge or behind the last counts in the first or
    last bin, so that the sum over the bins is the picture's opacity.
    Raises ValueError for edges that do not ascend.
    """
    if edges.dim() != 1 or len(edges) < 2 or not bool((edges.diff() > 0).all()):
        raise ValueError(f"edges of shape {tuple(edges.shape)} are not two or more ascending depths")
    return splatter(backend, splats).depth_histogram(splats, camera, pose_of(camera, splats), edges)


def splatter(backend: Backend, splats: Splats) -> Splatter:
    """The module of the backend, or for "auto" of the one that serves these tensors."""
    name = chosen(backend, splats)
    if name == "cuda":
        from renderer.cuda import splat as cuda  # it imports this package's types, and few machines need it

        return cuda
    return cpu if name == "cpu" else reference
