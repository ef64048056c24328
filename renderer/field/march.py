"""Marching along rays of a radiance field: where to sample, and what each sample weighs.

With a = 1 - exp(-sigma delta) of each part and the blend v (NSFF eq. 7-8, DDR):
    a_dy = v (1 - exp(-sigma_dy delta)),  a_st = (1 - v) (1 - exp(-sigma_st delta)),
    T_i = prod_{j<i} (1 - a_dy_j) (1 - a_st_j),  w_i = T_i (a_dy_i + a_st_i).
The dynamic and the static part alone have weights of their own, as if the other were not there.

On a GPU the kernels of :mod:`renderer.cuda.field` do what :func:`stratified`, :func:`place_samples`,
:func:`density_weights`, :func:`resampled` and :func:`composited` say here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.cuda import field as kernels
from renderer.field.model import DynamicValues, RadianceField, StaticValues, density
from renderer.field.space import Space

BEHIND = 1e10
"""Length of the last interval: what lies there ends the ray."""


@dataclass(frozen=True)
class Rays:
    """R rays of one camera. ``origins``, ``directions``: (R, 3) of the world; a direction has length 1 along the
    camera's +z, so that a depth times it is the way to a point. ``time``: in [0, 1]."""

    origins: Tensor
    directions: Tensor
    time: float

    def __len__(self) -> int:
        return len(self.origins)

    def to(self, device: torch.device) -> Rays:
        """The same there; nothing waits for what a GPU has yet to do."""
        origins, directions = (x.to(device, non_blocking=True) for x in (self.origins, self.directions))
        return Rays(origins, directions, self.time)

    def points(self, depths: Tensor) -> Tensor:
        """(R * S, 3) world points at depths (R, S)."""
        return (self.origins[:, None] + depths[..., None] * self.directions[:, None]).reshape(-1, 3)

    def unit_directions(self, samples: int) -> Tensor:
        """(R * samples, 3), each ray's direction for each of its samples."""
        unit = self.directions / torch.linalg.vector_norm(self.directions, dim=1, keepdim=True)
        return unit[:, None].expand(-1, samples, -1).reshape(-1, 3)


def rays_through(
    camera: Camera, pixels: Tensor, time: float, pose: Tensor | None = None, zoom: Tensor | None = None
) -> Rays:
    """Rays through the centres of ``pixels`` (R, 2), column and row.

    ``pose``: (4, 4) world-to-camera that replaces the camera's own, on the pixels' device. ``zoom``: () factor of the
    focal length. Both may be learned.
    """
    dtype = torch.float32 if pose is None else pose.dtype
    if pose is None:
        pose = torch.as_tensor(camera.world_to_camera.copy(), dtype=dtype, device=pixels.device)
    x = (pixels[:, 0].to(dtype) + 0.5 - camera.cx) / camera.fx
    y = (pixels[:, 1].to(dtype) + 0.5 - camera.cy) / camera.fy
    if zoom is not None:
        x, y = x / zoom, y / zoom
    local = torch.stack([x, y, torch.ones_like(x)], dim=1)
    R, T = pose[:3, :3], pose[:3, 3]
    return Rays((-T @ R).expand(len(local), 3), local @ R, time)


@dataclass(frozen=True)
class Samples:
    """S samples on each of R rays. ``edges``: (R, S + 1) places s of the intervals' ends, in [0, 1]. ``s``: (R, S)
    their middles. ``depths``: (R, S) along +z of the camera, scene units. ``places``: (R * S, 3) in the cube.
    ``deltas``: (R, S) length of each interval in the cube."""

    edges: Tensor
    s: Tensor
    depths: Tensor
    places: Tensor
    deltas: Tensor


@dataclass(frozen=True)
class RayWeights:
    """Of R rays with S samples each, all (R, S): ``blended`` = ``of_dynamic`` + ``of_static``, the two parts' share of
    it; ``dynamic`` and ``static``, each part as if alone; ``transmittances`` in front of each sample of the blend."""

    blended: Tensor
    of_dynamic: Tensor
    of_static: Tensor
    dynamic: Tensor
    static: Tensor
    transmittances: Tensor


@dataclass(frozen=True)
class RayColors:
    """(R, 3) each: of the blend, and of each part as if alone."""

    blended: Tensor
    dynamic: Tensor
    static: Tensor


@dataclass(frozen=True)
class Marched:
    """What R rays met: the samples, the field's values there, and the weights. ``proposals``: edges and weights of the
    proposals, (R, P + 1) and (R, P). ``colors``: where they came with the weights; None where they are yet to be
    composited."""

    samples: Samples
    static: StaticValues
    dynamic: DynamicValues
    weights: RayWeights
    proposals: tuple[Tensor, Tensor]
    colors: RayColors | None = None

    def color(self) -> Tensor:
        """(R, 3) of the blend."""
        if self.colors is not None:
            return self.colors.blended
        shape = (*self.samples.s.shape, 3)
        w = self.weights
        color = (w.of_dynamic[..., None] * self.dynamic.color.view(shape)).sum(1)
        return color + (w.of_static[..., None] * self.static.color.view(shape)).sum(1)

    def color_alone(self, part: str) -> Tensor:
        """(R, 3) of the "dynamic" or the "static" part alone."""
        if self.colors is not None:
            return self.colors.dynamic if part == "dynamic" else self.colors.static
        values, weights = getattr(self, part), getattr(self.weights, part)
        return (weights[..., None] * values.color.view(*weights.shape, 3)).sum(1)


def march(
    field: RadianceField, rays: Rays, proposals: int, samples: int, generator: torch.Generator | None = None
) -> Marched:
    """Sample the rays, on the field's device, and weigh the samples.

    ``proposals``: samples of the proposal field, evenly in disparity. ``samples``: those of the field itself, where the
    proposals' weight is. With a ``generator`` every place is jittered, as in training; without one nothing is random.
    """
    rays = rays.to(field.device)
    edges = stratified(len(rays), proposals, rays.origins, generator)
    first = place_samples(field.space, rays, edges)
    with torch.set_grad_enabled(torch.is_grad_enabled() and generator is not None):
        sigma = field.proposal_at(first.places.detach(), rays.time).view(len(rays), proposals)
        guess = density_weights(sigma, first.deltas)
    chosen = place_samples(field.space, rays, resampled(edges, guess.detach(), samples, generator))
    static = field.static_at(chosen.places, rays.unit_directions(samples))
    dynamic = field.dynamic_at(chosen.places, rays.time)
    weights, colors = composited(static, dynamic, chosen.deltas)
    return Marched(chosen, static, dynamic, weights, (edges, guess), colors)


def composited(static: StaticValues, dynamic: DynamicValues, deltas: Tensor) -> tuple[RayWeights, RayColors | None]:
    """:func:`blend`, and the colours where they cost nothing more."""
    values = (static.raw, dynamic.raw, static.blend, static.color, dynamic.color)
    if not kernels.served(*values, deltas):
        return blend(static, dynamic, deltas), None
    c = kernels.composite(*values, deltas)
    weights = RayWeights(c.blended, c.of_dynamic, c.of_static, c.dynamic, c.static, c.transmittances)
    return weights, RayColors(c.color, c.color_dynamic, c.color_static)


def blend(static: StaticValues, dynamic: DynamicValues, deltas: Tensor) -> RayWeights:
    """The weights of samples (R, S) from the two parts' values at them."""
    shape = deltas.shape
    v = static.blend.view(shape)
    alone_dy = 1 - torch.exp(-density(dynamic.raw).view(shape) * deltas)
    alone_st = 1 - torch.exp(-density(static.raw).view(shape) * deltas)
    a_dy, a_st = alone_dy * v, alone_st * (1 - v)
    T = in_front((1 - a_dy) * (1 - a_st))
    return RayWeights(T * (a_dy + a_st), T * a_dy, T * a_st, weights_of(alone_dy)[0], weights_of(alone_st)[0], T)


def density_weights(sigma: Tensor, deltas: Tensor) -> Tensor:
    """(R, S) weights of a density (R, S) over intervals of lengths ``deltas`` (R, S), which get no gradient."""
    if kernels.served(sigma, deltas):
        return kernels.density_weights(sigma, deltas)
    return weights_of(1 - torch.exp(-sigma * deltas))[0]


def weights_of(alphas: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and transmittances (R, S) of alphas (R, S) front to back."""
    T = in_front(1 - alphas)
    return alphas * T, T


def in_front(through: Tensor) -> Tensor:
    """(R, S) exclusive product along the ray of what each sample lets through."""
    product = torch.cumprod(through + 1e-10, dim=1)
    return torch.cat([torch.ones_like(product[:, :1]), product[:, :-1]], dim=1)


def stratified(rays: int, count: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """(R, count + 1) edges from 0 to 1; the inner ones jittered by up to half an interval with a generator."""
    noise = None if generator is None else _noise(rays, count, like, generator)
    if noise is not None and kernels.served(noise):
        return kernels.stratify(noise)
    edges = torch.linspace(0, 1, count + 1, dtype=like.dtype, device=like.device).expand(rays, -1)
    if noise is None:
        return edges
    shift = (noise - 0.5) / count
    shift[:, 0] = shift[:, -1] = 0
    return edges + shift


def _noise(rays: int, count: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """(R, count + 1) in [0, 1), drawn on the generator's device, so that a seed means the same on all."""
    return torch.rand(rays, count + 1, generator=generator, device=generator.device).to(like)


UNIFORM_SHARE = 0.1
"""Share of the samples that are spread evenly whatever the proposals say."""


def resampled(edges: Tensor, weights: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """(R, count + 1) edges of intervals that hold equal shares of the weight of ``edges`` (R, P + 1), ``weights``
    (R, P): the inverse of the cumulative distribution (mip-NeRF 360, section 3). The first is 0, the last 1."""
    if kernels.searched(edges, weights):
        noise = None if generator is None else _noise(len(edges), count, edges, generator)
        return kernels.resample(edges, weights, noise, count, UNIFORM_SHARE)
    widths = edges.diff(dim=1)
    p = weights / weights.sum(1, keepdim=True).clamp(min=1e-8)
    p = (1 - UNIFORM_SHARE) * p + UNIFORM_SHARE * widths
    cdf = torch.cat([torch.zeros_like(p[:, :1]), p.cumsum(1)], dim=1)
    cdf = cdf / cdf[:, -1:]
    u = stratified(len(edges), count, edges, generator).contiguous()
    upper = torch.searchsorted(cdf, u, right=True).clamp(1, p.shape[1])
    c0, c1 = cdf.gather(1, upper - 1), cdf.gather(1, upper)
    e0, e1 = edges.gather(1, upper - 1), edges.gather(1, upper)
    return e0 + (e1 - e0) * ((u - c0) / (c1 - c0).clamp(min=1e-8)).clamp(0, 1)


def place_samples(space: Space, rays: Rays, edges: Tensor) -> Samples:
    """The middles of intervals and where they are; lengths of intervals get no gradient."""
    if kernels.served(rays.origins, rays.directions, edges) and not edges.requires_grad:
        return Samples(edges, *kernels.place(space, rays.origins, rays.directions, edges, BEHIND))
    s = 0.5 * (edges[:, 1:] + edges[:, :-1])
    depths = space.depth(s)
    places = space.fold(rays.points(depths))
    with torch.no_grad():
        steps = torch.linalg.vector_norm(places.view(*s.shape, 3).diff(dim=1), dim=2)
        deltas = torch.cat([steps, torch.full_like(s[:, :1], BEHIND)], dim=1)
    return Samples(edges, s, depths, places, deltas)
