"""From a scene to the records of its splats on the screen, and back to the gradients of everything that made them.

``shaders/project_gaussians.cu`` takes a 4D scene in one pass: culling, conditioning on time, colours, projection.
``shaders/project_splats.cu`` takes 3D Gaussians. The way back computes again what the way there did not store.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.cuda.launch import Argument, blocks, launch
from renderer.cuda.program import Program
from renderer.gaussians import PARAMETERS, Gaussians
from renderer.harmonics import MAX_LEVEL
from renderer.splat.types import Splats

_SHARED = ("common.cu", "tiles_common.cu", "project.cu")
_SCENE = (*_SHARED, "slice.cu", "harmonics.cu")
_SPLATS = Program((*_SHARED, "project_splats.cu"))
_SPLATS_BACKWARD = {
    wanted: Program((*_SHARED, "project_splats_backward.cu"), (("WITH_CAMERA", int(wanted)),))
    for wanted in (False, True)
}
_GAUSSIANS = tuple(Program((*_SCENE, "project_gaussians.cu"), (("SH_LEVEL", level),)) for level in range(MAX_LEVEL + 1))
_GAUSSIANS_BACKWARD = {
    (level, wanted): Program(
        (*_SCENE, "project_gaussians_backward.cu"), (("SH_LEVEL", level), ("WITH_CAMERA", int(wanted)))
    )
    for level in range(MAX_LEVEL + 1)
    for wanted in (False, True)
}
PROGRAMS = (_SPLATS, *_SPLATS_BACKWARD.values(), *_GAUSSIANS, *_GAUSSIANS_BACKWARD.values())
SPLAT_THREADS, GAUSSIAN_THREADS = 256, 128
CAMERA_VALUES = 16
"""Of the pose's upper three rows and the intrinsics; three of the camera centre follow where there are harmonics."""


@dataclass(frozen=True)
class Pinhole:
    """A camera whose pose, and perhaps intrinsics, lie on the device, so that they can be learned.

    ``pose``: (4, 4) float32 world-to-camera. ``intrinsics``: fx, fy, cx, cy in pixels, as numbers or as a (4,) float32
    tensor. ``width``, ``height``: pixels. ``near``: scene units along +z, not negative.
    """

    pose: Tensor
    intrinsics: tuple[float, float, float, float] | Tensor
    width: int
    height: int
    near: float

    @staticmethod
    def of(camera: Camera, pose: Tensor, intrinsics: Tensor | None = None) -> Pinhole:
        """``camera`` with another ``pose`` (4, 4), and perhaps other ``intrinsics`` (4,)."""
        numbers = (camera.fx, camera.fy, camera.cx, camera.cy)
        return Pinhole(pose, numbers if intrinsics is None else intrinsics, camera.width, camera.height, camera.near)

    def arguments(self) -> tuple[Argument, ...]:
        """As the kernels take it."""
        pose, size = self.pose.contiguous(), (self.near, self.width, self.height)
        if isinstance(self.intrinsics, Tensor):
            return (pose, self.intrinsics.contiguous(), 0.0, 0.0, 0.0, 0.0, *size)
        return (pose, None, *self.intrinsics, *size)


@dataclass(frozen=True)
class Projected:
    """N splats on the screen, those that are culled included.

    ``screen``: (N, 12) float32 records x, y (pixels), conic A, B, C, opacity, depth z, colour (3), q_max, 0, where
    q = A dx^2 + 2 B dx dy + C dy^2, alpha = min(ALPHA_MAX, opacity exp(-q / 2)), and q <= q_max where it is not below
    ALPHA_MIN; zeros where culled. ``keys``: (N,) int32 the bits of the depth, 0x7fffffff where culled. ``radii``: (N,)
    int32 as in :class:`renderer.splat.SplatImage`. ``boxes``: (N, 4) int16 tiles x0, y0, x1, y1, the ends exclusive.
    ``counts``: (N,) int32 how many tiles the ellipse q = q_max touches.
    """

    screen: Tensor
    keys: Tensor
    radii: Tensor
    boxes: Tensor
    counts: Tensor


@dataclass(frozen=True)
class CameraGradients:
    """``pose``: (4, 4), its last row zero. ``intrinsics``: (4,). ``center``: (3,), zero for splats that have a colour
    from everywhere."""

    pose: Tensor
    intrinsics: Tensor
    center: Tensor


def project_splats(splats: Splats, pinhole: Pinhole, screen_offsets: Tensor | None = None) -> Projected:
    """Project 3D Gaussians as :func:`renderer.splat.reference.project` does, N of them to N records, without sorting.

    ``screen_offsets``: (N, 2) pixels added to the projected means. Everything float32 and on one device.
    """
    projected = _empty(len(splats), splats.means.device)
    launch(
        _SPLATS, "project_splats", blocks(len(splats), SPLAT_THREADS), SPLAT_THREADS,
        splats.means.contiguous(), splats.covariances.contiguous(), splats.opacities.contiguous(),
        splats.colors.contiguous(), len(splats), *pinhole.arguments(), screen_offsets, *vars(projected).values(),
    )  # fmt: skip
    return projected


def project_splats_backward(
    splats: Splats, pinhole: Pinhole, projected: Projected, v_screen: Tensor, camera: bool
) -> tuple[Splats, CameraGradients | None]:
    """The gradients of the splats, as their fields, and of the pinhole where ``camera`` asks for them.

    ``v_screen``: (N, 12) gradient of ``screen``, of which columns 0 to 9 count. That of the screen offsets is its
    columns 0 and 1.
    """
    means, covariances = splats.means.contiguous(), splats.covariances.contiguous()
    gradients = Splats(*(torch.empty_like(t, memory_format=torch.contiguous_format) for t in vars(splats).values()))
    grid = blocks(len(splats), SPLAT_THREADS)
    parts = means.new_empty(CAMERA_VALUES, grid) if camera else None
    launch(
        _SPLATS_BACKWARD[camera], "project_splats_backward", grid, SPLAT_THREADS, means, covariances, len(splats),
        *pinhole.arguments(), projected.screen, projected.radii, v_screen, *vars(gradients).values(), parts,
    )  # fmt: skip
    return gradients, _camera_gradients(parts)


def project_gaussians(
    gaussians: Gaussians, time: float, center: Tensor, pinhole: Pinhole, screen_offsets: Tensor | None = None
) -> Projected:
    """Slice a scene at ``time`` in [0, 1] as :func:`renderer.slicing.slice_at` does, and project what is alive.

    ``center``: (3,) where the colours are seen from, in the world. ``screen_offsets``: (N, 2) pixels. All N Gaussians
    have a record, in the scene's order. Everything float32 and on one device.
    """
    N = len(gaussians)
    projected = _empty(N, gaussians.positions.device)
    launch(
        _GAUSSIANS[gaussians.sh_level], "project_gaussians", blocks(N, GAUSSIAN_THREADS), GAUSSIAN_THREADS,
        *_tensors(gaussians), N, *_instant(gaussians, time), center.contiguous(), *pinhole.arguments(), screen_offsets,
        *vars(projected).values(),
    )  # fmt: skip
    return projected


def project_gaussians_backward(
    gaussians: Gaussians, time: float, center: Tensor, pinhole: Pinhole, projected: Projected, v_screen: Tensor,
    camera: bool,
) -> tuple[dict[str, Tensor], CameraGradients | None]:  # fmt: skip
    """The gradients of the scene's parameters, by name, and of pinhole and centre where ``camera`` asks for them.

    ``v_screen``: as in :func:`project_splats_backward`. Gaussians that reach no pixel have gradients of zero.
    """
    N, tensors = len(gaussians), _tensors(gaussians)
    *shapes, _, sh_rest = tensors  # of sh_dc they depend on no more than whether a colour is clamped
    gradients = {name: torch.empty_like(t) for name, t in zip(PARAMETERS, tensors, strict=True)}
    grid = blocks(N, GAUSSIAN_THREADS)
    parts = sh_rest.new_empty(CAMERA_VALUES + 3, grid) if camera else None
    launch(
        _GAUSSIANS_BACKWARD[gaussians.sh_level, camera], "project_gaussians_backward", grid, GAUSSIAN_THREADS,
        *shapes, sh_rest, N, *_instant(gaussians, time), center.contiguous(), *pinhole.arguments(), projected.screen,
        projected.radii, v_screen, *gradients.values(), parts,
    )  # fmt: skip
    return gradients, _camera_gradients(parts)


def _empty(N: int, device: torch.device) -> Projected:
    int32 = torch.int32
    return Projected(
        torch.empty(N, 12, device=device), torch.empty(N, dtype=int32, device=device),
        torch.empty(N, dtype=int32, device=device), torch.empty(N, 4, dtype=torch.int16, device=device),
        torch.empty(N, dtype=int32, device=device),
    )  # fmt: skip


def _tensors(gaussians: Gaussians) -> list[Tensor]:
    """The parameters as the kernels read them: contiguous, and quaternions where four floats can be read at once."""
    tensors = {name: value.contiguous() for name, value in gaussians.parameters.items()}
    for name in ("left", "right"):
        if tensors[name].data_ptr() % 16:
            tensors[name] = tensors[name].clone()
    return list(tensors.values())


def _instant(gaussians: Gaussians, time: float) -> tuple[Argument, ...]:
    """Time, length of the clip and activation as the kernels take them."""
    return time * gaussians.time_span, gaussians.time_span, int(gaussians.scale_activation == "softplus")


def _camera_gradients(parts: Tensor | None) -> CameraGradients | None:
    if parts is None:
        return None
    sums = parts.sum(1)
    pose = sums.new_zeros(4, 4)
    pose[:3] = sums[:12].view(3, 4)
    center = sums[CAMERA_VALUES:] if len(sums) > CAMERA_VALUES else sums.new_zeros(3)
    return CameraGradients(pose, sums[12:CAMERA_VALUES], center)
