"""Gaussians + View -> Frame."""

from __future__ import annotations

import torch

from renderer.gaussians import Gaussians
from renderer.instant import splat_scene
from renderer.splat import Backend
from renderer.view import Frame, View


def render_gaussians(gaussians: Gaussians, view: View, *, version: int = 0, backend: Backend = "auto") -> Frame:
    """Draw a view; nothing is learned from it. On a GPU it waits for what is queued there and for the lists of splats,
    so that the picture is whole, but neither for its blending nor for its way to the host."""
    with torch.no_grad():
        image = splat_scene(gaussians.detached(), view.time, view.camera, backend=backend).image
    return Frame.from_device(view, image.color, image.depth, image.opacity, version)
