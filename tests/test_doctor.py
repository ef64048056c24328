"""The doctor says what is there and what is not, whatever its looks do."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil
import pytest

from app import doctor, probes
from app.doctor import Check, Doctor, answer_of, as_line, checks, examine, examined
from renderer.errors import InputError


def look(probe: str, *arguments: str) -> Check:
    return Check("a thing", probe, "something is off", "get it", arguments)


def test_every_thing_is_looked_at_and_a_report_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On any machine: what is there is not off, and what is not is, with a way to get it. Twice the time, as other
    tests run beside."""
    monkeypatch.setattr(doctor, "PATIENCE", 20.0)
    monkeypatch.setattr(doctor, "examined", lambda asked: examined(asked, 20.0))
    Doctor(tmp_path / "new" / "doctor.json")()
    told = capsys.readouterr().out
    report = json.loads((tmp_path / "new" / "doctor.json").read_text())
    findings = report["findings"]
    assert [f["name"] for f in findings] == [c.name for c in checks()]
    for finding in findings:
        assert finding["state"] in doctor.SIGNS and finding["found"]
        assert bool(finding["without"]) == bool(finding["remedy"]) == (finding["state"] != "there")
        assert finding["found"] in told and finding["remedy"] in told
    by_name = {f["name"]: f for f in findings}
    for name in ("video encoders", "window toolkit"):  # what the tests themselves need
        assert by_name[name]["state"] == "there", by_name[name]
    for name in ("GPU kernels", "disk", "memory", "threads"):
        assert by_name[name]["state"] in ("there", "missing", "low"), by_name[name]
    assert f"{sum(f['state'] == 'there' for f in findings)} of {len(findings)} things are there" in told


def test_a_report_that_cannot_be_written_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "checks", lambda: ())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        Doctor(tmp_path / "file" / "doctor.json")()


def test_a_look_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    child = f"import time, pathlib, os; pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child + '; time.sleep(60)'!r}])"
    began = time.monotonic()
    assert answer_of([sys.executable, "-c", program], 3.0) == ("unknown", "no answer within 3 seconds")
    assert time.monotonic() - began < 15
    number = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "what it started goes on"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "looking crashed (SIGSEGV)"),
        ("raise RuntimeError('a broken driver')", "looking failed (RuntimeError: a broken driver)"),
        ("raise SystemExit(3)", "looking failed (it ended with 3)"),
        ("print('[1, 2]')", "looking failed (it ended with 0)"),
        ("print('no JSON')", "looking failed (it ended with 0)"),
    ],
)
def test_a_look_that_crashes_or_says_nothing_is_said_to_be_unknown(program: str, sentence: str) -> None:
    assert answer_of([sys.executable, "-c", program], 20.0) == ("unknown", sentence)


def test_a_look_may_be_chatty_before_it_answers() -> None:
    program = 'print(\'libEGL warning\'); print(\'{"state": "there", "found": "it"}\')'
    assert answer_of([sys.executable, "-c", program], 20.0) == ("there", "it")
    assert answer_of([sys.executable, "-c", 'print(\'{"state": "ill", "found": "it"}\')'], 20.0)[0] == "unknown"


def test_an_interpreter_that_is_not_there_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    finding = examine(look("threads"))
    assert finding.state == "unknown" and "No such file" in finding.found and finding.remedy == "get it"
    assert as_line(finding).splitlines()[1].endswith("off: something is off")


def test_a_folder_called_app_is_not_taken_for_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise RuntimeError('another app')")
    monkeypatch.chdir(tmp_path)
    assert examine(look("packages", "numpy"), 20.0).state == "there"


class Driver:
    """NVIDIA's driver as a library, with so many GPUs."""

    def __init__(self, count: int, code: int = 0) -> None:
        self.count, self.code = count, code

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.code

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.count
        return 0

    def cuDriverGetVersion(self, number: Any) -> int:  # noqa: N802
        number._obj.value = 13020
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        device._obj.value = number
        return 0

    def cuDeviceGetName(self, text: Any, length: int, device: Any) -> int:  # noqa: N802
        text.value = f"Card {device.value}".encode()
        return 0

    def cuDeviceTotalMem_v2(self, size: Any, device: Any) -> int:  # noqa: N802
        size._obj.value = 8 << 30
        return 0


def test_gpus_are_told_as_their_driver_tells_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(2))
    assert probes.gpu() == ("there", "Card 0, 8 GiB; Card 1, 8 GiB; driver for CUDA 13.2")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(0))
    assert probes.gpu() == ("missing", "an NVIDIA driver without a GPU that it can use (CUDA error 0)")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(1, 999))
    assert probes.gpu()[0] == "missing" and "999" in probes.gpu()[1]


def test_a_display_that_does_not_answer_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert probes.display() == ("missing", "DISPLAY is not set")
    monkeypatch.setenv("DISPLAY", ":98765")
    state, found = probes.display()
    assert state == "missing" and found.startswith("DISPLAY is :98765, ")


def test_weights_are_there_when_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    assert probes.weights(str(path)) == ("missing", f"no a.pth in {tmp_path}")
    path.write_bytes(bytes(1000))
    assert probes.weights(str(path))[0] == "missing"
    path.write_bytes(bytes(2_000_000))
    assert probes.weights(str(path)) == ("there", f"{path}, 2 MB")


def test_a_depth_network_needs_its_package_and_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(probes, "version", lambda name: "4.99")
    state, found = probes.depth("some/model")
    assert state == "missing" and found == f"transformers 4.99, some/model is not in {tmp_path / 'hub'}"
    snapshot = tmp_path / "hub" / "models--some--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"x")
    assert probes.depth("some/model") == ("there", "transformers 4.99, some/model is there")


def test_a_disk_and_a_memory_that_are_almost_full_are_low(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9e9, 1e9, 8e9))
    assert probes.disk(str(tmp_path / "not" / "yet")) == ("there", f"8.0 GB free in {tmp_path}")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9e9, 8e9, 1e9))
    assert probes.disk(str(tmp_path))[0] == "low"
    state = namedtuple("state", "total available")
    monkeypatch.setattr(probes, "_number", lambda path: {"memory.max": 6e9, "memory.current": 5e9}[path.name])
    monkeypatch.setattr(psutil, "virtual_memory", lambda: state(64e9, 32e9))
    assert probes.memory() == ("low", "1.0 of 6.0 GB free")  # a container's limit counts
    monkeypatch.setattr(probes, "_number", lambda path: None)
    assert probes.memory() == ("there", "32.0 of 64.0 GB free")


def test_one_thread_is_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)), raising=False)
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert probes.threads()[0] == "there"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert probes.threads()[0] == "low" and "OMP_NUM_THREADS=1" in probes.threads()[1]


def test_an_encoder_that_lacks_a_codec_says_which_files_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probes.encoders()[0] == "there"
    told = subprocess.CompletedProcess([], 0, " V....D libx264   H.264\n V..... gif  GIF\n", "")
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_version", lambda: "9")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: told)
    state, found = probes.encoders()
    assert state == "missing" and found.endswith("without libvpx-vp9 for .webm")


def test_probes_import_nothing_before_they_look() -> None:
    code = "import sys, app.probes; sys.exit(bool({'torch', 'numpy', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
