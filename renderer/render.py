"""Gaussians + View -> Frame."""

from __future__ import annotations

import torch

from renderer.gaussians import Gaussians
from renderer.slicing import slice_at
from renderer.splat import Backend, splat
from renderer.view import Frame, View


def render_gaussians(gaussians: Gaussians, view: View, *, version: int = 0, backend: Backend = "auto") -> Frame:
    """Draw a view; nothing is learned from it."""
    with torch.no_grad():
        center = torch.as_tensor(view.camera.center, dtype=gaussians.positions.dtype, device=gaussians.positions.device)
        instant = slice_at(gaussians.detached(), view.time, center, backend=backend)
        image = splat(instant.splats, view.camera, backend=backend)
    color, depth, opacity = (a.float().cpu().numpy() for a in (image.color, image.depth, image.opacity))
    return Frame(view, color, depth, opacity, version)
