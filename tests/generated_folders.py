"""Folders of generated views in every layout, which tests write for themselves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

from renderer.camera import OPENGL_TO_OPENCV, Camera
from tests.field_folders import change_json
from tests.tiny import camera_at
from training.data.loading import DataOptions

WIDTH, HEIGHT, FRAMES = 40, 30, 4
FULL = DataOptions(megapixels=1.0)
ANGLES = (-0.2, -0.1, 0.1)
Break = Callable[[Path], object]


def say_nothing(text: str) -> None:
    pass


def edit_json(change: Callable[[Any], object]) -> Break:
    return lambda path: change_json(path, change)


def shade(pose: int, instant: int) -> int:
    """The grey that a picture has all over."""
    return 10 + 9 * pose + 2 * instant


def flat(value: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def write_video(path: Path, values: list[int], width: int = WIDTH, height: int = HEIGHT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = np.stack([flat(v, width, height) for v in values])
    iio.imwrite(path, frames, fps=8, macro_block_size=2, output_params=["-crf", "1"])


def write_pictures(folder: Path, values: list[int], name: str = "frame_{:05d}.png") -> None:
    folder.mkdir(parents=True)
    for k, value in enumerate(values):
        iio.imwrite(folder / name.format(k), flat(value))


def write_plain(folder: Path) -> Path:
    entries = []
    for pose, angle in enumerate(ANGLES):
        camera = camera_at(angle, WIDTH, HEIGHT)
        c2w = camera.camera_to_world @ OPENGL_TO_OPENCV
        entries.append({"camera_to_world": c2w.ravel().tolist(), "fov": float(np.degrees(camera.fov_y))})
        values = [shade(pose, k) for k in range(FRAMES)]
        if pose == 1:
            write_video(folder / "b.mp4", values)
        else:
            write_pictures(folder / "abc"[pose], values, "{:02d}.png")
    head = {"render_width": WIDTH, "render_height": HEIGHT, "fps": 30}
    (folder / "camera_path.json").write_text(json.dumps({**head, "camera_path": entries}))
    return folder / "camera_path.json"


TURN = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
SIZE, SHIFT = 2.5, np.array([3.0, -1.0, 0.5])


def elsewhere(camera: Camera) -> np.ndarray:
    """Camera-to-world in a world x' = SIZE TURN x + SHIFT."""
    c2w = camera.camera_to_world
    c2w[:3, :3] = TURN @ c2w[:3, :3]
    c2w[:3, 3] = SIZE * TURN @ c2w[:3, 3] + SHIFT
    return c2w


def write_sparsecam4d(folder: Path) -> Path:
    entries: list[dict[str, Any]] = []

    def add(identity: int, path: str, camera: Camera, instant: int, place: float, real: int) -> None:
        entries.append(
            {"id": identity, "file_path": path, "width": WIDTH, "height": HEIGHT,
             "transform_matrix": elsewhere(camera).tolist(), "fx": camera.fx, "fy": camera.fy, "cx": camera.cx,
             "cy": camera.cy, "time": instant / (FRAMES - 1), "time_pseudo": place, "is_true_image": real}
        )  # fmt: skip

    for instant in range(FRAMES):
        for identity, (name, angle) in enumerate((("left", -0.3), ("right", 0.3))):
            add(identity, f"images/{name}_{instant:04d}.png", camera_at(angle), instant, float(identity), 1)
        for k in (2, 1, 0):  # the pose axis does not follow the order of the list
            path = f"preprocess/time_{instant:04d}/diffusion/frame_{k:05d}.png"
            add(2 + k, path, camera_at(ANGLES[k]), instant, 0.2 + 0.3 * k, 0)
        write_pictures(folder / f"preprocess/time_{instant:04d}/diffusion", [shade(k, instant) for k in range(3)])
    (folder / "sfm_transforms_extend.json").write_text(json.dumps(entries))
    return folder / "sfm_transforms_extend.json"


def write_viewcrafter(folder: Path) -> Path:
    for instant in range(FRAMES):
        values = [60 + 6 * place + instant for place in range(25)]
        write_video(folder / f"2025_{instant}" / "diffusion.mp4", values)
    return folder


def write_viewcrafter_pictures(folder: Path) -> Path:
    for instant in range(FRAMES):
        write_pictures(folder / f"time_{instant:04d}" / "diffusion", [60 + 6 * p + instant for p in range(25)])
    return folder


RECAM_FRAMES = 9


def recam_motion(frame: int) -> np.ndarray:
    """Camera to first camera, OpenCV axes, metres: to the right and forward, turning about the vertical."""
    c, s = np.cos(0.02 * frame), np.sin(0.02 * frame)
    return np.array([[c, 0, s, 0.01 * frame], [0, 1, 0, 0], [-s, 0, c, 0.02 * frame], [0, 0, 0, 1]])


def recam_text(c2w: np.ndarray) -> str:
    """A matrix as the file has it: axes x forward, y right, z up in a left-handed world, centimetres, rows."""
    axes = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]])  # right, down, forward as forward, right, up
    matrix = np.eye(4)
    matrix[:3, :3] = axes @ c2w[:3, :3] @ axes.T
    matrix[:3, 3] = 100 * axes @ c2w[:3, 3]
    return " ".join("[" + " ".join(f"{v:.9f}" for v in row) + "]" for row in matrix.T) + " "


def write_recammaster(folder: Path) -> Path:
    start = np.eye(4)
    start[:3, 3] = [1.0, 2.0, 3.0]
    for index in range(2):
        write_video(
            folder / "results" / "cam_type3" / f"video{index}.mp4",
            [40 + 60 * index + 5 * j for j in range(RECAM_FRAMES)],
            48,
            30,
        )
    poses = {f"frame{j}": {"cam03": recam_text(start @ recam_motion(j))} for j in range(0, RECAM_FRAMES, 4)}
    (folder / "cameras").mkdir()
    (folder / "cameras" / "camera_extrinsics.json").write_text(json.dumps(poses))
    return folder / "cameras" / "camera_extrinsics.json"


WRITERS: dict[str, Callable[[Path], Path]] = {
    "plain": write_plain,
    "sparsecam4d": write_sparsecam4d,
    "viewcrafter": write_viewcrafter,
    "viewcrafter pictures": write_viewcrafter_pictures,
    "recammaster": write_recammaster,
}
