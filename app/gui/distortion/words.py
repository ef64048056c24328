"""What the distortion panel says of itself, and of what is needed before there is anything to measure. Pure."""

from __future__ import annotations

from app.protocol import Opened

ABOUT = (
    "How far the spatio-temporal distortion field (STDF) has to bend the scene for each generated picture: where the "
    "generator contradicts itself. It has nothing to do with the distortion of a lens."
)
NO_VIEWS = (
    "This scene has no generated views to disagree with. Make some with\n    dynview generate DATA\nand open it with\n"
    "    dynview-gui DATA --method sparsecam4d\n"
    "For the demo nothing has to be generated: dynview-gui demo --method sparsecam4d"
)
NO_FIELD = (
    "This run learns from generated views without a distortion field, so that there is none to measure; the method "
    "sparsecam4d has one (--distortion.enabled)."
)


def hint_of(opened: Opened | None, step: int | None, on_at: int) -> str:
    """Why nothing can be measured, and what to do; empty where it can. ``step``: of training, None where the field is
    on; ``on_at``: when it is switched on."""
    if opened is None:
        return ""
    if not opened.virtual_cameras:
        return NO_VIEWS
    if not opened.has_distortion:
        return NO_FIELD
    if step is None:
        return ""
    return (
        f"The field is switched on at step {on_at:,} of {opened.steps:,}; this is step {step:,}. Before that nothing "
        "is bent, and nothing can be measured."
    )
