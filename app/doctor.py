"""``dynview doctor``: what this machine has, what each missing thing switches off, and how to get it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from tqdm import tqdm

from app.console import JsonFile
from renderer.files.complete import write_whole
from training.ddr_config import DepthConfig
from training.perceptual import BACKBONES, fetch_command

State = Literal["there", "missing", "low", "unknown"]
PATIENCE = 10.0
"""Seconds that a look may take."""
AT_ONCE = 2
"""Looks that are taken at the same time: they share the cores."""
SIGNS: dict[State, str] = {"there": "ok", "missing": "missing", "low": "low", "unknown": "unknown"}


@dataclass(frozen=True)
class Check:
    """A thing to look at. ``probe``: of :mod:`app.probes`, with its ``arguments``. ``without``: what does not work
    where it is missing or low. ``remedy``: how to get it."""

    name: str
    probe: str
    without: str
    remedy: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What a look found. ``found``: in words. ``without``, ``remedy``: of the check, empty where the thing is there."""

    name: str
    state: State
    found: str
    without: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Doctor:
    """Say what this machine has, what each missing thing switches off, and how to get it.

    Nothing is downloaded or changed; what does not answer within ten seconds is said to be unknown.
    """

    report_to: JsonFile = None
    """Write the findings to this file."""

    def __call__(self) -> None:
        findings = []
        for finding in examined(checks()):
            tqdm.write(as_line(finding))
            findings.append(finding)
        lacking = [f for f in findings if f.state != "there"]
        tqdm.write(f"{len(findings) - len(lacking)} of {len(findings)} things are there")
        if self.report_to:
            text = json.dumps({"findings": [asdict(f) for f in findings], "python": sys.version.split()[0]}, indent=1)
            write_whole(self.report_to, text + "\n")


def checks() -> tuple[Check, ...]:
    """All that there is to look at, in the order in which it is told."""
    hub = Path(torch.hub.get_dir()) / "checkpoints"
    alex, vgg = (str(hub / BACKBONES[name][1]) for name in ("alex", "vgg"))
    model = DepthConfig().model
    window = "dynview-gui cannot open its window; all commands work"
    return (
        Check("NVIDIA GPU", "gpu", "everything is computed by the processor",
              "install NVIDIA's driver, where there is a GPU"),
        Check("GPU kernels", "kernels", "a GPU is not used",
              "install torch built for CUDA, and pip install cupy-cuda13x"),
        Check("OpenGL 3.3", "opengl", window,
              "install the graphics driver, or libegl1, libegl-mesa0 and libgl1-mesa-dri"),
        Check("display", "display", window, "log in at a screen, or start a virtual one: xvfb-run dynview-gui"),
        Check("window toolkit", "packages", window, "pip install dearpygui glfw pyopengl",
              ("dearpygui", "glfw", "pyopengl")),
        Check("video encoders", "encoders", "videos cannot be written or read; pictures can",
              "pip install --force-reinstall imageio-ffmpeg"),
        Check("LPIPS (AlexNet)", "weights", "a stand-in without learned weights measures in LPIPS' place, under its "
              "own name", fetch_command("alex"), (alex,)),
        Check("LPIPS (VGG16)", "weights", "settings that name vgg as the perceptual network", fetch_command("vgg"),
              (vgg,)),
        Check("depth network", "depth", "--depth.source model; depth by files and by triangulation works",
              f"pip install 'dynview[depth]', then hf download {model}", (model,)),
        Check("pycolmap", "packages", "poses of videos that come without them cannot be found by reconstruction",
              "pip install pycolmap", ("pycolmap",)),
        Check("disk", "disk", "checkpoints and videos may not fit", "make room, or give --out on another disk",
              ("runs", tempfile.gettempdir())),
        Check("memory", "memory", "large clips and scenes may not fit",
              "close other programs, or learn smaller: --data.megapixels 0.1"),
        Check("threads", "threads", "training is slow", "give the process more cores, and unset OMP_NUM_THREADS"),
    )  # fmt: skip


def examined(asked: Sequence[Check], patience: float = PATIENCE) -> Iterator[Finding]:
    """The findings in the order of the checks, each as soon as it is known. ``patience``: seconds for each."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda check: examine(check, patience), asked)


def examine(check: Check, patience: float = PATIENCE) -> Finding:
    """Take one look, in a process that is ended with all that it started when its time is over. Never raises."""
    state, found = answer_of([sys.executable, "-P", "-m", "app.probes", check.probe, *check.arguments], patience)
    return Finding(check.name, state, found, *(("", "") if state == "there" else (check.without, check.remedy)))


def answer_of(command: Sequence[str], patience: float) -> tuple[State, str]:
    """What a process that looks at something says; unknown, and why, where it does not say it in time."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, env=_environment(),
        )  # fmt: skip
    except OSError as problem:
        return "unknown", f"the look could not be taken ({problem.strerror})"
    try:
        said, complaint = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        _end(process)
        return "unknown", f"no answer within {patience:g} seconds"
    if process.returncode < 0:
        return "unknown", f"looking crashed ({signal.Signals(-process.returncode).name})"
    try:
        told = json.loads(said.strip().splitlines()[-1])
        state, found = told["state"], str(told["found"])
    except (ValueError, KeyError, TypeError, IndexError):
        last = complaint.strip().splitlines()[-1:] or [f"it ended with {process.returncode}"]
        return "unknown", f"looking failed ({last[0][:200]})"
    return (state, found) if state in SIGNS else ("unknown", found)


def _environment() -> dict[str, str]:
    """In which a process finds this package, and not what the present folder happens to call app."""
    root = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}


def _end(process: subprocess.Popen[str]) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()


def as_line(finding: Finding) -> str:
    """A finding for reading: what is there, and below it what is off and how to get it."""
    lines = [f"{finding.name:<16} {SIGNS[finding.state]:<8} {finding.found}"]
    if finding.state != "there":
        lines += [f"{'':<25} off: {finding.without}", f"{'':<25} get: {finding.remedy}"]
    return "\n".join(lines)
