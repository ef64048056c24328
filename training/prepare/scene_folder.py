"""The folder that preparing fills: ``prepare.json`` says from what and how, the rest is a clip as training opens it.

SCENE/prepare.json    sources, offsets, frame rate, range, size, versions, and what each step found
SCENE/.prepare/       what the steps keep for the next time; it may be deleted
SCENE/images/         one moving camera: a picture per frame; with its cameras in sparse/0, as COLMAP writes them,
                      or without any
SCENE/NAME.mp4        several cameras that stand still: a synchronised video each, with cameras.json
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from renderer.errors import InputError
from training.checkpoint import write_json
from training.data.one_camera import RECORD
from training.prepare.mapping_types import MappedCameras

KEPT = ".prepare"
FORMAT = 1
FINISHED = {"cameras", "reason", "error", "frames", "fps"}
"""What the record of a finished scene says."""


def key_of(*values: object) -> str:
    """A short text that differs when any of the values, which JSON can hold, differs."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def recorded_inputs(folder: Path) -> str:
    """The key of what a prepared clip was made of; empty where a folder was not prepared."""
    try:
        return str(json.loads((folder / RECORD).read_text())["inputs"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


class SceneFolder:
    """A scene folder that is being prepared, and its record, which is written after every step.

    ``described``: what the record is to say of the clip once that is there.
    """

    def __init__(self, path: Path) -> None:
        """Look what is there; InputError when the folder holds something else."""
        self.path = path
        self.record: dict[str, Any] = {"format": FORMAT, "finished": False, "steps": {}, "written": []}
        self.described: dict[str, Any] = {}
        try:
            if (path / RECORD).is_file():
                self.record = self._read()
            elif path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise InputError(f"{path}: exists and was not made by dynview prepare; choose another --out")
        except OSError as problem:
            raise InputError(f"{path}: cannot be read ({problem.strerror or problem}); choose another --out") from None

    @property
    def kept(self) -> Path:
        """Where steps keep what they made."""
        return self.path / KEPT

    @property
    def finished(self) -> bool:
        """Whether all that was written is there."""
        return bool(self.record["finished"]) and all((self.path / name).exists() for name in self.record["written"])

    def found(self, step: str, key: str) -> Any | None:
        """What a step found when its inputs were those of ``key``; None where it has to be done."""
        entry = self.record["steps"].get(step)
        return entry["result"] if entry is not None and entry["key"] == key else None

    def keep(self, step: str, key: str, result: Any) -> Any:
        """Remember what a step found. Returns it."""
        self.record["steps"][step] = {"key": key, "result": result}
        self.write()
        return result

    def forget(self, step: str) -> None:
        """Remember nothing of a step any more: what it made is about to change."""
        if self.record["steps"].pop(step, None) is not None:
            self.write()

    def write(self) -> None:
        """Write the record, and make the folder where it is not there."""
        try:
            self.kept.mkdir(parents=True, exist_ok=True)
            write_json(self.path / RECORD, self.record)
        except OSError as problem:
            raise self._not_written(problem) from None

    @contextmanager
    def replaced(self) -> Iterator[Path]:
        """An empty folder for the clip; what is in it when the block ends takes the place of an older clip."""
        partial = self.kept / "scene.partial"
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            yield partial
            names = sorted(p.name for p in partial.iterdir())
            self.record["finished"] = False
            self.write()
            for name in self.record["written"]:
                _remove(self.path / name)
            # before they move: an interrupted move leaves nothing that nobody knows
            self.record |= {**self.described, "written": names}
            self.write()
            for name in names:
                _remove(self.path / name)
                os.replace(partial / name, self.path / name)
        except OSError as problem:
            raise self._not_written(problem) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _read(self) -> dict[str, Any]:
        path = self.path / RECORD
        try:
            record = json.loads(path.read_text())
            if record["format"] != FORMAT or not isinstance(record["steps"], dict):
                raise InputError(f"{path}: written by another version of dynview; choose another --out")
            if not all(
                isinstance(n, str) and Path(n).name == n and n not in ("", ".", "..") for n in record["written"]
            ):
                raise ValueError("a name that is not one")
            missing = FINISHED - record.keys() if record["finished"] else ()
            if missing or not all({"key", "result"} <= step.keys() for step in record["steps"].values()):
                raise ValueError("incomplete")
            return dict(record)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
            raise InputError(
                f"{path}: not understood ({problem}); delete this folder or choose another --out"
            ) from None

    def _not_written(self, problem: OSError) -> InputError:
        return InputError(f"{self.path}: cannot be written ({problem.strerror or problem}); choose another --out")


@contextmanager
def taken(path: Path) -> Iterator[SceneFolder]:
    """The scene folder at ``path``, which no other process may have until the block ends. What was made for that stays
    only where something is in it. InputError as of :class:`SceneFolder`, and while another process has it."""
    before = SceneFolder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as problem:
        raise before._not_written(problem) from None
    try:
        with suppress(OSError):  # of disks that know no locks
            _lock(descriptor, path)
        yield SceneFolder(path)  # read again, as somebody may have finished it since
    finally:
        os.close(descriptor)  # which ends the lock, as the end of the process does
        with suppress(OSError):
            path.rmdir()


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{path}: is being prepared by somebody else; wait for it, or choose another --out") from None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _link(source: Path, to: Path) -> None:
    """A second name for a file that nobody changes; a copy where the disk has no second names."""
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)


def lay_out_unposed(frames: Path, to: Path) -> None:
    """A clip of one camera of which no pose is known."""
    _link_files(frames, to / "images")


def lay_out_moving(mapped: MappedCameras, to: Path) -> None:
    """A clip of one camera with a pose per picture, as COLMAP writes it; pictures without a pose are left out."""
    _link_files(mapped.pictures, to / "images")
    _link_files(mapped.pictures.parent / "sparse" / "0", to / "sparse" / "0")  # of the undistorted pictures


def lay_out_static(
    mapped: MappedCameras, videos: Mapping[str, Path], frames: int, fps: float, to: Path
) -> None:  # fmt: skip
    """Synchronised videos, by the names of their cameras, with ``cameras.json``."""
    entries = []
    for name in mapped.names:
        camera = mapped.cameras[name]
        _link(videos[name], to / videos[name].name)
        # the file's K counts from the centre of the first pixel
        K = np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]])
        entries.append(
            {"name": name, "video": videos[name].name, "width": camera.width, "height": camera.height,
             "frames": frames, "fps": fps, "K": K.tolist(),
             "distortion_k1k2p1p2": [float(v) for v in mapped.distortion[name]],
             "world_to_camera": camera.world_to_camera.tolist()}
        )  # fmt: skip
    convention = "OpenCV axes, world-to-camera; K counts from the centre of the first pixel"
    write_json(to / "cameras.json", {"convention": convention, "cameras": entries})


def _link_files(folder: Path, to: Path) -> None:
    """Second names for the files of a folder."""
    to.mkdir(parents=True)
    for file in sorted(folder.iterdir()):
        _link(file, to / file.name)
