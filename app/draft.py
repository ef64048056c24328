"""Settings that a person is changing, beside those of the run that is open: what changes at once, what waits for a new
run, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.forms import Field, parse, with_value
from renderer.errors import InputError
from training.config import PRESETS, TrainConfig, resolved, with_changes
from training.device import DeviceName
from training.live import FIXED, check_live, differing


@dataclass(frozen=True)
class Split:
    """``live``: values that the run can be given now. ``pending``: names of what a new run only can have, each with the
    reason in a sentence where it is a particular one."""

    live: Mapping[str, object]
    pending: Mapping[str, str]


def split(run: TrainConfig, wanted: TrainConfig, done: int) -> Split:
    """How to come from the settings of a run that has done ``done`` steps to others; both must be resolved. Another
    method waits with all that comes with it."""
    changed = differing(run, wanted)
    if "method" in changed:
        return Split({}, dict.fromkeys(changed, ""))
    live: dict[str, object] = {}
    pending: dict[str, str] = {}
    for name, value in changed.items():
        problem = None if name in FIXED else _refusal(run, {name: value}, done)
        if name in FIXED or problem is not None:
            pending[name] = problem or ""
        else:
            live[name] = value
    problem = _refusal(run, live, done)
    return Split(live, pending) if problem is None else Split({}, pending | dict.fromkeys(live, problem))


def _refusal(run: TrainConfig, values: Mapping[str, object], done: int) -> str | None:
    """Why a run cannot go on with other values; None where it can."""
    try:
        check_live(run, with_changes(run, dict(values)), done)
    except InputError as problem:
        return str(problem)
    return None


def edited(config: TrainConfig, field: Field, text: str, device: DeviceName) -> TrainConfig:
    """The settings, resolved for ``device``, with what a person typed for one of them. Another method brings its own
    values and keeps those that differ from the old one's. InputError, one sentence, for what cannot be."""
    value = parse(field, text)
    if field.path == "method":
        config = with_changes(PRESETS[value], differing(preset(config, device), config))
    return resolved(with_value(config, field.path, value), device)


def preset(config: TrainConfig, device: DeviceName) -> TrainConfig:
    """The values that the method of ``config`` stands for, resolved for ``device``."""
    return resolved(PRESETS[config.method], device)


def unlike_preset(config: TrainConfig, device: DeviceName) -> dict[str, object]:
    """What of a resolved configuration is not as its method has it, by dotted name, with the method's values."""
    return differing(config, preset(config, device))
