"""Pictures for files and reports: where generated views disagree with the scene. The window draws its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from renderer.errors import InputError

Image = NDArray[np.float32] | NDArray[np.uint8]
Heat = NDArray[np.float32]
HEAT = "inferno"
INK = "#30343b"


def plot_overlay(picture: Image, overlay: Heat, unit: str, path: Path, title: str) -> None:
    """A picture (H, W, 3) in [0, 1] with the distortion (H, W) over it as heat, and the bar of its colours."""
    H, W = overlay.shape
    figure = new_figure(8.0, 8.0 * H / W + 0.4)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_axis_off()
    shown = heat_over(axes, picture, overlay, max(float(np.percentile(overlay, 99.5)), 1e-9))
    bar = figure.colorbar(shown, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label(f"STDF distortion ({unit})")
    save(figure, path)


def plot_matrix(matrix: Heat, unit: str, path: Path, title: str) -> None:
    """Mean distortion (P, T) by virtual camera and instant."""
    figure = new_figure(7.2, 4.6)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel("instant t")
    axes.set_ylabel("virtual camera s")
    shown = axes.imshow(matrix, cmap=HEAT, vmin=0, aspect="auto", interpolation="nearest")
    figure.colorbar(shown, ax=axes).set_label(f"mean STDF distortion ({unit})")
    save(figure, path)


def plot_rows(generated: Image, rendered: Image, path: Path, title: str) -> None:
    """One image row over time (T, W, 3), of the generated pictures and of the scene's own: flicker shows as jagged
    verticals on the left that are smooth on the right."""
    figure = new_figure(9.0, 4.2)
    figure.suptitle(title, fontsize=11, color=INK)
    for place, (rows, name) in enumerate(((generated, "generated"), (rendered, "the scene")), start=1):
        axes = figure.add_subplot(1, 2, place)
        axes.set_title(name, fontsize=10, color=INK)
        axes.set_xlabel("column")
        axes.set_ylabel("instant t")
        axes.imshow(rows, aspect="auto", interpolation="nearest")
    save(figure, path)


def heat_over(axes: Axes, picture: Image, heat: Heat, top: float) -> AxesImage:
    """Draw values (H, W) from 0 to ``top`` over a picture (H, W, 3) in [0, 1] in grey, the stronger the higher; NaN
    shows the picture."""
    axes.imshow(np.clip(picture, 0, 1).mean(2), cmap="gray", vmin=0, vmax=1)
    alpha = np.where(np.isnan(heat), 0, 0.15 + 0.6 * np.clip(np.nan_to_num(heat) / top, 0, 1))
    return axes.imshow(np.nan_to_num(heat), cmap=HEAT, vmin=0, vmax=top, alpha=alpha.astype(float))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure; inches."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; InputError when that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png")
    except OSError as problem:
        raise InputError(f"{path}: cannot be written ({problem.strerror}); choose another file") from None
