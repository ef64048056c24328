"""What goes into a splatter and what comes out, and the constants that all backends share."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

ALPHA_MIN = 1.0 / 255.0
"""A contribution below this is skipped."""
ALPHA_MAX = 0.99
"""A contribution is clamped to this."""
TRANSMITTANCE_MIN = 1e-4
"""A ray ends before the contribution that would take its transmittance below this."""
BLUR = 0.3
"""Added to the diagonal of the screen-space covariance, squared pixels: no splat is thinner than a pixel."""
FRUSTUM_MARGIN = 0.15
"""Share of the image size by which the point of linearisation may lie outside the image."""


@dataclass(frozen=True)
class Splats:
    """3D Gaussians with a colour each: a 4D scene at one instant.

    ``means``: (M, 3) scene units. ``covariances``: (M, 6) upper triangle xx, xy, xz, yy, yz, zz, squared scene
    units. ``opacities``: (M,) in [0, 1]. ``colors``: (M, 3), not negative.
    """

    means: Tensor
    covariances: Tensor
    opacities: Tensor
    colors: Tensor

    def __len__(self) -> int:
        return len(self.means)


@dataclass(frozen=True)
class SplatImage:
    """``color`` (H, W, 3); ``depth`` (H, W) sum of weight times z, scene units; ``opacity`` (H, W) sum of weights;
    ``radii`` (M,) int32 largest half extent on the screen in pixels, 0 for a splat that reaches no pixel;
    ``depth_error`` (H, W) sum of weight times |z - target|, scene units, 0 where there is no target; None where none
    was asked for."""

    color: Tensor
    depth: Tensor
    opacity: Tensor
    radii: Tensor
    depth_error: Tensor | None = None
