"""``dynview inspect``: the weights along a ray, and where generated views disagree with the scene."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from app import plots
from app.console import JsonFile, find_camera, finite, open_run, say
from renderer.camera import Camera
from renderer.errors import InputError
from renderer.gaussians import Gaussians
from renderer.scene import ray_distribution, render
from renderer.view import View
from training.checkpoint import write_json
from training.config import HEADS, Head
from training.data.generated import GeneratedViews
from training.distortion import DistortionField
from training.overlay import UNITS, disagreement, distortion_overlay, row_over_time
from training.run import Run


@dataclass(frozen=True)
class Inspect:
    """Look into a run: the weights along the ray of one pixel, or where generated views disagree with the scene.

    With --pixel a ray; with --distortion, --matrix or --rows the distortion field, while the run still has it.
    """

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    camera: str | None = None
    """Name of a camera of the clip, or its number; for the distortion that of --pose by default."""
    time: float = 0.5
    """Time in [0, 1]."""
    pixel: str | None = None
    """Column and row, X,Y, at the size of the training pictures."""
    plot: Path | None = None
    """Write a picture of the ray's weights to this PNG file."""
    distortion: Path | None = None
    """Write the distortion over the picture as heat to this PNG file."""
    matrix: Path | None = None
    """Write the mean distortion of every generated picture, by virtual camera and instant, to this PNG file."""
    rows: Path | None = None
    """Write the middle row of the pictures of --pose over time, generated and rendered, to this PNG file."""
    pose: int | None = None
    """Number of the virtual camera, from 0; by default the middle one."""
    head: Head = "positions"
    """What is distorted: positions, left, right (quaternions) or scales."""
    report_to: JsonFile = None
    """Write the numbers to this file."""

    def __call__(self) -> None:
        if not 0 <= self.time <= 1:
            raise InputError(f"--time {self.time:g}: give a time between 0 and 1")
        asked = (self.distortion, self.matrix, self.rows)
        if self.pixel is None and not any(asked):
            raise InputError("nothing to look at: give --pixel X,Y for a ray, or --distortion, --matrix or --rows FILE")
        if self.pixel is not None and self.camera is None:
            raise InputError("--pixel: whose? Give --camera as well")
        run = open_run(self.run)
        report: dict[str, object] = {}
        if self.pixel is not None:
            report |= self._ray(run, self.pixel, self.camera or "")
        if any(asked):
            report |= self._distortion(run)
        if self.report_to:
            write_json(self.report_to, finite(report))

    def _ray(self, run: Run, pixel: str, camera: str) -> dict[str, object]:
        view = View(find_camera(run.trainer.clip(), camera, self.time), self.time)
        if not re.fullmatch(r"\d+,\d+", pixel):
            raise InputError(f"--pixel {pixel}: give column and row as X,Y, for example 120,80")
        x, y = (int(v) for v in pixel.split(","))
        try:
            ray = ray_distribution(run.trainer.scene, view, (x, y))
        except ValueError as problem:
            raise InputError(f"--pixel: {problem}") from None
        rgb = render(run.trainer.scene, view).color[y, x]
        strongest = np.argsort(-ray.weights)[:10]
        tell = tqdm.write
        tell(f"{len(ray.depths)} contributions, opacity {ray.opacity:.4f}")
        tell(f"expected depth {ray.expected_depth:.4g}, median {ray.median_depth:.4g}, spread {ray.spread:.4g}")
        for k in sorted(strongest):
            tell(f"  depth {ray.depths[k]:8.4g}   weight {ray.weights[k]:.4f}   Gaussian {ray.ids[k]}")
        if self.plot:
            plots.plot_ray(ray, self.plot, f"{camera}, time {self.time:g}, pixel {x},{y}")
        return {
            "depths": ray.depths.tolist(),
            "weights": ray.weights.tolist(),
            "transmittances": ray.transmittances.tolist(),
            "ids": ray.ids.tolist(),
            "rgb": [float(c) for c in rgb],
            "composite": ray.composite.tolist(),
            "opacity": ray.opacity,
            "expected_depth": ray.expected_depth,
            "median_depth": ray.median_depth,
        }

    # ------------------------------------------------------------------------------------- the distortion

    def _distortion(self, run: Run) -> dict[str, object]:
        scene, field, views = _field_of(run)
        pose = self.pose if self.pose is not None else len(views.cameras) // 2
        if not 0 <= pose < len(views.cameras):
            raise InputError(f"--pose {pose}: the run has virtual cameras 0 to {len(views.cameras) - 1}")
        report: dict[str, object] = {"head": self.head, "unit": UNITS[self.head], "pose": pose}
        if self.distortion:
            report["distortion"] = self._overlay(run, scene, field, views, pose)
        if self.matrix:
            bar: Callable[[Iterable[int]], Iterable[int]] = lambda i: tqdm(i, unit="view", dynamic_ncols=True)  # noqa: E731
            matrix = disagreement(scene, field, views, self.head, bar)
            plots.plot_matrix(matrix, UNITS[self.head], self.matrix, f"Distortion of {self.head}")
            worst = np.unravel_index(np.nanargmax(matrix), matrix.shape)
            tqdm.write(f"most distorted: virtual camera {worst[0]} at instant {worst[1]}, {matrix[worst]:.4g}")
            report["matrix"] = [[float(v) for v in row] for row in matrix]
        if self.rows:
            self._rows(run, views, pose, self.rows)
        return report

    def _overlay(
        self, run: Run, scene: Gaussians, field: DistortionField, views: GeneratedViews, pose: int
    ) -> dict[str, float]:
        camera: Camera = views.cameras[pose]
        if self.camera is not None:
            camera = find_camera(run.trainer.clip(), self.camera, self.time)
        assert self.distortion is not None
        overlay = distortion_overlay(scene, field, camera, self.time, views.pose_coordinate(pose), self.head)
        picture = render(scene, View(camera, self.time)).color
        title = f"{self.head}, virtual camera {pose}, time {self.time:g}"
        plots.plot_overlay(picture, overlay, UNITS[self.head], self.distortion, title)
        numbers = {"mean": float(overlay.mean()), "max": float(overlay.max())}
        tqdm.write(f"distortion of {title}: mean {numbers['mean']:.4g}, most {numbers['max']:.4g} {UNITS[self.head]}")
        return numbers

    def _rows(self, run: Run, views: GeneratedViews, pose: int, path: Path) -> None:
        from app.video import to_uint8

        indices, camera = views.of_pose(pose), views.cameras[pose]
        row = camera.height // 2
        generated = row_over_time(views.read, indices, row)
        rendered = row_over_time(
            lambda i: to_uint8(render(run.trainer.scene, View(camera, views.frames[i].time)).color), indices, row
        )
        plots.plot_rows(generated, rendered, path, f"Row {row} of virtual camera {pose} over time")
        say(f"{path}: row {row} over {len(indices)} instants")


def _field_of(run: Run) -> tuple[Gaussians, DistortionField, GeneratedViews]:
    """The run's scene, its field and its generated views, with cameras as learned; InputError when it has none."""
    term, views, scene = run.trainer.generated, run.trainer.clip().generated, run.trainer.scene
    if term is None or term.field is None or views is None or not isinstance(scene, Gaussians):
        raise InputError(
            f"{run.folder}: trained without a distortion field; train with --method sparsecam4d ({', '.join(HEADS)})"
        )
    if term.forgotten:
        raise InputError(f"{run.folder}: this checkpoint has lost its distortion.safetensors; train again to see it")
    return scene, term.field, views
