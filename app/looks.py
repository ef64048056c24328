"""What a picture of the scene can show, by the names that people see, in the order of the keys 1 to 9."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from renderer.picture import Mode
from renderer.weights import RAY_MAPS
from training.config import HEADS


@dataclass(frozen=True)
class Shown:
    """One thing to show. ``overlay``: what a view is asked for; {head} and {map} stand for the choice of either.
    ``needs``: what a scene must have: "clip" its pictures, "distortion" a field. ``about``: in a sentence."""

    mode: Mode
    about: str
    overlay: str = ""
    palette: str = "viridis"
    needs: str = ""


COLOR, DEPTH, OPACITY, DISTORTION, RAYS = "Colour", "Depth", "Opacity", "Distortion (STDF)", "Rays (DDR)"
ERROR, SPEED, MOVING, NORMALS = "Error", "Speed", "Static / dynamic", "Normals"
MODES: Mapping[str, Shown] = {
    COLOR: Shown(Mode.COLOR, "The scene as a camera would see it."),
    DEPTH: Shown(Mode.DEPTH, "Expected depth along +z of the camera, scene units."),
    OPACITY: Shown(Mode.OPACITY, "The sum of the weights along each ray."),
    DISTORTION: Shown(
        Mode.OVERLAY,
        "How far the spatio-temporal distortion field moves what each pixel shows, for one generated camera s: where "
        "generated views disagree with the scene. It has nothing to do with the distortion of a lens.",
        "distortion/{head}", "inferno", "distortion",
    ),
    RAYS: Shown(
        Mode.OVERLAY,
        "How the weights spread along each pixel's ray: where geometry is wrong although the depth looks right.",
        "rays/{map}", "inferno",
    ),
    ERROR: Shown(
        Mode.OVERLAY,
        "Mean absolute difference to the clip's own picture. Known where the view is that of one of its cameras: go to "
        "one with [ and ].",
        "error", "inferno", "clip",
    ),
    SPEED: Shown(Mode.OVERLAY, "How fast what each pixel shows moves through space.", "velocity", "inferno"),
    MOVING: Shown(Mode.OVERLAY, "Share of each pixel's weight that belongs to what moves.", "dynamic", "cividis"),
    NORMALS: Shown(Mode.NORMALS, "Direction of the surface, from the depth: x red, y green, z blue, in camera axes."),
}  # fmt: skip
SPLITS: Mapping[str, str] = {
    "off": "One picture",
    "input": "The clip's own picture",
    "mode": "Another mode",
    "time": "Another time",
    "checkpoint": "A checkpoint",
    "generated": "A generated picture",
}
"""What the right side of a split view may show, in words."""


@dataclass(frozen=True)
class Display:
    """How one side of the viewport is shown. ``mode``: of :data:`MODES`. ``blend``: share of the picture that an
    overlay covers, in [0, 1]."""

    mode: str = COLOR
    head: str = HEADS[0]
    pose: int = 0
    ray_map: str = RAY_MAPS[0]
    blend: float = 0.8

    @property
    def shown(self) -> Shown:
        """What :attr:`mode` is."""
        return MODES[self.mode]

    @property
    def overlay(self) -> str:
        """What a view is asked for."""
        return self.shown.overlay.format(head=self.head, map=self.ray_map)


@dataclass(frozen=True)
class Split:
    """What the right side shows. ``kind``: of :data:`SPLITS`. ``mode``, ``time``, ``step``: of the kinds that have one.
    ``divider``: share of the width at which it begins."""

    kind: str = "off"
    mode: str = DEPTH
    time: float = 0.0
    step: int = 0
    divider: float = 0.5
