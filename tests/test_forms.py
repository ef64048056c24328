"""Forms hold every setting, with its help, and give back what was typed."""

import dataclasses
from typing import Literal

import pytest

from app import forms
from app.forms import field_of, fields_of, parse, search, text_of, with_value
from renderer.errors import InputError
from training.config import PRESETS, TrainConfig, changes, flattened, resolved
from training.live import FIXED, LIVE

BASE = TrainConfig()
FIELDS = fields_of(BASE)


def test_every_setting_has_a_field_with_help_and_a_kind_that_fits_its_value() -> None:
    assert [f.path for f in FIELDS] == list(flattened(BASE))
    assert len(FIELDS) > 100
    types = {"int": int, "float": (float, int), "bool": bool, "choice": str, "choices": tuple, "text": str,
             "ints": tuple, "words": tuple}  # fmt: skip
    for preset in PRESETS.values():
        for f in FIELDS:
            value = flattened(preset)[f.path]
            assert len(f.help) > 8 and f.label and f.group, f
            assert (value is None and f.optional) or isinstance(value, types[f.kind]), f
            assert (f.kind == "bool") == isinstance(value, bool), f
            assert bool(f.choices) == (f.kind in ("choice", "choices")), f
            if f.kind == "choice":
                assert value in f.choices


def test_help_is_the_whole_text_below_the_field_on_one_line() -> None:
    assert field_of(FIELDS, "densify.interval").help == "Steps between two rounds."
    long = field_of(FIELDS, "distortion.plane_rate").help
    assert long.startswith("Adam's step size for the planes") and long.endswith("longer steps in proportion.")
    assert field_of(FIELDS, "data.frame_step").help == "Use every N-th frame only."  # of another module
    assert field_of(FIELDS, "ddr.samples").help == "K, samples per ray."


def test_fields_of_a_component_stand_together() -> None:
    groups = [f.group for f in FIELDS]
    assert len(dict.fromkeys(groups)) == 1 + sum(dataclasses.is_dataclass(v) for v in vars(BASE).values())
    assert all(groups[i] == g or g not in groups[i:] for i, g in zip(range(1, len(groups)), groups, strict=False))
    assert (field_of(FIELDS, "ddr.weight").group, field_of(FIELDS, "seed").group) == ("DDR", "Run")


def test_what_none_means_is_said_for_the_device() -> None:
    gpu = fields_of(BASE, "cuda")
    assert (field_of(FIELDS, "steps").automatic, field_of(gpu, "steps").automatic) == (6_000, 30_000)
    assert field_of(fields_of(resolved(BASE, "cpu")), "densify.max_gaussians").automatic == 80_000
    time_gradient = field_of(FIELDS, "densify.time_gradient")
    assert time_gradient.optional and time_gradient.automatic is None  # none at all
    assert {f.path for f in FIELDS if f.optional} == {n for n, v in flattened(BASE).items() if v is None}


def test_fields_say_which_settings_may_change_while_a_run_goes_on() -> None:
    assert {f.path for f in FIELDS if f.live} == LIVE
    assert {f.path for f in FIELDS if not f.live} == FIXED


def test_words_are_found_in_names_and_help_names_first() -> None:
    assert [f.path for f in search(FIELDS, "densification INTERVAL")] == ["densify.interval"]
    found = [f.path for f in search(FIELDS, "opacity")]
    assert found[0] == "rates.opacity" and "densify.min_opacity" in found
    assert [f.path for f in search(FIELDS, "max_gaussians")] == ["densify.max_gaussians"]
    assert "cameras.anchor" in [f.path for f in search(FIELDS, "gauge")]  # in its help alone
    named = [f.path for f in search(FIELDS, "weight")]
    assert named.index("ddr.weight") < named.index("loss.rigid")  # that only has it in its help
    assert search(FIELDS, "xylophone") == () and search(FIELDS, "  ") == FIELDS


@pytest.mark.parametrize("method", sorted(PRESETS))
def test_what_is_shown_is_read_back_as_the_same_value(method: str) -> None:
    for config in (PRESETS[method], resolved(PRESETS[method], "cpu")):
        for f in FIELDS:
            value = flattened(config)[f.path]
            again = parse(f, text_of(f, value))
            assert again == value and type(again) is type(value), f


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("densify.max_gaussians", "1,200,000", 1_200_000),
        ("densify.max_gaussians", " auto ", None),
        ("steps", "6e3", 6000),
        ("steps", "30 000", 30_000),
        ("rates.position", "1.6e-4", 1.6e-4),
        ("cameras.enabled", "On", True),
        ("depth.source", "Midas-Like", "midas-like"),
        ("distortion.heads", "scales positions", ("scales", "positions")),
        ("distortion.levels", "1,2,4", (1, 2, 4)),
        ("data.cameras", "left cam, right cam", ("left cam", "right cam")),
        ("data.cameras", "", ()),
        ("data.train_frames", "0 11", (0, 11)),
        ("depth.folder", "a folder", "a folder"),
    ],
)
def test_people_may_write_as_they_are_used_to(path: str, text: str, value: object) -> None:
    assert parse(field_of(FIELDS, path), text) == value


@pytest.mark.parametrize(
    ("path", "text", "asked_for"),
    [
        ("steps", "many", "whole number"),
        ("steps", "2.5", "whole number"),
        ("steps", "0", "1 or more"),
        ("seed", "", "whole number"),  # need not be left out
        ("rates.position", "0", "1e-12 or more"),
        ("loss.dssim", "nan", "a number"),
        ("loss.dssim", "-0.1", "0 or more"),
        ("loss.dssim", "inf", "a number"),
        ("cameras.enabled", "perhaps", "yes or no"),
        ("depth.kind", "deep", "auto, disparity, depth"),
        ("distortion.levels", "1 two", "whole numbers"),
        ("distortion.levels", "1 0", "1 or more"),
        ("distortion.heads", "heart", "positions, left"),
    ],
)
def test_what_makes_no_sense_is_answered_with_what_does(path: str, text: str, asked_for: str) -> None:
    with pytest.raises(InputError, match=asked_for) as problem:
        parse(field_of(FIELDS, path), text)
    assert str(problem.value).startswith("--" + path.replace("_", "-"))
    assert "\n" not in str(problem.value)


def test_a_value_is_put_in_its_place_and_nowhere_else() -> None:
    config = with_value(BASE, "densify.interval", 50)
    assert changes(config) == {"densify.interval": 50}
    assert flattened(config)["densify.interval"] == 50
    with pytest.raises(InputError, match="interval"):
        with_value(BASE, "densify.interval", 0)
    with pytest.raises(InputError, match="fov"):
        with_value(BASE, "data.fov", 0.0)
    with pytest.raises(KeyError):
        with_value(BASE, "densify.colour", 1)


def test_a_setting_without_a_widget_is_refused_rather_than_left_out() -> None:
    assert forms._shape(tuple[Literal["a", "b"], ...]) == ("choices", ("a", "b"), False)
    assert forms._shape(float | None) == ("float", (), True)
    for hint in (dict[str, int], tuple[int, int], int | str):
        with pytest.raises(TypeError):
            forms._shape(hint)
