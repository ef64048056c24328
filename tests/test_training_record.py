"""Curves of training, settings that are being changed, and the account of what the window costs."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.draft import edited, preset, split, unlike_preset
from app.forms import field_of, fields_of
from app.gui.training.cost import EVERY, CostMeter, cost, of_window, thread_seconds
from app.gui.training.curves import limits
from app.training_record import Record, Track, coming, passed, read_record
from app.words import amount, duration
from renderer.errors import InputError
from training.config import PRESETS, TrainConfig, resolved, with_changes
from training.schedule import Milestone

RUN = resolved(TrainConfig(steps=100), "cpu")


def test_a_track_thins_out_evenly_and_keeps_its_columns_beside_each_other() -> None:
    track = Track(most=10)
    for step in range(1, 1001):
        track.add(step, {"a": step, **({"b": -step} if step > 500 else {})})
    assert 5 <= len(track.steps) <= 10
    assert track.columns["a"] == track.steps
    assert [b == -s if s > 500 else b != b for s, b in zip(track.steps, track.columns["b"], strict=True)].count(
        False
    ) == 0
    gaps = {b - a for a, b in zip(track.steps, track.steps[1:], strict=False)}
    assert max(gaps) <= 2 * min(gaps)
    assert track.at(track.steps[3] + 0.2) == 3


def test_a_track_goes_forward_only() -> None:
    track = Track()
    for step in (1, 2, 2, 1, 3):
        track.add(step, {"a": 0})
    assert track.steps == [1, 2, 3]


def test_what_a_run_has_written_down_comes_before_what_is_seen(tmp_path: Path) -> None:
    lines = [
        *({"step": s, "loss": 1.0, "psnr": 20.0, "size": 7, "parts": {"photometric": 1.0}} for s in (10, 20, 30)),
        {"step": 20, "split": "test", "psnr": 25.0, "ssim": 0.9},
        {"step": 20, "split": "train", "psnr": 99.0, "ssim": 0.9},
        {"step": 20, "changed": {"keep": 3}},
        {"step": 40, "loss": 1.0, "psnr": 20.0, "size": 7, "parts": {}},
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 30, "lo\n[1]\n\n')
    earlier = read_record(path, upto=30)
    assert earlier.track.steps == [10, 20, 30]
    assert earlier.held_out == {20: 25.0}
    now = Record()
    now.step(31, {"psnr": 30.0, "turned": 0.5, "shifted": None}, {"cameras": 0.1})
    whole = now.after(earlier)
    assert whole.track.steps == [10, 20, 30, 31]
    assert whole.track.columns["psnr"] == [20, 20, 20, 30]
    assert whole.track.columns["turned"][3] == 0.5
    assert "shifted" not in whole.track.columns
    assert {"part cameras", "part photometric"} <= whole.track.columns.keys()


def test_a_file_that_is_not_there_is_an_empty_record(tmp_path: Path) -> None:
    assert read_record(tmp_path / "metrics.jsonl", 10).track.steps == []


def test_a_value_that_is_no_number_leaves_the_mean_as_it_was() -> None:
    record = Record()
    for step, psnr in ((1, 10.0), (2, float("nan")), (3, 20.0)):
        record.step(step, {"psnr": psnr}, {})
    assert record.track.columns["psnr"] == pytest.approx([10, 10, 12])


def test_milestones_are_told_before_and_after() -> None:
    schedule = [Milestone(10, "A"), Milestone(20, "B", every=20, last=60), Milestone(70, "C")]
    assert passed(schedule, 45) == [(10, "A"), (20, "B"), (40, "B")]
    assert coming(schedule, 0) == [(10, "A"), (20, "B"), (70, "C")]
    assert coming(schedule, 20, count=2) == [(40, "B"), (70, "C")]
    assert coming(schedule, 60) == [(70, "C")]
    assert coming(schedule, 70) == []


def test_settings_change_at_once_or_wait_for_a_new_run() -> None:
    wanted = with_changes(RUN, {"loss.dssim": 0.3, "scene.points": 5, "generated.batch": 1})
    parts = split(RUN, wanted, done=10)
    assert parts.live == {"loss.dssim": 0.3}
    assert parts.pending.keys() == {"scene.points", "generated.batch"}
    assert "new run" in parts.pending["generated.batch"]
    too_short = split(RUN, replace(RUN, steps=5), done=10)
    assert "10 are done" in too_short.pending["steps"]
    assert split(RUN, RUN, 10) == split(RUN, resolved(RUN, "cpu"), 0)


def test_values_that_nobody_has_set_are_those_of_the_device_that_learns() -> None:
    run = resolved(TrainConfig(), "cuda")
    assert unlike_preset(run, "cuda") == {}
    assert preset(run, "cuda").steps == 30_000
    assert edited(run, field_of(fields_of(run, "cuda"), "batch"), "", "cuda") == run


def test_another_method_keeps_what_a_person_has_set_and_no_value_that_nobody_has() -> None:
    run = resolved(with_changes(TrainConfig(), {"loss.dssim": 0.4}), "cpu")
    wanted = edited(run, field_of(fields_of(run), "method"), "sparsecam4d-released", "cpu")
    assert unlike_preset(wanted, "cpu").keys() == {"loss.dssim"} and wanted.loss.dssim == 0.4
    assert wanted.batch == PRESETS["sparsecam4d-released"].batch != run.batch


def test_another_method_waits_with_all_that_it_brings() -> None:
    method = field_of(fields_of(RUN), "method")
    wanted = edited(replace(RUN, seed=3), method, "ddr", "cpu")
    assert wanted.steps == 100
    assert wanted.seed == 3
    parts = split(RUN, wanted, 0)
    assert parts.live == {}
    assert {"method", "scene.model", "cameras.start", "seed"} <= parts.pending.keys()
    assert unlike_preset(wanted, "cpu") == {"steps": 6000, "seed": PRESETS["ddr"].seed}
    assert unlike_preset(preset(wanted, "cpu"), "cpu") == {}


def test_an_empty_text_is_the_automatic_value_and_a_bad_one_is_refused() -> None:
    steps = field_of(fields_of(RUN), "steps")
    assert edited(RUN, steps, "", "cpu").steps == 6000
    with pytest.raises(InputError, match="--steps"):
        edited(RUN, steps, "0", "cpu")


def test_the_cost_is_what_two_shares_leave() -> None:
    assert cost(0.1, 0.2) == pytest.approx(1 - 0.9 * 0.8)
    assert cost(0, 0) == 0
    assert cost(2, 0.5) == 1
    assert cost(-1, 0.25) == pytest.approx(0.25)


def test_the_meter_counts_the_threads_over_all_cores_while_training() -> None:
    seconds = {1: 0.0}
    meter = CostMeter(lambda: dict(seconds), number_of_cores=4)
    assert not meter.tick(0, training=True)
    seconds[1], seconds[2] = 1.0, 0.6
    assert not meter.tick(EVERY / 2, training=True)
    assert meter.tick(EVERY, training=True)
    assert meter.processor == pytest.approx(1.6 / (EVERY * 4))
    del seconds[2]  # a thread has ended
    assert not meter.tick(EVERY + 0.1, training=False)
    assert not meter.tick(100, training=True)  # what happened while it stood still does not count
    seconds[1] = 1.4
    assert meter.tick(100 + EVERY, training=True)
    assert meter.processor == pytest.approx(0.4 / (EVERY * 4))


def test_threads_of_the_drivers_count_for_the_window() -> None:
    assert [name for name in ("llvmpipe-3", "python:disk$0", "python", "") if of_window(name)] == [
        "llvmpipe-3",
        "python:disk$0",
    ]
    began, deadline, main = time.thread_time(), time.monotonic() + 60, threading.get_native_id()
    before, worked = thread_seconds()[main], time.thread_time()
    while time.thread_time() < worked + 0.05:
        assert time.monotonic() < deadline
        sum(range(10_000))
    worked = time.thread_time() - worked
    assert worked <= thread_seconds()[main] - before <= time.thread_time() - began


def test_amounts_and_times_are_for_people() -> None:
    assert [amount(n) for n in (1500, 2_500_000, 1_230_000_000)] == ["1.5 kB", "2.5 MB", "1.23 GB"]
    assert [duration(s) for s in (5, 65, 3700, float("nan"))] == ["5 s", "1 min 05 s", "1 h 01 min", "?"]


def test_an_axis_has_every_value_within_it() -> None:
    for values, powers in (([1.0, 3.0, float("nan")], False), ([0.0, 1e-4, 2.0], True), ([5.0], False), ([], True)):
        low, high = limits(values, powers)
        assert low < high
        assert all(low < v < high for v in values if v == v and (v > 0 or not powers))
        assert low > 0 or not powers
