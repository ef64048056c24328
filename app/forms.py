"""Settings as forms: every value of :class:`training.config.TrainConfig` with its help, as something to fill in.

All is read off the dataclasses, so that a window, the command line and the settings themselves cannot drift apart.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from renderer.errors import InputError
from training.config import LEAST, TrainConfig, check_values, flattened, resolved, with_changes
from training.data.loading import check_options
from training.device import DeviceName
from training.live import LIVE, option

Kind = Literal["int", "float", "bool", "choice", "choices", "text", "ints", "words"]
SPELLED = {
    "": "run", "dc": "DC", "ddr": "DDR", "densify": "densification", "ds": "DS", "dssim": "D-SSIM",
    "fov": "field of view", "gaussians": "Gaussians", "generated": "generated views", "kl": "KL", "l1": "L1",
    "max": "most", "min": "least", "nerf": "NeRF", "rates": "step sizes", "sh": "SH", "terms": "terms of the field",
}  # fmt: skip
"""Parts of names that people write otherwise."""
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
NOTHING = ("", "auto", "none")
"""Texts for no value of a setting that need not have one."""


@dataclass(frozen=True)
class Field:
    """One setting. ``path``: its dotted name. ``group``: the component that it belongs to, in words. ``choices``: the
    words that a "choice" is one of, and "choices" are some of. ``optional``: whether it may be None, which means
    ``automatic``, or where that is None too what the help says. ``least``: the smallest number. ``live``: whether it
    may change while a run goes on."""

    path: str
    label: str
    help: str
    kind: Kind
    group: str
    choices: tuple[str, ...] = ()
    optional: bool = False
    automatic: object = None
    least: float | None = None
    live: bool = False


def fields_of(config: TrainConfig, device: DeviceName = "cpu") -> tuple[Field, ...]:
    """Every setting in the order of the dataclasses, one group after another. ``device``: for what stands for None
    there."""
    empty: dict[str, object] = {f.path: None for f in _outlines() if f.optional}
    automatic = flattened(resolved(with_changes(config, empty), device))
    return tuple(
        Field(**{**vars(f), "automatic": automatic[f.path] if f.optional else None}) for f in _outlines()
    )  # fmt: skip


def field_of(fields: Sequence[Field], path: str) -> Field:
    """The one of a dotted name; KeyError where there is none."""
    return {f.path: f for f in fields}[path]


def search(fields: Sequence[Field], text: str) -> tuple[Field, ...]:
    """Those in whose name, label, group or help each word of a text occurs; first those whose name or label has them
    all."""

    def has_all(f: Field, with_help: bool) -> bool:
        text_of_field = f"{f.path} {f.path.replace('_', '-')} {f.label} {f.group} {f.help if with_help else ''}".lower()
        return all(word in text_of_field for word in words)

    words = text.lower().split()
    found = [f for f in fields if has_all(f, with_help=True)]
    return tuple(sorted(found, key=lambda f: not has_all(f, with_help=False)))


def with_value(config: TrainConfig, path: str, value: object) -> TrainConfig:
    """The configuration with another value. InputError, one sentence, for a value that cannot be."""
    config = with_changes(config, {path: value})
    check_values(config)
    check_options(config.data)
    return config


def text_of(field: Field, value: object) -> str:
    """A value as a person would type it: :func:`parse` gives it back."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(str(v) for v in value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def parse(field: Field, text: str) -> Any:
    """The value that a text stands for; InputError, one sentence, where it stands for none."""
    text = text.strip()
    if field.optional and text.lower() in NOTHING:
        return None
    try:
        value = READERS[field.kind](field, text)
    except ValueError as problem:
        raise InputError(f"{option(field.path)} {text!r}: {problem}") from None
    for number in value if isinstance(value, tuple) else (value,):
        if field.least is not None and number < field.least:
            raise InputError(f"{option(field.path)} {text}: give {field.least:g} or more")
    return value


# ------------------------------------------------------------------------------------------- kinds of values


def _whole(field: Field, text: str) -> int:
    number = _finite(text)
    if number is None or number != int(number):
        raise ValueError("give a whole number")
    return int(number)


def _number(field: Field, text: str) -> float:
    number = _finite(text)
    if number is None:
        raise ValueError("give a number")
    return number


def _truth(field: Field, text: str) -> bool:
    if text.lower() not in YES + NO:
        raise ValueError("give yes or no")
    return text.lower() in YES


def _choice(field: Field, text: str) -> str:
    for choice in field.choices:
        if choice.lower() == text.lower():
            return choice
    raise ValueError(f"give one of {', '.join(field.choices)}")


def _text(field: Field, text: str) -> str:
    return text


def _wholes(field: Field, text: str) -> tuple[int, ...]:
    numbers = [_finite(word) for word in re.split(r"[\s,;]+", text) if word]
    if any(n is None or n != int(n) for n in numbers):
        raise ValueError("give whole numbers with spaces between them")
    return tuple(int(n) for n in numbers if n is not None)


def _words(field: Field, text: str) -> tuple[str, ...]:
    words = re.split(r"[,;]" if re.search(r"[,;]", text) else r"\s+", text)
    return tuple(word.strip() for word in words if word.strip())


def _choices(field: Field, text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_choice(field, word) for word in _words(field, text)))


def _finite(text: str) -> float | None:
    """A number, also with commas, spaces or underscores between thousands; None for anything else."""
    digits = re.sub(r"(?<=\d)[,_ ](?=\d{3}(\D|$))", "", text)
    try:
        number = float(digits)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in digits else None


READERS: dict[Kind, Callable[[Field, str], object]] = {
    "int": _whole, "float": _number, "bool": _truth, "choice": _choice, "choices": _choices, "text": _text,
    "ints": _wholes, "words": _words,
}  # fmt: skip


# ----------------------------------------------------------------------------------- read off the dataclasses


@lru_cache(maxsize=1)
def _outlines() -> tuple[Field, ...]:
    """Every setting, without what stands for None."""
    return tuple(_walked(TrainConfig, ""))


def _walked(kind: type, prefix: str) -> list[Field]:
    """Settings of a dataclass and then those of its components."""
    hints, helps = get_type_hints(kind), _docstrings(kind)
    own, nested = [], []
    for f in fields(kind):
        if is_dataclass(hints[f.name]):
            nested += _walked(hints[f.name], f"{prefix}{f.name}.")
            continue
        shape, choices, optional = _shape(hints[f.name])
        path, group = prefix + f.name, _spelled(prefix.removesuffix("."))
        own.append(
            Field(
                path, _spelled(f.name), helps.get(f.name, ""), shape, group, choices, optional,
                least=LEAST.get(path), live=path in LIVE,
            )
        )  # fmt: skip
    return own + nested


def _shape(hint: Any) -> tuple[Kind, tuple[str, ...], bool]:
    """Kind, choices, and whether None is allowed, of an annotation; TypeError for one that no form has a widget for."""
    if get_origin(hint) in (Union, types.UnionType):
        inner = [a for a in get_args(hint) if a is not type(None)]
        if len(inner) == 1:
            return (*_shape(inner[0])[:2], True)
    if get_origin(hint) is Literal:
        return "choice", get_args(hint), False
    if get_origin(hint) is tuple and get_args(hint)[1:] == (...,):
        item = get_args(hint)[0]
        if get_origin(item) is Literal:
            return "choices", get_args(item), False
        kinds: dict[Any, Kind] = {int: "ints", str: "words"}
        if item in kinds:
            return kinds[item], (), False
    plain: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}
    if hint in plain:
        return plain[hint], (), False
    raise TypeError(f"no form for {hint}")


def _docstrings(kind: type) -> dict[str, str]:
    """The text under each field of a class, on one line."""
    tree = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    texts = {}
    for here, below in pairwise(body):
        if isinstance(here, ast.AnnAssign) and isinstance(here.target, ast.Name) and isinstance(below, ast.Expr):
            value = below.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                texts[here.target.id] = " ".join(value.value.split())
    return texts


def _spelled(name: str) -> str:
    """A name as a label."""
    words = " ".join(SPELLED.get(part, part) for part in name.split("_"))
    return words[:1].upper() + words[1:]
