"""Generators that run as other programs, played by a script which the tests write."""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from renderer.errors import InputError
from tests.tiny import camera_at, tiny_dataset
from training.data.dataset import Dataset
from training.data.generated import GeneratedFrame, GeneratedViews
from training.data.generated_loading import open_generated, save_generated
from training.data.images import read_image, video_info
from training.data.loading import DataOptions
from training.generators.external import ExternalGenerator, Layout

FRAMES = 3
FULL = DataOptions(megapixels=1.0)

VIEWCRAFTER = """
import sys, pathlib, cv2, numpy
source, output, time = sys.argv[1:4]
first = cv2.imread(str(pathlib.Path(source) / "00.png"))
assert sorted(p.name for p in pathlib.Path(source).iterdir()) == ["00.png", "01.png"]
with open(pathlib.Path(__file__).with_name("log"), "a") as log:
    log.write(time + chr(10))
folder = pathlib.Path(output) / "20250101_room" / "diffusion"
folder.mkdir(parents=True)
for k in range(25):
    cv2.imwrite(str(folder / f"frame_{k:05d}.png"), numpy.full_like(first, 9 * k + int(time)))
"""
"""As stock it writes into a folder of its own name within the output; it counts its runs in a file named log."""


@pytest.fixture(scope="module")
def clip() -> Dataset:
    return tiny_dataset(FRAMES)


def say_nothing(text: str) -> None:
    pass


def generator(folder: Path, script: str, layout: Layout, frame_step: int = 1) -> ExternalGenerator:
    (folder / "fake.py").write_text(script)
    command = (sys.executable, str(folder / "fake.py"), "{input}", "{output}", "{time}")
    return ExternalGenerator(command, layout, frame_step)


def runs(folder: Path) -> list[str]:
    return (folder / "log").read_text().split()


def test_viewcrafter_runs_once_per_instant_and_is_not_run_again(tmp_path: Path, clip: Dataset) -> None:
    fake, said = generator(tmp_path, VIEWCRAFTER, "viewcrafter"), list[str]()
    made = fake.run(clip, tmp_path / "work", said.append)
    assert made == tmp_path / "work" / "generated"
    assert [p.name for p in (tmp_path / "work").iterdir()] == ["generated"]
    assert said == [f"Generating instant {k} of 3" for k in (1, 2, 3)]
    views = open_generated(made, clip, FULL, say_nothing)
    assert len(views.frames) == 11 * FRAMES
    for pose in range(11):
        for k, index in enumerate(views.of_pose(pose)):
            assert (views.read(index) == 9 * 2 * (pose + 1) + k).all()
    assert fake.run(clip, tmp_path / "work", say_nothing) == made
    assert runs(tmp_path) == ["0", "1", "2"]


def test_the_pictures_of_an_instant_are_handed_over_in_order(tmp_path: Path, clip: Dataset) -> None:
    keep = "import sys, shutil; shutil.copytree(sys.argv[1], sys.argv[0] + sys.argv[3])"
    with pytest.raises(InputError):
        generator(tmp_path, keep, "viewcrafter", 2).run(clip, tmp_path / "work", say_nothing)
    for n, name in enumerate(("left", "right")):
        index = next(i for i, s in enumerate(clip.shots) if (s.camera_name, s.frame) == (name, 0))
        np.testing.assert_array_equal(read_image(tmp_path / "fake.py0" / f"{n:02d}.png"), clip.read(index))


def test_a_failure_leaves_the_finished_instants_for_the_next_run(tmp_path: Path, clip: Dataset) -> None:
    trips = VIEWCRAFTER + "\nif time == '2':\n    sys.exit('loading\\nCUDA out of memory')\n"
    with pytest.raises(InputError, match=r"exit code 1 \(CUDA out of memory\)"):
        generator(tmp_path, trips, "viewcrafter").run(clip, tmp_path / "work", say_nothing)
    assert [p.name for p in (tmp_path / "work").iterdir()] == ["generated.unfinished"]
    instants = tmp_path / "work" / "generated.unfinished" / "instants"
    assert sorted(p.name for p in instants.iterdir()) == ["time_0000", "time_0001"]
    (instants / "time_0000" / "diffusion" / "frame_00024.png").unlink()  # damaged since
    made = generator(tmp_path, VIEWCRAFTER, "viewcrafter").run(clip, tmp_path / "work", say_nothing)
    assert runs(tmp_path) == ["0", "1", "2", "0", "2"]
    assert len(open_generated(made, clip, FULL, say_nothing).frames) == 11 * FRAMES


def test_a_longer_clip_only_adds_instants(tmp_path: Path, clip: Dataset) -> None:
    short = replace(clip, shots=[s for s in clip.shots if s.frame < 2])
    fake = generator(tmp_path, VIEWCRAFTER, "viewcrafter")
    fake.run(short, tmp_path / "work", say_nothing)
    made = fake.run(clip, tmp_path / "work", say_nothing)
    assert runs(tmp_path) == ["0", "1", "2"]
    assert len(list(made.iterdir())) == 3


def test_instants_of_a_thinned_clip_are_counted_as_filmed(tmp_path: Path, clip: Dataset) -> None:
    made = generator(tmp_path, VIEWCRAFTER, "viewcrafter", 5).run(clip, tmp_path / "work", say_nothing)
    assert runs(tmp_path) == ["0", "5", "10"]
    views = open_generated(made, clip, replace(FULL, frame_step=5), say_nothing)
    assert [views.frames[i].frame for i in views.of_pose(0)] == [0, 1, 2]


@pytest.mark.parametrize("layout", ["plain", "sparsecam4d", "recammaster"])
def test_other_generators_run_once_for_the_clip(tmp_path: Path, clip: Dataset, layout: Layout) -> None:
    pictures = [GeneratedFrame(s, t / (FRAMES - 1), t) for s in range(2) for t in range(FRAMES)]
    views = GeneratedViews("x", [camera_at(0.0), camera_at(0.1)], pictures, lambda i: np.full((30, 40, 3), i, np.uint8))
    save_generated(tmp_path / "ready", views, 30.0, say_nothing)
    script = (
        f"import sys, shutil; shutil.copytree(sys.argv[1], sys.argv[0] + 'read'); "
        f"shutil.copytree({str(tmp_path / 'ready')!r}, sys.argv[2], dirs_exist_ok=True)"
    )
    fake, said = generator(tmp_path, script, layout), list[str]()
    made = fake.run(clip, tmp_path / "work", said.append)
    assert [p.name for p in (tmp_path / "work").iterdir()] == ["generated"]
    assert len(open_generated(made, clip, FULL, say_nothing).frames) == 2 * FRAMES
    assert fake.run(clip, tmp_path / "work", said.append) == made  # a second run would trip over the copy
    assert "complete already" in said[-1]
    check_read(tmp_path / "fake.pyread", clip, layout)


def check_read(folder: Path, clip: Dataset, layout: Layout) -> None:
    """What the program was given."""
    train = clip.indices("train")
    if layout == "plain":
        views = open_generated(folder, clip, FULL, say_nothing)
        assert [views.cameras[0].fx, len(views.cameras), len(views.frames)] == [clip.shots[0].camera.fx, 2, len(train)]
        np.testing.assert_array_equal(views.read(views.of_pose(1)[2]), clip.read(train[-1]))
    elif layout == "sparsecam4d":
        assert len(list((folder / "images").iterdir())) == len(train)
        np.testing.assert_array_equal(read_image(folder / "images" / "right_0002.png"), clip.read(train[-1]))
    else:
        with (folder / "metadata.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["file_name"] for row in rows] == ["video0.mp4", "video1.mp4"]
        assert all(row["text"] for row in rows)
        info = video_info(folder / "videos" / "video1.mp4")
        assert (info.width, info.height, info.fps) == (832, 480, 30)
        video = cv2.VideoCapture(str(folder / "videos" / "video1.mp4"))
        frames = [frame[..., ::-1] for ok, frame in iter(video.read, (False, None)) if ok]
        assert len(frames) == 81
        for k, shot in ((0, train[FRAMES]), (40, train[FRAMES + 1]), (80, train[FRAMES + 2])):
            assert np.abs(cv2.resize(clip.read(shot), (832, 480)).astype(int) - frames[k]).mean() < 6


SHORT = VIEWCRAFTER.replace("range(25)", "range(24)")
FAILURES: list[tuple[str, Layout, str, str]] = [
    ("nothing written", "viewcrafter", "", "no diffusion.mp4 of instant 0"),
    ("frames missing", "viewcrafter", SHORT, "24 frames"),
    ("code", "viewcrafter", "raise SystemExit(3)", "exit code 3"),
    ("last line", "plain", "import sys; sys.stderr.write('50%\\r90%\\nno GPU\\n\\n'); sys.exit(1)", "(no GPU)"),
    ("nothing written", "plain", "", "no generated views found"),
    ("not JSON", "plain", "import sys; open(sys.argv[2] + '/camera_path.json', 'w').write('{')", "camera_path.json"),
    (
        "no cameras",
        "recammaster",
        "import sys, os; os.makedirs(sys.argv[2] + '/results/cam_type1')",
        "camera_extrinsics",
    ),
]


@pytest.mark.parametrize(("name", "layout", "script", "said"), FAILURES, ids=[f"{f[1]}: {f[0]}" for f in FAILURES])
def test_a_failure_is_one_sentence_and_leaves_no_output(
    tmp_path: Path, clip: Dataset, name: str, layout: Layout, script: str, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        generator(tmp_path, script, layout).run(clip, tmp_path / "work", say_nothing)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {p.name for p in (tmp_path / "work").iterdir()} == {"generated.unfinished"}
    assert not (tmp_path / "work" / "generated.unfinished" / "running").exists()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("layout", ["viewcrafter", "plain"])
def test_the_clips_own_folder_keeps_what_is_in_it(tmp_path: Path, clip: Dataset, layout: Layout, fails: bool) -> None:
    """Names that a person might have given to folders of their own."""
    own = [tmp_path / "clip" / name / "film.txt" for name in ("input", "running", "instants", "images")]
    for path in own:
        path.parent.mkdir(parents=True)
        path.write_text("mine")
    fake = generator(tmp_path, "raise SystemExit(1)" if fails or layout == "plain" else VIEWCRAFTER, layout)
    if fails or layout == "plain":
        with pytest.raises(InputError):
            fake.run(clip, tmp_path / "clip", say_nothing)
    else:
        fake.run(clip, tmp_path / "clip", say_nothing)
    assert all(path.read_text() == "mine" for path in own)


@pytest.mark.parametrize(
    ("command", "said"),
    [(("no-such-generator", "{output}"), "no-such-generator"), ((), "generator"), ((sys.executable,), "{output}"),
     ((__file__, "{output}"), "cannot be run")],
)  # fmt: skip
def test_a_command_that_cannot_be_run_says_what_to_set(
    tmp_path: Path, clip: Dataset, command: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        ExternalGenerator(command, "plain").run(clip, tmp_path / "work", say_nothing)
    assert not (tmp_path / "work" / "generated").exists()


def test_clips_and_folders_that_do_not_serve_are_refused(tmp_path: Path, clip: Dataset) -> None:
    fake = generator(tmp_path, VIEWCRAFTER, "viewcrafter")
    with pytest.raises(InputError, match="one training camera"):
        one = replace(clip, shots=[s for s in clip.shots if s.camera_name == "left"])
        fake.run(one, tmp_path / "work", say_nothing)
    with pytest.raises(InputError, match="right has no picture of frame 2"):
        gap = replace(clip, shots=[s for s in clip.shots if (s.camera_name, s.frame) != ("right", 2)])
        fake.run(gap, tmp_path / "work", say_nothing)
    (tmp_path / "other" / "generated" / "pose_000").mkdir(parents=True)
    with pytest.raises(InputError, match="holds other generated views"):
        fake.run(clip, tmp_path / "other", say_nothing)
    assert [p.name for p in (tmp_path / "other" / "generated").iterdir()] == ["pose_000"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file"):
        fake.run(clip, tmp_path / "file", say_nothing)
