"""What a scene is, 4D Gaussians or a radiance field, and what can be asked of either."""

from __future__ import annotations

from typing import TypeAlias

from renderer.field.draw import field_ray, render_field
from renderer.field.model import RadianceField
from renderer.gaussians import Gaussians
from renderer.rays import RayDistribution, gaussian_ray
from renderer.render import render_gaussians
from renderer.view import Frame, View

Scene: TypeAlias = Gaussians | RadianceField


def render(scene: Scene, view: View, *, version: int = 0) -> Frame:
    """Draw a view; nothing is learned from it."""
    if isinstance(scene, RadianceField):
        return render_field(scene, view, version)
    return render_gaussians(scene, view, version=version)


def ray_distribution(scene: Scene, view: View, pixel: tuple[int, int]) -> RayDistribution:
    """What the ray of one pixel of a view meets; its weights composite to the colour that :func:`render` shows there.

    Raises ValueError when the pixel lies outside the image.
    """
    camera, (x, y) = view.camera, pixel
    if not (0 <= x < camera.width and 0 <= y < camera.height):
        raise ValueError(f"pixel {x},{y} lies outside the {camera.width}x{camera.height} image")
    return field_ray(scene, view, pixel) if isinstance(scene, RadianceField) else gaussian_ray(scene, view, pixel)


def size_of(scene: Scene) -> int:
    """Number of Gaussians, or of a field's learned values."""
    return scene.size if isinstance(scene, RadianceField) else len(scene)


def describe(scene: Scene) -> str:
    """How large it is, in words."""
    if isinstance(scene, RadianceField):
        return f"a radiance field of {scene.size / 1e6:.1f} million values"
    return f"{len(scene):,} Gaussians"
