"""A pane's colours with numpy: what ``renderer.gl.frame_drawer`` draws, for videos and pictures without OpenGL."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.picture import (
    BACKDROP,
    FAINT,
    GREY_BLEND,
    GREY_WEIGHTS,
    RGB,
    SOLID,
    Mode,
    Pane,
    Picture,
    clipped,
    divider_shapes,
    palette_table,
    placed,
    split_column,
)
from renderer.view import Frame

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
SEAM = 4
"""Pixels between two pictures that stand side by side."""


def shade(pane: Pane, width: int, height: int, backdrop: RGB = BACKDROP) -> Image:
    """A pane's whole picture as (height, width, 3), sampled bilinearly; marks, lines and thumbnails are left out."""
    frame, cover = pane.frame, pane.cover
    color = _resized(np.clip(np.nan_to_num(frame.color), 0, 1), width, height)
    if pane.mode in (Mode.COLOR, Mode.PICTURE):
        return to_bytes(color)
    if pane.mode == Mode.OVERLAY:
        heat, known = _overlay(pane, width, height)
        grey = (color @ np.array(GREY_WEIGHTS, np.float32))[..., None]
        color = _mixed(color, grey, min(1.0, cover / GREY_BLEND))
        return to_bytes(_mixed(color, heat, cover * known))
    opacity = _resized(frame.opacity, width, height)[..., None]
    if pane.mode == Mode.OPACITY:
        return to_bytes(_mixed(color, _mapped(pane, opacity[..., 0]), cover))
    if pane.mode == Mode.DEPTH:
        depth = _resized(np.nan_to_num(frame.depth), width, height)
        shown, known = (
            _mapped(pane, depth / np.maximum(opacity[..., 0], 1e-6)),
            (depth > 0)[..., None].astype(np.float32),
        )
    else:
        normal = normals(frame)
        unknown = np.isnan(normal)
        known = _resized(1 - unknown[..., 0].astype(np.float32), width, height)[..., None]
        mean = _resized(np.where(unknown, 0, normal), width, height)
        shown = 0.5 + 0.5 * mean / np.maximum(np.linalg.norm(mean, axis=2, keepdims=True), 1e-6)
    mode_color = _mixed(np.array(backdrop, np.float32), shown, known * _step(opacity))
    return to_bytes(_mixed(color, mode_color, cover))


def composed(picture: Picture) -> Image:
    """A panel's (height, width, 3) with both panes and the divider, without marks, lines and thumbnails."""
    result = np.empty((picture.height, picture.width, 3), np.uint8)
    result[:] = to_bytes(np.array(picture.backdrop, np.float32))
    split = split_column(picture)
    panes = [(picture.left, 0, split)]
    if picture.right is not None:
        panes.append((picture.right, split, picture.width))
    for pane, first, last in panes:
        place = placed(pane, picture)
        x, y, w, h = clipped(place, first, last, picture.height)
        if w and h:
            whole = shade(pane, place[2], place[3], picture.backdrop)
            result[y : y + h, x : x + w] = whole[y - place[1] :, x - place[0] :][:h, :w]
    if picture.right is not None:
        for (x, y, w, h), color in divider_shapes(picture):
            result[y : y + h, x : x + w] = to_bytes(np.array(color, np.float32))
    return result


def beside(left: Image, right: Image) -> Image:
    """Two pictures of the same height next to each other, a dark seam between them."""
    if left.shape[0] != right.shape[0]:
        raise ValueError(f"pictures of {left.shape[0]} and {right.shape[0]} rows do not fit side by side")
    seam = np.zeros((left.shape[0], SEAM, 3), np.uint8)
    return np.concatenate([left, seam, right], axis=1)


def normals(frame: Frame) -> Floats:
    """(H, W, 3) unit normals in camera axes, towards the camera, of the surface through the expected depths of each
    pixel's neighbours; NaN where these are unknown."""
    depth = np.where(frame.opacity > FAINT, frame.expected_depth(), np.nan)
    depth = np.where(depth > 0, depth, np.nan).astype(np.float32)
    camera: Camera = frame.view.camera.resized(depth.shape[1], depth.shape[0])
    x = ((np.arange(camera.width) + 0.5 - camera.cx) / camera.fx).astype(np.float32)
    y = ((np.arange(camera.height) + 0.5 - camera.cy) / camera.fy).astype(np.float32)
    points = np.stack([x * depth, y[:, None] * depth, depth], axis=2)
    normal = np.cross(_slope(points, 1), _slope(points, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        normal /= np.linalg.norm(normal, axis=2, keepdims=True)
        return np.where((normal * points).sum(2, keepdims=True) > 0, -normal, normal).astype(np.float32)


def _slope(points: Floats, axis: int) -> Floats:
    """Difference from the neighbour before to the one behind; from or to the pixel itself where one is unknown."""
    rows = np.moveaxis(points, axis, 0)
    nothing = np.full_like(rows[:1], np.nan)
    before, behind = np.concatenate([nothing, rows[:-1]]), np.concatenate([rows[1:], nothing])
    before, behind = np.where(np.isnan(before), rows, before), np.where(np.isnan(behind), rows, behind)
    return np.moveaxis(behind - before + 0 * rows, 0, axis)


def _overlay(pane: Pane, width: int, height: int) -> tuple[Floats, Floats]:
    """The overlay through the palette (height, width, 3), and how much of it is known (height, width, 1)."""
    values = pane.frame.overlay
    values = np.full_like(pane.frame.opacity, np.nan) if values is None else values
    there = np.isfinite(values)
    known = _resized(there.astype(np.float32), width, height)
    mean = _resized(np.where(there, values, 0), width, height) / np.maximum(known, 1e-6)
    return _mapped(pane, mean), known[..., None]


def _mapped(pane: Pane, values: NDArray[np.floating]) -> Floats:
    """Through the palette."""
    low, high = pane.value_range
    t = np.clip((values - np.float32(low)) / np.float32(max(high - low, 1e-9)), 0, 1)
    return palette_table(pane.palette)[(t * 255 + 0.5).astype(np.uint8)]


def _resized(values: NDArray[np.floating], width: int, height: int) -> Floats:
    array = np.ascontiguousarray(values, np.float32)
    if array.shape[:2] == (height, width):
        return array
    return np.asarray(cv2.resize(array, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _step(opacity: Floats) -> Floats:
    """0 where nothing is drawn, 1 where enough is."""
    t = np.clip((opacity - np.float32(FAINT)) / np.float32(SOLID - FAINT), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _mixed(under: Floats, over: Floats, share: Floats | float) -> Floats:
    return np.asarray(under + (over - under) * share, np.float32)


def to_bytes(color: Floats) -> Image:
    """Colours in [0, 1] as bytes, rounded; what lies beyond is cut off."""
    return (np.clip(color, 0, 1) * 255 + 0.5).astype(np.uint8)
