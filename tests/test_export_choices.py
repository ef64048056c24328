"""Plans of exports from what a person chooses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.exports.choices import (
    OWN_PATH,
    check_path,
    files_of,
    folder_of,
    picture_size,
    shade_of_display,
    views_of,
    with_ending,
    written_size,
)
from app.exports.plans import CameraExport, GaussianExport, VideoExport
from app.looks import COLOR, DEPTH, RAYS, SPEED, Display
from app.tours import PRESETS, Stage
from renderer.camera import Camera
from renderer.errors import InputError
from renderer.picture import Mode, Pane, Picture
from renderer.tracks import Keyframe, Track
from renderer.view import Frame, View

CAMERA = Camera.from_fov(np.eye(4), 0.8, 163, 122)
ENDINGS = (".mp4", ".webm", ".gif", "", ".png")


def frame(overlay: str) -> Frame:
    some = np.ones((2, 2), np.float32)
    return Frame(View(CAMERA, 0.0, overlay), np.ones((2, 2, 3), np.float32), some, some, overlay=some)


def test_sizes_are_multiples_of_the_training_pictures_or_typed_and_even() -> None:
    assert picture_size(CAMERA, "1x", (1, 1)) == (163, 122)
    assert picture_size(CAMERA, "1.5x", (1, 1)) == (244, 183)
    assert picture_size(CAMERA, "other", (641, 361)) == (640, 360)
    assert picture_size(CAMERA, "other", (-5, 10**6)) == (16, 8192)


def test_two_side_by_side_are_as_wide_as_both_and_their_seam() -> None:
    plan = VideoExport(Path("a.gif"), ())
    assert written_size(plan, (163, 121)) == (163, 121)
    assert written_size(replace(plan, path=Path("a.mp4")), (163, 121)) == (162, 120)
    assert written_size(replace(plan, against="input", layout="beside"), (100, 50)) == (204, 50)
    assert written_size(replace(plan, against="input", layout="split"), (100, 50)) == (100, 50)


def test_a_path_without_keyframes_and_a_count_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="no keyframes"):
        check_path(OWN_PATH, Track(), 10)
    for count in (0, -3, 10**6):
        with pytest.raises(InputError, match="Frames"):
            check_path("Orbit", Track(), count)


def test_the_own_path_and_presets_give_as_many_views_as_are_asked_for() -> None:
    track = Track((Keyframe(CAMERA, 0.25), Keyframe(CAMERA, 0.75)))
    stage = Stage((), CAMERA, (0, 0, 3), (0, -1, 0), View(CAMERA, 0.5))
    views = views_of(OWN_PATH, track, stage, (64, 48), 5)
    assert [view.time for view in views] == pytest.approx([0.25, 0.375, 0.5, 0.625, 0.75], abs=0.03)
    assert "Fixed Camera" in PRESETS
    still = views_of("Fixed Camera", track, stage, (64, 48), 3)
    assert [view.time for view in still] == pytest.approx([0, 0.5, 1])
    assert {(view.camera.width, view.camera.height) for view in (*views, *still)} == {(64, 48)}


def test_colours_mean_what_they_mean_in_the_window_where_it_shows_the_same() -> None:
    shown = Picture(Pane(frame("velocity"), Mode.OVERLAY, (0, 7)), 9, 9, right=Pane(frame(""), Mode.DEPTH, (2, 5)))
    assert shade_of_display(Display(SPEED), shown).value_range == (0, 7)
    assert shade_of_display(Display(DEPTH), shown).value_range == (2, 5)
    assert shade_of_display(Display(RAYS), shown).value_range is None
    assert shade_of_display(Display(COLOR), shown).value_range is None
    assert shade_of_display(Display(DEPTH), None).value_range is None
    assert shade_of_display(Display(SPEED, blend=0.3), shown).blend == 0.3


@pytest.mark.parametrize(
    ("path", "ending", "wanted"),
    [
        ("/a/video.mp4", ".webm", "/a/video.webm"),
        ("/a/video.MP4", "", "/a/video"),
        ("/a/v1.2", ".gif", "/a/v1.2.gif"),
        ("/a/video", ".mp4", "/a/video.mp4"),
        ("", ".mp4", ".mp4"),
    ],
)
def test_a_known_ending_gives_way_to_another_one(path: str, ending: str, wanted: str) -> None:
    assert with_ending(path, ending, ENDINGS) == wanted


def test_what_would_be_replaced_is_known_before(tmp_path: Path) -> None:
    plans = (
        VideoExport(tmp_path / "a.mp4", ()),
        VideoExport(tmp_path / "pictures", ()),
        GaussianExport(tmp_path / "scene.ply", frames=3),
        CameraExport(tmp_path / "colmap", "colmap", pictures=True),
        CameraExport(tmp_path / "t" / "transforms.json", "transforms"),
    )
    assert [files_of(plan) for plan in plans] == [[]] * 5
    names = (
        "a.mp4", "pictures/frame0001.png", "scene0002.ply", "scene0009.ply", "colmap/sparse/0/cameras.txt",
        "colmap/images/00001.png", "t/transforms.json", "t/images/00001.png",
    )  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [[str(path.relative_to(tmp_path)) for path in files_of(plan)] for plan in plans]
    assert found == [[names[0]], [names[1]], [names[2]], [names[4], names[5]], [names[6]]]
    folders = [folder_of(plan).relative_to(tmp_path).as_posix() for plan in plans]
    assert folders == [".", "pictures", ".", "colmap", "t"]
