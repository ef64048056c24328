"""Exports as events, a piece between two training steps: videos of any mode, Gaussians, cameras."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app import protocol as p
from app.exports.cameras import check_stood, first_cameras, write_cameras
from app.exports.gaussians import check_gaussians, write_gaussians
from app.exports.plans import CameraExport, GaussianExport, Shade, VideoExport
from app.exports.video import open_writer
from app.painter import Painter
from renderer.picture import Mode, Pane, Picture
from renderer.shading import beside, composed, shade
from renderer.view import Frame, View
from training.run import Run

SAMPLES = 5
"""Frames from which the values at the ends of a video's colours are taken, where they are not given."""
UNKNOWN = {
    "distortion": "there is no distortion field, or it is not on yet",
    "error": "the error is known only in the views of the clip's cameras, at the times of their frames",
}
"""Why frames of a video do not have what was to be shown."""
Range = tuple[float, float]


def exported(run: Run, painter: Painter, plan: VideoExport | GaussianExport | CameraExport) -> Iterator[p.Event | None]:
    """Carry a plan out, whose files may take the place of others. Closing it leaves nothing behind; InputError for what
    cannot be done."""
    match plan:
        case VideoExport():
            yield from _video(painter, plan)
        case GaussianExport():
            gaussians = check_gaussians(run.trainer.scene, plan)
            cameras = first_cameras(run.trainer.clip())
            for done, total, _ in write_gaussians(gaussians.cloned(), plan, cameras):
                yield p.ExportProgress(done, total, plan.path, finished=done == total)
        case CameraExport():
            check_stood(run)
            clip, scene = run.trainer.clip(), run.trainer.scene
            for done, total, _ in write_cameras(clip, scene, plan, plan.pictures, agreed=True):
                yield p.ExportProgress(done, total, plan.path, finished=done == total)


def _video(painter: Painter, plan: VideoExport) -> Iterator[p.Event | None]:
    total = len(plan.views)
    first = _range(painter, plan.views, plan.shade)
    yield None
    second = first if plan.against != "mode" else _range(painter, plan.views, plan.other)
    unknown = 0
    with open_writer(plan.path, plan.fps, plan.quality) as writer:
        for done, view in enumerate(plan.views, start=1):
            frame = yield from painter.whole(p.Look(_asked(view, plan.shade)))
            pane = _pane(frame, plan.shade, first)
            unknown += pane.mode == Mode.OVERLAY and pane.frame.overlay is None
            look = _other_look(plan, view)
            other = None if look is None else (yield from _other_pane(painter, plan, look, second))
            writer.add(_composed(plan, pane, other))
            if done < total:
                yield p.ExportProgress(done, total, plan.path)
        if unknown:
            advice = UNKNOWN.get(plan.shade.overlay.partition("/")[0], "it is not known there")
            yield p.Warned(f"{plan.path}: {unknown} of {total} frames show the picture itself; {advice}")
    yield p.ExportProgress(total, total, plan.path, finished=True)


def _asked(view: View, shading: Shade) -> View:
    return replace(view, overlay=shading.overlay, pose=shading.pose)


def _other_look(plan: VideoExport, view: View) -> p.Look | None:
    match plan.against:
        case "input":
            return p.Look(view, "input")
        case "mode":
            return p.Look(_asked(view, plan.other))
        case "time":
            return p.Look(replace(_asked(view, plan.shade), time=plan.other_time))
        case "checkpoint":
            return p.Look(view, step=plan.other_step)
        case "generated":
            return p.Look(replace(view, pose=plan.other.pose), "generated")
    return None


def _other_pane(painter: Painter, plan: VideoExport, look: p.Look, values: Range) -> Generator[None, None, Pane]:
    frame = yield from painter.whole(look)
    if plan.against in ("input", "generated"):
        return Pane(frame, Mode.PICTURE)
    if plan.against == "mode":
        return _pane(frame, plan.other, values)
    shading = plan.shade if plan.against == "time" or not plan.shade.overlay else Shade()
    return _pane(frame, shading, values)


def _composed(plan: VideoExport, left: Pane, right: Pane | None) -> NDArray[np.uint8]:
    camera = left.frame.view.camera
    if right is None:
        return shade(left, camera.width, camera.height)
    if plan.layout == "split":
        return composed(Picture(left, camera.width, camera.height, right=right, divider=plan.divider))
    other = composed(Picture(right, camera.width, camera.height))
    return beside(shade(left, camera.width, camera.height), other)


def _pane(frame: Frame, shading: Shade, values: Range) -> Pane:
    return Pane(frame, shading.mode, values, shading.palette, shading.blend)


def _range(painter: Painter, views: Sequence[View], shading: Shade) -> Range:
    """Values at the two ends of the colours, the same for the whole video."""
    if shading.value_range is not None or shading.mode not in (Mode.DEPTH, Mode.OVERLAY):
        return shading.value_range or (0.0, 1.0)
    found = []
    for k in np.unique(np.linspace(0, len(views) - 1, SAMPLES).round().astype(int)):
        frame = painter.draw(p.Look(_asked(views[k], shading)))
        values = frame.expected_depth() if shading.mode == Mode.DEPTH else frame.overlay
        if values is not None:
            found.append(values[np.isfinite(values)])
    every = np.concatenate(found) if found else np.zeros(0)
    if not every.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(every, (2, 98)))
    low = low if shading.mode == Mode.DEPTH else 0.0
    return low, max(high, low + 1e-6)
