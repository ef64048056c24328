"""The benchmark of the CUDA engine: every part at tiny sizes, with a clock that runs all work and measures nothing."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks import cuda, cuda_checks, cuda_gsplat, cuda_kernels, cuda_limits, cuda_table, cuda_train
from benchmarks.cuda_limits import Work
from benchmarks.cuda_measure import Bench, Cost, Deadline, EventClock, Job, Limits, Row, Timing
from benchmarks.cuda_scene import TIME, Sight, camera_of, random_scene
from benchmarks.cuda_step import draw, prepared
from renderer.camera import Camera
from renderer.cuda import splat
from renderer.slicing import alive_at, slice_at
from renderer.splat import Splats, reference
from renderer.splat import splat as splat_3d
from tests.cuda_fixtures import need

CPU = torch.device("cpu")
SIZE = (40, 24)
LATER = 60.0


class OneRun:
    """Runs each job once."""

    def __init__(self) -> None:
        self.jobs = 0

    def time(self, job: Job) -> Timing:
        job()
        self.jobs += 1
        return Timing(2.0, 4.0)

    def peak(self, job: Job) -> float:
        job()
        return 3.0

    def wait(self) -> None:
        pass


@pytest.fixture
def bench(kernels_on: torch.device) -> Iterator[Bench]:
    splat.forget_rooms()
    yield Bench(kernels_on, OneRun(), Limits(1e9, 1e12))
    splat.forget_rooms()


def by_name(rows: Iterator[Row]) -> dict[str, Row]:
    found = {row.name: row for row in rows}
    assert all(row.ok for row in found.values()), [str(row) for row in found.values() if not row.ok]
    for row in found.values():
        values = [value for value in row.facts.values() if not isinstance(value, str)]
        assert all(math.isfinite(value) for value in values), str(row)
        assert row.name in str(row)
    return found


def test_half_of_the_scene_is_alive() -> None:
    camera = camera_of(960, 540)
    scene = random_scene(20_000, camera, CPU)
    assert len(alive_at(scene, TIME)) / len(scene) == pytest.approx(0.5, abs=0.015)
    splats = slice_at(scene, TIME, torch.zeros(3)).splats
    seen = reference.project(splats, camera, torch.eye(4))
    radii = seen.radii[seen.radii > 0].double()
    assert 0.75 < len(radii) / len(splats) < 0.95  # others are off the screen or too faint
    assert 4 <= float(radii.quantile(0.5)) <= 8 and float(radii.quantile(0.99)) < 25
    assert 0.05 < float(scene.velocities().norm(dim=1).median()) < 0.15
    again = random_scene(20_000, camera, CPU)
    assert all(torch.equal(a, b) for a, b in zip(scene.parameters.values(), again.parameters.values(), strict=True))


def test_what_there_is_to_do_is_what_the_reference_finds(kernels_on: torch.device) -> None:
    camera = camera_of(*SIZE)
    scene = random_scene(150, camera, kernels_on)
    work = prepared(scene, Sight.of(camera, kernels_on)).work
    splats = slice_at(random_scene(150, camera, CPU), TIME, torch.zeros(3), backend="reference").splats
    radii = splat_3d(splats, camera, backend="reference").radii
    pixels = torch.cartesian_prod(torch.arange(SIZE[0]), torch.arange(SIZE[1]))
    counts, _ = reference.contributions(splats, camera, torch.eye(4), pixels)
    assert (work.gaussians, work.drawn, work.pixels, work.tiles) == (150, int((radii > 0).sum()), 960, 6)
    assert work.drawn <= work.pairs <= 6 * work.drawn
    assert work.contributions == pytest.approx(float(counts.sum()), rel=0.1)  # 4,096 pixels drawn by chance


def test_copies_and_sums_are_what_they_claim(kernels_on: torch.device) -> None:
    from renderer.cuda.launch import launch

    source = torch.arange(4 * 700, dtype=torch.float32, device=kernels_on)
    target = torch.full((4 * 700 + 4,), -1.0, device=kernels_on)
    launch(cuda_limits.LIMITS, "copy_values", 2, 256, source, target, 700)
    assert torch.equal(target[:-4], source) and bool((target[-4:] == -1).all())
    out = torch.empty(512, device=kernels_on)
    launch(cuda_limits.LIMITS, "multiply_add", 2, 256, out, 3, 0.5, 1.0)
    chains = (torch.arange(512)[:, None] + torch.arange(16)).double()
    steps = cuda_limits.CHAIN_FLOPS // 32 * 3  # two flops in each of 16 chains
    expected = (chains * 0.5**steps + sum(0.5**k for k in range(steps))).sum(1)
    torch.testing.assert_close(out.cpu().double(), expected, rtol=1e-6, atol=0)


def test_limits_are_those_of_the_kernels_times(kernels_on: torch.device) -> None:
    found = cuda_limits.measured(kernels_on, OneRun(), quads=64, blocks=2, rounds=3)
    assert found.bandwidth == pytest.approx(2 * 64 * 16 / 2e-3)
    assert found.rate == pytest.approx(2 * 16 * 8 * 3 * 512 / 2e-3)
    assert [row.name for row in cuda_limits.limits_rows(found)] == ["copied", "multiplied and added, float32"]
    assert found.of(Cost(1024, 1024 * 128 * 3)) == (pytest.approx(1.0), pytest.approx(1.0 * 2))


class FakeEvent:
    """Knows how many jobs were done when it was recorded; each takes 7 ms."""

    done = 0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at = FakeEvent.done

    def elapsed_time(self, end: FakeEvent) -> float:
        return 7.0 * (end.at - self.at)


def test_the_device_is_timed_behind_a_full_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeEvent.done = 0
    said: list[str] = []
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: said.append("wait"))
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: said.append("sleep"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: said.append("reset"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 5 << 20)

    def job() -> None:
        FakeEvent.done += 1
        said.append("job")
        time.sleep(2e-3)

    timing = EventClock(runs=9, seconds=0.1).time(job)
    assert timing.device == 7.0 and 2.0 <= timing.whole < 50
    n = (len(said) - 3 - 5 - 5) // 2  # of runs, for which there is time
    assert 5 <= n <= 9
    runs = ["job"] * n
    assert said == ["job"] * 3 + ["wait"] + ["job"] * 5 + ["wait", *runs, "wait", "sleep", *runs, "wait"]
    said.clear()
    assert EventClock(1, 1.0).peak(job) == 5.0
    assert said == ["wait", "reset", "job", "wait"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_copy_takes_as_long_as_its_bytes() -> None:
    """Twice as many take about twice as long, and no card has a hundred terabytes per second."""
    clock = EventClock(runs=20, seconds=0.5)
    found = [cuda_limits.measured(torch.device("cuda"), clock, quads, 512, 2048) for quads in (1 << 24, 1 << 25)]
    assert all(1e10 < f.bandwidth < 1e14 and 1e11 < f.rate < 1e16 for f in found)
    assert found[0].bandwidth == pytest.approx(found[1].bandwidth, rel=0.5)
    assert clock.peak(lambda: torch.empty(1 << 20, device="cuda")) >= 4


def test_costs_of_a_step_are_those_of_its_stages() -> None:
    work = Work(gaussians=1000, drawn=400, pairs=900, contributions=5e4, pixels=3000, tiles=60)
    assert cuda_limits.updating(161 * 1000).bytes == 28 * 161 * 1000
    assert sum(v[0].numel() for v in random_scene(1, camera_of(8, 8), CPU).parameters.values()) == cuda_limits.VALUES
    # three passes over short keys: read twice, written once, rows read and written; tiles of six bits need one
    assert cuda_limits.sorting(10, 24, 4).bytes == 10 * (3 * 20 - 4)
    assert cuda_limits.sorting(10, 6, 2, first_rows=True).bytes == 10 * 14
    stages = (cuda_limits.drawing, cuda_limits.drawing_backward)
    parts = [stage(work) for stage in stages] + [cuda_limits.comparing(3000), cuda_limits.comparing_backward(3000)]
    whole = cuda_limits.learning(work)
    assert whole.bytes == pytest.approx(sum(p.bytes for p in parts) + 28 * 161_000)
    assert whole.flops == pytest.approx(sum(p.flops for p in parts) + 12 * 161_000)


def test_the_table_has_every_time_of_every_case(bench: Bench) -> None:
    rows = by_name(cuda_table.table(bench, (60, 150), (SIZE,), Deadline(LATER)))
    assert float(rows["150 at 40x24"].facts["pairs"]) > 50
    assert rows["60 at 40x24, view"].facts["frames per second"] == 250
    for way in ("splats", "pixels"):
        for what in ("forward", "backward", "step"):
            facts = rows[f"150 at 40x24, {way}: {what}"].facts
            assert facts["ms"] == 2 and float(facts["bytes"]) > 0 and float(facts["arithmetic"]) > 0
        assert facts["steps per second"] == 250 and facts["peak MiB"] == 3
    assert isinstance(bench.clock, OneRun) and bench.clock.jobs == 2 * 7


def test_what_there_is_no_time_for_is_named(bench: Bench) -> None:
    parts: tuple[Iterator[Row], ...] = (
        cuda_table.table(bench, (60,), (SIZE,), Deadline(0)),
        cuda_gsplat.compare(bench, (60,), (SIZE,), stand_in_for_gsplat, Deadline(0)),
    )
    for rows in parts:
        assert [(row.name, row.ok) for row in rows] == [("60 at 40x24: left out, no time", False)]
    left_out = list(cuda_kernels.kernels(bench, cuda_kernels.Sizes(), Deadline(0)))
    assert len(left_out) == 6 and not any(row.ok for row in left_out)
    assert isinstance(bench.clock, OneRun) and bench.clock.jobs == 0


def test_a_scene_too_large_for_the_card_leaves_the_other_cases(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cuda_table.case

    def case(bench: Bench, name: str, count: int, size: cuda_table.Size) -> Iterator[Row]:
        if count == 70:
            raise torch.OutOfMemoryError("no")
        yield from whole(bench, name, count, size)

    monkeypatch.setattr(cuda_table, "case", case)
    rows = {row.name: row.ok for row in cuda_table.table(bench, (70, 60), (SIZE,), Deadline(LATER))}
    assert not rows["70 at 40x24: does not fit into the memory"]
    assert rows["60 at 40x24, pixels: step"]


TINY = cuda_kernels.Sizes(gaussians=100, size=SIZE, points=65, nodes=4, rays=5, samples=40)


def test_every_kernel_is_measured(bench: Bench) -> None:
    rows = by_name(cuda_kernels.kernels(bench, TINY, Deadline(LATER)))
    names = "\n".join(rows)
    for kernel in ("project", "project, backward", "list by tiles", "blend", "blend, backward by splats",
                   "blend, backward by pixels", "sort 100 depths", "sort 400 pairs, torch.sort", "Adam",
                   "Adam, of what is drawn", "Adam, torch's fused one", "L1 and SSIM at 40x24, backward",
                   "look 65 points up, backward", "composite 5 rays of 40, backward"):  # fmt: skip
        assert kernel in rows, names
    assert ("cupy" in names) == bench.device.type.startswith("cuda")


def test_the_planes_are_those_of_the_distortion_field() -> None:
    need("cv2", "safetensors", "scipy")
    from training.config import PRESETS, resolved
    from training.distortion import DistortionField

    field = resolved(PRESETS["sparsecam4d"], "cuda").distortion
    made = DistortionField(
        replace(field, space_nodes=8), torch.tensor([[0.0] * 3, [1.0] * 3]), cuda_kernels.FRAMES, cuda_kernels.POSES, 0
    )
    assert made.parts[0].planes.layout == cuda_kernels.ennea(8)
    assert field.space_nodes == cuda_kernels.SPACE_NODES == cuda_kernels.Sizes().nodes


def test_the_engine_passes_its_checks(kernels_on: torch.device) -> None:
    rows = by_name(cuda_checks.checks(kernels_on, 60, SIZE))
    for name in ("color, splats", "v_positions, pixels", "v_pose, splats", "sort", "Adam", "planes", "v_points"):
        assert name in rows


def test_a_wrong_gradient_is_seen(kernels_on: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    right = cuda_checks.by_engine

    def wrong(*given: Any) -> cuda_checks.Results:
        found = right(*given)
        found["v_left"] = found["v_left"] * 1.01
        return found

    monkeypatch.setattr(cuda_checks, "by_engine", wrong)
    rows = list(cuda_checks.checks(kernels_on, 60, SIZE))
    assert [row.name for row in rows if not row.ok] == ["v_left, splats", "v_left, pixels"]
    assert str(next(row for row in rows if not row.ok)).startswith("! v_left")


def test_learning_from_three_cameras_comes_nearer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_train, "INSTANTS", 2)
    monkeypatch.setattr(cuda_train, "AT_ONCE", 8)
    (row,) = by_name(cuda_train.train(bench, 100, SIZE, 0.01)).values()
    assert int(row.facts["steps"]) % 8 == 0 and float(row.facts["seconds"]) >= 0.01
    assert float(row.facts["steps per second"]) == pytest.approx(
        float(row.facts["steps"]) / float(row.facts["seconds"])
    )
    sights = cuda_train.sights_of(SIZE, bench.device)
    scene = random_scene(100, camera_of(*SIZE), bench.device)
    with torch.no_grad():
        seen = [float(draw(scene, sight).opacity.mean()) for sight in sights]
    assert len(seen) == 3 and min(seen) > 0.3 * max(seen)


def stand_in_for_gsplat(
    means: Tensor, quats: None, scales: None, opacities: Tensor, colors: Tensor, viewmats: Tensor, Ks: Tensor,
    width: int, height: int, *, near_plane: float, packed: bool, render_mode: str, covars: Tensor,
) -> tuple[Tensor, Tensor, dict[str, Any]]:  # fmt: skip
    """gsplat's arguments, its results and their shapes, by the reference."""
    assert covars.shape == (len(means), 3, 3) and Ks.shape == (1, 3, 3) and render_mode == "RGB+D" and not packed
    K = Ks[0].tolist()
    camera = Camera(viewmats[0].detach().cpu().numpy(), K[0][0], K[1][1], K[0][2], K[1][2], width, height, near_plane)
    splats = Splats(means, reference.pack_symmetric(covars), opacities, colors)
    image = splat_3d(splats, camera, backend="reference")
    pixels = torch.cat([image.color, image.depth[..., None]], dim=2)
    return pixels[None], image.opacity[None, ..., None], {}


def test_gsplat_gets_the_same_gaussians(bench: Bench) -> None:
    rows = by_name(cuda_gsplat.compare(bench, (80,), (SIZE,), stand_in_for_gsplat, Deadline(LATER)))
    apart = rows["80 at 40x24, difference of the pictures"].facts
    assert 0 < float(apart["most"]) < 1e-3
    for who in ("engine, splats", "engine, pixels", "gsplat"):
        assert rows[f"80 at 40x24, {who}: forward and backward"].facts["peak MiB"] == 3


def test_without_gsplat_a_line_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_gsplat, "TRIAL", "raise ModuleNotFoundError('no gsplat')")
    rows = list(cuda.beside_gsplat(bench, cuda.QUICK, Deadline(LATER)))
    assert [(row.name, row.ok) for row in rows] == [("gsplat does not run: ModuleNotFoundError: no gsplat", True)]
    monkeypatch.setattr(cuda_gsplat, "TRIAL", "import time; time.sleep(60)")
    assert cuda_gsplat.trouble(0.1) == "gsplat did not draw a first picture within 1 s"


@pytest.mark.parametrize(
    ("script", "ok", "said"),
    [("print('2 passed')", True, "2 passed"), ("print('1 failed'); exit(1)", False, "1 failed"),
     ("import time; print('begun', flush=True); time.sleep(60)", False, "did not end within 1 s\nbegun")],
)  # fmt: skip
def test_another_process_is_told_of_in_a_row(script: str, ok: bool, said: str) -> None:
    row = cuda_checks._run("it", [sys.executable, "-c", script], 1.0 if "time" in script else LATER, {})
    assert row.ok == ok and said in str(row)


@pytest.mark.parametrize(("said", "ok"), [("2 skipped in 1s", False), ("1 passed, 1 skipped in 1s", True)])
def test_tests_that_are_all_skipped_show_nothing(said: str, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_checks, "_run", lambda name, *_: Row(name, {"": said}))
    (row,) = cuda_checks.run_tests(LATER)
    assert row.ok == ok


def test_parts_that_fail_leave_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: Any) -> Iterator[Row]:
        yield Row("begun")
        raise RuntimeError("the card is gone")

    def passing(*_: Any) -> Iterator[Row]:
        yield Row("measured", {"ms": 1.5})

    def small(device: torch.device, clock: Any) -> Limits:
        return cuda_limits.measured(device, bench.clock, 16, 1, 1)

    monkeypatch.setattr(cuda, "PARTS", {"table": failing, "kernels": passing})
    monkeypatch.setattr(cuda_limits, "limits", small)
    assert cuda.measure(bench.device, cuda.QUICK, ["table", "kernels"], tmp_path) == 1
    said = capsys.readouterr().out
    assert "! table stopped: RuntimeError: the card is gone" in said and "measured" in said
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("cuda-")
    found = json.loads(path.read_text())
    assert found["device"]["torch"] == torch.__version__ and found["device"]["card"] and found["date"]
    assert found["parts"]["kernels"] == [{"name": "measured", "ok": True, "ms": 1.5}]
    assert [row["ok"] for row in found["parts"]["table"]] == [True, False]
    assert len(found["parts"]["limits"]) == 2


def test_options_choose_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[str], cuda.Sizes]] = []

    def measure(device: torch.device, sizes: cuda.Sizes, wanted: list[str], path: Path | None) -> int:
        asked.append((wanted, sizes))
        return 0

    monkeypatch.setattr(cuda, "measure", measure)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def run(*options: str) -> tuple[list[str], cuda.Sizes]:
        monkeypatch.setattr(sys, "argv", ["benchmarks.cuda", *options])
        assert cuda.main() == 0
        return asked.pop()

    assert run()[0] == ["checks", "table", "gsplat", "kernels", "train"]
    assert run("--tests", "--sanitize")[0] == list(cuda.BUDGETS)
    assert run("--only", "kernels", "checks", "--quick") == (["checks", "kernels"], cuda.QUICK)
    assert run("--train", "7")[1].steps_for == 7


def test_without_a_gpu_it_says_so_and_does_nothing() -> None:
    command = [sys.executable, "-m", "benchmarks.cuda"]
    done = subprocess.run(
        command, cwd=cuda_checks.ROOT, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    )  # fmt: skip
    assert done.returncode == 2 and len(done.stdout.splitlines()) == 1 and "NVIDIA GPU" in done.stdout


def test_it_needs_torch_cupy_and_numba_alone() -> None:
    absent = {"scipy", "cv2", "imageio", "safetensors", "tyro", "torchvision", "PIL", "OpenGL", "dearpygui", "lpips"}
    script = f"""
import sys, importlib.abc
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from benchmarks import cuda
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=cuda_checks.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
