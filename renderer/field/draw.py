"""Pictures and rays of a radiance field. Nothing here is random, and nothing is learned from it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.camera import Camera
from renderer.cuda import field as kernels
from renderer.field.march import Marched, march, rays_through
from renderer.field.model import RadianceField, density
from renderer.rays import RayDistribution, RayParts, frozen
from renderer.view import Frame, View

PROPOSALS = 64
SAMPLES = 32
"""Samples along a ray: of the proposal field, and of the field itself."""
CHUNK = 4096
"""Rays at a time: their features fit into the caches."""


def render_field(field: RadianceField, view: View, version: int = 0) -> Frame:
    """Draw a view."""
    *_, frame = field_frames(field, view, version)
    assert frame is not None
    return frame


def field_frames(field: RadianceField, view: View, version: int = 0) -> Iterator[Frame | None]:
    """The same piece by piece, so that whoever draws can do something else in between: None after each piece, and at
    last the picture."""
    rows = []
    for _, marched in _chunks(field, view):
        w = marched.weights.blended
        depth, opacity = (w * marched.samples.depths).sum(1, keepdim=True), w.sum(1, keepdim=True)
        rows.append(torch.cat([marched.color(), depth, opacity], dim=1))
        yield None
    image = torch.cat(rows).cpu().float().numpy().reshape(view.camera.height, view.camera.width, 5)
    yield Frame(view, np.ascontiguousarray(image[..., :3]), image[..., 3], image[..., 4], version)


def coarse_field(field: RadianceField, view: View, most: int, version: int = 0) -> Frame:
    """A view drawn at so many pixels at most, and spread to its size."""
    W, H = view.camera.width, view.camera.height
    frame = render_field(field, shrunk(view, most), version)
    if frame.view == view:
        return frame
    import cv2  # no kernel needs it, and a machine that only tries them may lack it

    color, depth, opacity = (
        cv2.resize(a, (W, H), interpolation=cv2.INTER_LINEAR) for a in (frame.color, frame.depth, frame.opacity)
    )
    return Frame(view, color, depth, opacity, version)  # type: ignore[arg-type]


def shrunk(view: View, most: int) -> View:
    """The view at so many pixels at most."""
    W, H = view.camera.width, view.camera.height
    share = math.sqrt(most / (W * H))
    if share >= 1:
        return view
    return replace(view, camera=view.camera.resized(max(2, round(W * share)), max(2, round(H * share))))


def field_ray(field: RadianceField, view: View, pixel: tuple[int, int]) -> RayDistribution:
    """What the ray of one pixel meets: the samples that its colour in the picture is made of."""
    with torch.no_grad():
        rays = rays_through(view.camera, torch.tensor([pixel]), view.time)
        m = march(field, rays, PROPOSALS, SAMPLES)
        w, shape = m.weights, (SAMPLES, 3)
        blended = w.blended[0].clamp(min=1e-12)[:, None]
        mixed = w.of_dynamic[0][:, None] * m.dynamic.color.view(shape)
        mixed = (mixed + w.of_static[0][:, None] * m.static.color.view(shape)) / blended
        parts = RayParts(
            frozen(w.of_static[0].double()),
            frozen(w.of_dynamic[0].double()),
            frozen(w.static[0].double()),
            frozen(w.dynamic[0].double()),
            static_density=frozen(density(m.static.raw).double()),
            dynamic_density=frozen(density(m.dynamic.raw).double()),
        )
    return RayDistribution(
        view,
        pixel,
        depths=frozen(m.samples.depths[0].double()),
        weights=frozen(w.blended[0].double()),
        transmittances=frozen(w.transmittances[0].double()),
        colors=frozen(mixed.double()),
        ids=np.arange(SAMPLES),
        composite=frozen(m.color()[0].double()),
        parts=parts,
        edges=frozen(field.space.depth(m.samples.edges[0].double())),
    )


def field_histogram(
    field: RadianceField, view: View, edges: NDArray[np.float64], part: str = "blended"
) -> NDArray[np.float32]:
    """(H, W, B): the weight of each pixel's ray per depth bin; ``edges`` (B + 1,) ascending, scene units. What lies in
    front of the first or behind the last edge counts in the first or the last bin. A sample's weight is spread over its
    interval. ``part``: which of the :class:`~renderer.field.march.RayWeights`."""
    rows = [
        spread_over_bins(getattr(m.weights, part), field.space.depth(m.samples.edges), torch.tensor(edges))
        for _, m in _chunks(field, view)
    ]
    return torch.cat(rows).cpu().numpy().reshape(view.camera.height, view.camera.width, -1)


def spread_over_bins(weights: Tensor, edges: Tensor, bins: Tensor) -> Tensor:
    """(R, B) weights per bin of ``bins`` (B + 1,), from weights (R, S) that are spread evenly over the intervals of
    ``edges`` (R, S + 1): differences of the cumulative weight, read at the bins' edges."""
    if kernels.searched(edges, weights):
        return kernels.spread_over_bins(weights, edges, bins)
    total = torch.cat([torch.zeros_like(weights[:, :1]), weights.cumsum(1)], dim=1)
    x = bins.to(edges)[1:-1].expand(len(edges), -1).contiguous()
    upper = torch.searchsorted(edges.contiguous(), x, right=True).clamp(1, weights.shape[1])
    e0, e1 = edges.gather(1, upper - 1), edges.gather(1, upper)
    c0, c1 = total.gather(1, upper - 1), total.gather(1, upper)
    inner = c0 + (c1 - c0) * ((x - e0) / (e1 - e0).clamp(min=1e-12)).clamp(0, 1)
    cumulative = torch.cat([torch.zeros_like(inner[:, :1]), inner, total[:, -1:]], dim=1)
    return cumulative.diff(dim=1)


def all_pixels(camera: Camera) -> Tensor:
    """(H * W, 2) column and row of every pixel, row by row."""
    ys, xs = torch.meshgrid(torch.arange(camera.height), torch.arange(camera.width), indexing="ij")
    return torch.stack([xs, ys], dim=-1).reshape(-1, 2)


def _chunks(field: RadianceField, view: View) -> Iterator[tuple[Tensor, Marched]]:
    for pixels in all_pixels(view.camera).split(CHUNK):
        with torch.no_grad():  # but not while whoever draws does something else in between
            marched = march(field, rays_through(view.camera, pixels, view.time), PROPOSALS, SAMPLES)
        yield pixels, marched
