"""``dynview inspect``: the weights along rays, and where generated views disagree with the scene."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from tqdm import tqdm

from app import plots, ray_plots
from app.console import JsonFile, find_camera, finite, open_run, say
from app.ray_plots import MapPanel, RowSlice
from app.subjects import Subject, ray_report, subject_of
from renderer.camera import Camera
from renderer.errors import InputError
from renderer.files.complete import write_whole
from renderer.gaussians import Gaussians
from renderer.scene import render
from renderer.view import View
from renderer.weights import QUANTITIES, Quantity, RayMap, depth_edges, ray_map, row_slices
from training.checkpoint import write_json
from training.config import HEADS, Head
from training.data.generated import GeneratedViews
from training.distortion import DistortionField
from training.overlay import UNITS, disagreement, distortion_overlay, time_slice
from training.run import Run

ROW_BINS = 128
"""Depth bins of a row of pixels seen from above: as many as DDR's tool has samples along a ray."""


@dataclass(frozen=True)
class Inspect:
    """Look into a run: the weights along the ray of one pixel, along a row of them, or of the whole picture; or where
    generated views disagree with the scene.

    With --pixel a ray, with --row a row, with --map a map, each beside --against another one; with --distortion,
    --matrix or --rows the distortion field, while the run still has it.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN|FILE")]
    """Folder of the run or of a checkpoint of it, or a scene file, whose cameras are 0, 1 (straight ahead) and 2."""
    camera: str | None = None
    """Name of a camera of the clip, or its number; for the distortion that of --pose by default."""
    time: float = 0.5
    """Time in [0, 1]."""
    step: int | None = None
    """Step of a checkpoint that the run still has; by default the newest. Cameras are always the newest."""
    pixel: str | None = None
    """Column and row, X,Y, at the size of the training pictures."""
    row: int | None = None
    """A row of pixels, seen from above: weights by column and depth."""
    quantity: Quantity | Literal["all"] = "all"
    """What is shown of the row."""
    kind: Annotated[RayMap | None, tyro.conf.arg(name="map")] = None
    """A statistic of the weights of every pixel: E|t-D|, how much of it the depth map hides, entropy or modes."""
    against: Path | None = None
    """Folder of another run that sees the same camera, to look at the same thing there."""
    against_time: float | None = None
    """Another time to look at the same thing, through the camera where it stands at --time."""
    against_step: int | None = None
    """Another step to look at the same thing."""
    plot: Path | None = None
    """Write a picture of the ray, the row or the map to this PNG file."""
    table: Annotated[Path | None, tyro.conf.arg(name="csv", metavar="F")] = None
    """Write what contributes to the ray to this CSV file."""
    through_time: Path | None = None
    """Write the weights of the ray over the whole clip, depth by time, to this PNG file."""
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
        self._check()
        run = open_run(self.run)
        report: dict[str, object] = {}
        if self._of_rays():
            report |= self._rays(run)
        if self._of_field():
            report |= self._distortion(run)
        if self.report_to:
            write_json(self.report_to, finite(report))

    def _check(self) -> None:
        """InputError for options that make no sense together."""
        for name, time in (("time", self.time), ("against-time", self.against_time)):
            if time is not None and not 0 <= time <= 1:
                raise InputError(f"--{name} {time:g}: give a time between 0 and 1")
        of_rays = self._of_rays()
        if not of_rays and not self._of_field():
            raise InputError(
                "nothing to look at: give --pixel X,Y for a ray, --row Y or --map KIND for more of them, "
                "or --distortion, --matrix or --rows FILE"
            )
        if of_rays and self.camera is None:
            raise InputError(f"--{of_rays[0]}: whose? Give --camera as well")
        if self.plot and len(of_rays) != 1:
            raise InputError("--plot: draws one thing; give one of --pixel, --row and --map")
        if self.through_time and (self.pixel is None or self.step is not None):
            raise InputError("--through-time: follows a ray of the newest step; give --pixel X,Y, and no --step")
        if self.table and self.pixel is None:
            raise InputError("--csv: the table is a ray's; give --pixel X,Y as well")
        if self._compares() and not of_rays:
            raise InputError("--against: compares rays; give --pixel, --row or --map as well")

    def _of_rays(self) -> list[str]:
        """Options that are given and ask for rays."""
        given = {"pixel": self.pixel, "row": self.row, "map": self.kind}
        return [name for name, value in given.items() if value is not None]

    def _of_field(self) -> bool:
        return any((self.distortion, self.matrix, self.rows))

    def _compares(self) -> bool:
        return any(value is not None for value in (self.against, self.against_time, self.against_step))

    # ---------------------------------------------------------------------------------------------- rays

    def _rays(self, run: Run) -> dict[str, object]:
        subjects = self._subjects(run)
        depths = (min(s.run.dataset.near for s in subjects), max(s.run.dataset.far for s in subjects))
        found: list[dict[str, object]] = [{} for _ in subjects]
        if self.pixel is not None:
            self._look_along(subjects, _column_and_row(self.pixel), depths, found)
        if self.row is not None:
            self._look_down(subjects, self.row, depths, found)
        if self.kind is not None:
            self._look_all_over(subjects, self.kind, depths, found)
        return {"ray": found[0], "against": found[1]} if self._compares() else found[0]

    def _subjects(self, run: Run) -> list[Subject]:
        """What is looked at, and what it is compared with."""
        assert self.camera is not None
        view = View(find_camera(run.trainer.clip(), self.camera, self.time), self.time)
        first = subject_of(run, view, self.camera, self.step)
        if not self._compares():
            return [first]
        other = run if self.against is None else open_run(self.against)
        camera = find_camera(other.trainer.clip(), self.camera, self.time)
        if (camera.width, camera.height) != (view.camera.width, view.camera.height):
            raise InputError(
                f"{other.folder}: its pictures are {camera.width}x{camera.height} and those of {run.folder} "
                f"{view.camera.width}x{view.camera.height}; compare runs with the same --data.megapixels"
            )
        time = self.time if self.against_time is None else self.against_time
        step = self.step if self.against is None and self.against_step is None else self.against_step
        return [first, subject_of(other, View(camera, time), self.camera, step)]

    def _look_along(
        self, subjects: list[Subject], pixel: tuple[int, int], depths: tuple[float, float], found: list[dict]
    ) -> None:
        reports = [ray_report(subject, pixel, depths) for subject in subjects]
        for subject, report, numbers in zip(subjects, reports, found, strict=True):
            if len(subjects) > 1:
                tqdm.write(report.name)
            for line in report.lines():
                tqdm.write(line)
            rgb = render(subject.scene, subject.view).color[pixel[1], pixel[0]]
            numbers |= report.numbers() | {"rgb": [float(c) for c in rgb]}
        if self.table:
            write_whole(self.table, "".join(report.table() for report in reports[:1]))
        if self.plot:
            ray_plots.plot_rays(reports, self.plot)
        if self.through_time:
            self._look_through_time(subjects[0], pixel, found[0], self.through_time)

    def _look_through_time(
        self, subject: Subject, pixel: tuple[int, int], numbers: dict[str, object], path: Path
    ) -> None:
        *_, history = subject.run.trainer.ray_through_time(subject.view, pixel)
        assert history is not None
        ray_plots.plot_through_time(history, path, f"{subject.name} · pixel {pixel[0]},{pixel[1]}")
        numbers["through_time"] = {
            "times": history.times.tolist(),
            "edges": history.edges.tolist(),
            "weights": [[float(f"{v:.5g}") for v in row] for row in history.weights],
        }

    def _look_down(self, subjects: list[Subject], row: int, depths: tuple[float, float], found: list[dict]) -> None:
        edges = depth_edges(*depths, ROW_BINS)
        quantities = QUANTITIES if self.quantity == "all" else (self.quantity,)
        slices = []
        for subject, numbers in zip(subjects, found, strict=True):
            try:
                values = row_slices(subject.scene, subject.view, row, edges)
            except ValueError as problem:
                raise InputError(f"--row: {problem}") from None
            target = None if subject.target is None else subject.target[row].astype(np.float64)
            slices.append(RowSlice(subject.name, {name: values[name] for name in quantities}, target))
            numbers["row"] = {
                "y": row,
                "edges": edges.tolist(),
                "target_depth": None if target is None else target.tolist(),
                **{name: [[float(f"{v:.5g}") for v in column] for column in values[name]] for name in quantities},
            }
        if self.plot:
            title = f"row {row}" if len(subjects) > 1 else f"{subjects[0].name} · row {row}"
            ray_plots.plot_slices(slices, edges, self.plot, title)

    def _look_all_over(
        self, subjects: list[Subject], kind: RayMap, depths: tuple[float, float], found: list[dict]
    ) -> None:
        panels, unit = [], ""
        target_for_all = all(subject.target is not None for subject in subjects)  # or one means another thing
        for subject, numbers in zip(subjects, found, strict=True):
            target = subject.target if target_for_all else None
            values, unit = ray_map(subject.scene, subject.view, kind, *depths, target)
            seen = values[np.isfinite(values)]
            mean, most = (float(seen.mean()), float(seen.max())) if seen.size else (float("nan"), float("nan"))
            numbers["map"] = {
                "kind": kind,
                "unit": unit,
                "mean": mean,
                "max": most,
                "empty": 1 - seen.size / values.size,
            }
            tqdm.write(f"{kind} of {subject.name}: mean {mean:.4g}, most {most:.4g} {unit}")
            panels.append(MapPanel(subject.name, render(subject.scene, subject.view).color, values))
        if self.plot:
            ray_plots.plot_maps(panels, kind, unit, self.plot)

    # ---------------------------------------------------------------------------------------- distortion

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
            self._rows(run, pose, self.rows)
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

    def _rows(self, run: Run, pose: int, path: Path) -> None:
        *_, found = time_slice(run.trainer, pose)
        assert found is not None
        title = f"Row {found.row} of virtual camera {pose} over time"
        plots.plot_rows(found.generated, found.rendered, path, title)
        say(f"{path}: row {found.row} over {len(found.times)} instants")


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


def _column_and_row(pixel: str) -> tuple[int, int]:
    if not re.fullmatch(r"\d+,\d+", pixel):
        raise InputError(f"--pixel {pixel}: give column and row as X,Y, for example 120,80")
    x, y = (int(v) for v in pixel.split(","))
    return x, y
