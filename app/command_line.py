"""tyro's complaints as one sentence."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from renderer.errors import InputError
from training.config import PRESETS, TrainConfig

T = TypeVar("T")


def parsed(parse: Callable[[], T], program: str) -> T:
    """What ``parse`` returns; InputError with one sentence for arguments that make no sense."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return parse()
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(_one_sentence(complaint.getvalue(), program)) from None


def preset_asked_for(arguments: Sequence[str]) -> TrainConfig:
    """The preset that ``--method`` names, whose values are the defaults of all other options; the first one where it is
    absent, or names none, of which tyro will complain."""
    name = ""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument == "--method":
            name = following
        elif argument.startswith("--method="):
            name = argument.partition("=")[2]
    return PRESETS.get(name, PRESETS["4dgs"])


def _one_sentence(complaint: str, program: str) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", complaint)
    words = re.sub(r"([\s\u2500-\u257f]|-{3,})+", " ", text).strip()
    words = re.sub(r"\s*For full helptext.*$", "", words)
    words = re.sub(r"^(Parsing error|Required options|Unrecognized options)\s*", "", words)
    return f"{words or 'the arguments make no sense'} ({program} --help lists them)"
