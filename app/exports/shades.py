"""What a video can show, by the names that the command line takes."""

from __future__ import annotations

from dataclasses import replace

from app.exports.plans import Shade, VideoExport
from app.looks import COLOR, DEPTH, DISTORTION, ERROR, MODES, MOVING, NORMALS, OPACITY, RAYS, SPEED
from renderer.errors import InputError
from renderer.picture import FULL_BLEND, OVERLAY_BLEND, Mode
from renderer.weights import RAY_MAPS
from training.config import HEADS
from training.run import Run

NAMES = {
    "colour": COLOR,
    "depth": DEPTH,
    "opacity": OPACITY,
    "normals": NORMALS,
    "velocity": SPEED,
    "dynamic": MOVING,
    "error": ERROR,
    "distortion": DISTORTION,
    "rays": RAYS,
}
"""What --mode takes; distortion/HEAD and rays/MAP say which."""
KINDS = {"distortion": HEADS, "rays": RAY_MAPS}
PROBES = 3
"""Views of a video that are looked at before one is refused because of what it shows."""


def shade_of(name: str, pose: int = 0) -> Shade:
    """How ``--mode name`` shows a frame. ``pose``: the virtual camera whose distortion is meant. InputError for a name
    that there is not."""
    name, _, kind = name.partition("/")
    kinds = KINDS.get(name, ())
    if name not in NAMES or (kind and kind not in kinds):
        choice = [*NAMES, *(f"{mode}/{kind}" for mode, kinds in KINDS.items() for kind in kinds)]
        raise InputError(f"--mode {'/'.join(filter(None, (name, kind)))}: not one of {', '.join(choice)}")
    shown, chosen = MODES[NAMES[name]], kind or (kinds[0] if kinds else "")
    overlay = shown.overlay.format(head=chosen, map=chosen)
    blend = OVERLAY_BLEND if shown.mode == Mode.OVERLAY else FULL_BLEND
    return Shade(shown.mode, overlay, pose, shown.palette, blend)


def check_shade(run: Run, plan: VideoExport, name: str) -> None:
    """InputError where a run has nothing to show of what the plan asks for."""
    if plan.shade.mode != Mode.OVERLAY:
        return
    if plan.shade.overlay.startswith("distortion/"):
        virtual = run.trainer.clip().generated
        count = len(virtual.cameras) if virtual is not None else 0
        if count and not 0 <= plan.shade.pose < count:
            raise InputError(f"--pose {plan.shade.pose}: the run has virtual cameras 0 to {count - 1}")
    every = max(1, -(-len(plan.views) // PROBES))
    probed = [replace(view, overlay=plan.shade.overlay, pose=plan.shade.pose) for view in plan.views[::every]]
    if all(run.trainer.draw(view).overlay is None for view in probed):
        advice = {
            "distortion": "the run has no distortion field, or it is not on yet",
            "error": "no view is that of a camera of the clip; try --path fixed",
        }
        raise InputError(f"--mode {name}: {advice.get(name.partition('/')[0], 'nothing of the kind is known')}")
