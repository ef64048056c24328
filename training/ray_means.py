"""What each pixel shows on average: means along the rays of a picture by the scene's own rendering weights, and two
such pictures, how fast what is seen moves and how much of it moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.camera import Camera
from renderer.field.draw import CHUNK, PROPOSALS, SAMPLES, all_pixels
from renderer.field.march import Marched, march, rays_through
from renderer.field.model import RadianceField
from renderer.gaussians import Gaussians
from renderer.motion import moving
from renderer.scene import Scene
from renderer.slicing import slice_at
from renderer.splat import splat
from renderer.view import View

SEEN = 1e-3
"""Pixels with less opacity show nothing, and their mean is zero."""

Array = NDArray[np.float32]


def along_rays(gaussians: Gaussians, camera: Camera, time: float, values: Tensor) -> Array:
    """(H, W, C) of ``values`` (N, C), C at most 3: their mean along each ray; zero where nothing is drawn."""
    center = torch.as_tensor(camera.center, dtype=gaussians.positions.dtype, device=gaussians.positions.device)
    instant = slice_at(gaussians.detached(), time, center)
    padded = values.new_zeros(len(instant.ids), 3)
    padded[:, : values.shape[1]] = values[instant.ids]
    image = splat(replace(instant.splats, colors=padded), camera)
    share = torch.where(image.opacity > SEEN, 1 / image.opacity, 0)[..., None]
    return (image.color[..., : values.shape[1]] * share).float().cpu().numpy()


def along_field_rays(field: RadianceField, view: View, values: Callable[[Marched], Tensor]) -> Array:
    """(H, W) mean along each ray of what ``values`` makes of the dynamic part's R x S samples, (R, S); of the static
    part it is zero, and where nothing is drawn too."""
    rows = []
    with torch.no_grad():
        for pixels in all_pixels(view.camera).split(CHUNK):
            m = march(field, rays_through(view.camera, pixels, view.time), PROPOSALS, SAMPLES)
            opacity = m.weights.blended.sum(1)
            mean = (m.weights.of_dynamic * values(m)).sum(1) / opacity.clamp(min=SEEN)
            rows.append(mean * (opacity > SEEN))
    return torch.cat(rows).float().cpu().numpy().reshape(view.camera.height, view.camera.width)


def mean_speed(scene: Scene, view: View, seconds: float) -> Array:
    """(H, W) mean speed of what each pixel shows, scene units per second, for a clip of so many ``seconds``; zero where
    nothing is drawn. Of Gaussians by their velocities, of a field by its scene flow: what is of the static part has
    none."""
    if isinstance(scene, RadianceField):
        field, frame = scene, seconds / max(1, scene.frames - 1)
        return along_field_rays(field, view, lambda m: _flow_speed(field, m, view.time) / frame)
    with torch.no_grad():
        speeds = torch.linalg.vector_norm(scene.detached().velocities(), dim=1) / seconds
        return along_rays(scene, view.camera, view.time, speeds[:, None])[..., 0]


def moving_share(scene: Scene, view: View) -> Array:
    """(H, W) in [0, 1]: how much of each pixel's weight is of what moves (:func:`renderer.motion.moving`), or of a
    field's dynamic part; zero where nothing is drawn."""
    if isinstance(scene, RadianceField):
        share = along_field_rays(scene, view, lambda m: torch.ones_like(m.weights.of_dynamic))
    else:
        with torch.no_grad():
            dynamic = moving(scene).to(scene.positions.dtype)[:, None]
            share = along_rays(scene, view.camera, view.time, dynamic)[..., 0]
    return np.clip(share, 0, 1)


def _flow_speed(field: RadianceField, m: Marched, time: float) -> Tensor:
    """(R, S) scene units per frame: half the way from where a place was one frame before to where it is one after; the
    whole way to the only neighbour at the ends of the clip, where the other was never learned."""
    places, flow = m.samples.places, m.dynamic.flow  # (R * S, 3), (R * S, 2, 3)
    half_frame = 0.5 / max(1, field.frames - 1)
    here = field.space.unfold(places)
    before = here if time < half_frame else field.space.unfold(places + flow[:, 0])
    after = here if time > 1 - half_frame else field.space.unfold(places + flow[:, 1])
    frames = 1 if time < half_frame or time > 1 - half_frame else 2
    return torch.linalg.vector_norm(after - before, dim=1).view_as(m.samples.s) / frames
