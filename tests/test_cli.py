import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from app import cli, console
from renderer.errors import InputError
from renderer.picture import palette_table
from tests.test_held_out import pushed
from tests.tiny import tiny_dataset
from training import run as run_module
from training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 steps on the tiny clip."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "open_dataset", lambda source, options, report: tiny_dataset())
        dynview("train", "tiny", "--method", "4dgs", "--steps", "60", "--seed", "1", "--device", "cpu",
                "--scene.points", "40", "--out", str(folder), "--json", str(folder.parent / "train.json"))  # fmt: skip
    return folder


def dynview(*arguments: str) -> None:
    cli.parse(arguments)()


def test_training_leaves_a_run_with_metrics(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 60
    assert {"loss", "psnr", "size"} <= lines[-1].keys()
    assert json.loads((trained.parent / "train.json").read_text())["step"] == 60
    saved = json.loads((trained / "run.json").read_text())
    assert saved["method"] == "4dgs"
    assert {"steps": 60, "seed": 1, "scene.points": 40}.items() <= saved["changes"].items()
    assert "loss.dssim" not in saved["changes"]  # as in the preset


def test_evaluation_writes_the_contract(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dynview("evaluate", str(trained), "--json", str(tmp_path / "e.json"))
    report = json.loads((tmp_path / "e.json").read_text())
    assert {"psnr", "ssim"} < report["mean"].keys()
    assert report["mean"].keys() & {"lpips", "perceptual"}
    assert {"camera", "time", "psnr", "ssim"} <= report["views"][0].keys()
    assert "held-out views" in capsys.readouterr().out


def test_held_out_cameras_can_be_fitted_before_they_are_measured(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: pushed(tiny_dataset(), 8.0, 0.3))
    scores = []
    for options in ([], ["--align"]):
        dynview("evaluate", str(trained), "--json", str(tmp_path / "e.json"), *options)
        scores.append(json.loads((tmp_path / "e.json").read_text()))
    assert scores[1]["aligned"] and "aligned" not in scores[0]
    assert scores[1]["mean"]["psnr"] > scores[0]["mean"]["psnr"] + 0.5


def test_inspecting_writes_a_ray_whose_composite_is_the_pixel(trained: Path, tmp_path: Path) -> None:
    dynview("inspect", str(trained), "--camera", "middle", "--time", "0.5", "--pixel", "20,15",
            "--json", str(tmp_path / "ray.json"), "--plot", str(tmp_path / "ray.png"))  # fmt: skip
    ray = json.loads((tmp_path / "ray.json").read_text())
    assert {"depths", "weights", "rgb", "composite", "expected_depth", "median_depth"} <= ray.keys()
    np.testing.assert_allclose(ray["composite"], ray["rgb"], atol=1e-4)
    assert len(ray["depths"]) == len(ray["weights"]) > 0
    assert iio.imread(tmp_path / "ray.png").shape[0] > 300


@pytest.mark.parametrize("path", ["orbit", "input"])
def test_rendering_writes_the_frames_asked_for(trained: Path, tmp_path: Path, path: str) -> None:
    dynview("render", str(trained), "--path", path, "--frames", "5", "--out", str(tmp_path / "v.mp4"))
    video = iio.imread(tmp_path / "v.mp4", plugin="FFMPEG")
    assert video.shape == (5, 30, 40, 3)
    assert video.std() > 5


def test_a_saved_camera_path_is_rendered_at_its_own_size(trained: Path, tmp_path: Path) -> None:
    entry = {"camera_to_world": np.eye(4).reshape(-1).tolist(), "fov": 60.0, "render_time": 0.5}
    path = {"camera_path": [entry] * 3, "render_width": 64, "render_height": 32, "fps": 10}
    (tmp_path / "p.json").write_text(json.dumps(path))
    dynview("render", str(trained), "--path", str(tmp_path / "p.json"), "--out", str(tmp_path / "v.mp4"))
    assert iio.imread(tmp_path / "v.mp4", plugin="FFMPEG").shape == (3, 32, 64, 3)


@pytest.mark.parametrize("name", ["a.ply", "a.splat", "a.splatv", "checkpoint"])
def test_a_scene_without_its_clip_is_rendered(trained: Path, tmp_path: Path, name: str) -> None:
    if name == "checkpoint":
        scene = next((trained / "checkpoints").iterdir())
    else:
        scene = tmp_path / name
        dynview("export", str(trained), "--time", "0.5", "--out", str(scene))
    dynview(
        "render", str(scene), "--path", "orbit", "--frames", "2", "--scale", "0.1", "--out", str(tmp_path / "v.mp4")
    )
    video = iio.imread(tmp_path / "v.mp4", plugin="FFMPEG")
    assert len(video) == 2 and video.std() > 3


@pytest.mark.parametrize("name", ["v.webm", "v.gif", "shots"])
def test_videos_are_written_in_the_format_of_their_name(trained: Path, tmp_path: Path, name: str) -> None:
    dynview("render", str(trained), "--frames", "4", "--fps", "10", "--quality", "draft", "--out", str(tmp_path / name))
    if name == "shots":
        video = np.stack([iio.imread(p) for p in sorted((tmp_path / name).iterdir())])
    else:
        video = iio.imread(tmp_path / name, plugin="pillow" if name == "v.gif" else "FFMPEG", index=None)[..., :3]
    assert video.shape == (4, 30, 40, 3)
    assert video.std() > 5


def rendered(trained: Path, folder: Path, *options: str) -> np.ndarray:
    dynview("render", str(trained), "--frames", "4", "--path", "fixed", "--out", str(folder), *options)
    return np.stack([iio.imread(p) for p in sorted(folder.iterdir())])


@pytest.mark.parametrize("mode", ["depth", "opacity", "normals", "velocity", "dynamic", "error", "rays/entropy"])
def test_every_mode_can_be_a_video(trained: Path, tmp_path: Path, mode: str) -> None:
    colour, shown = rendered(trained, tmp_path / "a"), rendered(trained, tmp_path / "b", "--mode", mode)
    assert shown.shape == colour.shape
    assert np.abs(shown.astype(int) - colour).mean() > 5


def test_an_error_that_is_known_nowhere_on_a_path_is_refused(trained: Path, tmp_path: Path) -> None:
    entry = {"camera_to_world": np.eye(4).reshape(-1).tolist(), "fov": 60.0, "render_time": 0.5}
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"camera_path": [entry] * 3, "render_width": 64, "render_height": 32, "fps": 10}))
    with pytest.raises(InputError, match="no view is that of a camera of the clip; try --path fixed"):
        dynview("render", str(trained), "--path", str(path), "--mode", "error", "--out", str(tmp_path / "v.mp4"))
    assert [p.name for p in tmp_path.iterdir()] == ["p.json"]


def test_the_colours_of_a_mode_mean_the_same_in_every_frame(trained: Path, tmp_path: Path) -> None:
    """Against the palette, with one range for the whole video: the depth of a pixel in the last frame."""
    shown = rendered(trained, tmp_path / "b", "--mode", "depth").astype(float) / 255
    run = console.open_run(trained)
    views, _ = cli.Render(trained, path="fixed", frames=4).views(run.dataset)
    frames = [run.trainer.draw(view) for view in views]
    depths = np.stack([frame.expected_depth() for frame in frames])
    low, high = np.percentile(depths[np.isfinite(depths)], (2, 98))
    table = palette_table("viridis")
    for frame, picture in zip(frames, shown, strict=True):
        solid = frame.opacity > 0.3
        expected = table[(np.clip((frame.expected_depth()[solid] - low) / (high - low), 0, 1) * 255 + 0.5).astype(int)]
        np.testing.assert_allclose(picture[solid], expected, atol=0.02)


def test_resuming_goes_on_to_the_new_number_of_steps(trained: Path, tmp_path: Path) -> None:
    dynview("train", "tiny", "--steps", "10", "--scene.points", "40", "--out", str(tmp_path / "run"))
    dynview("train", "tiny", "--steps", "14", "--resume", "--out", str(tmp_path / "run"))
    lines = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines == [10, 14]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["evaluate", "nowhere"], "nowhere"),
        (["train", "tiny", "--device", "cuda"], "--device"),
        (["train", "tiny", "--method", "magic"], "magic"),
        (["train", "tiny", "--steps", "many"], "many"),
        (["train"], "DATA"),
        (["paint"], "paint"),
        (["inspect", "RUN", "--camera", "middle", "--time", "0.5", "--pixel", "20"], "--pixel"),
        (["inspect", "RUN", "--camera", "middle", "--time", "0.5", "--pixel", "99,99"], "40x30"),
        (["inspect", "RUN", "--camera", "roof", "--time", "0.5", "--pixel", "2,2"], "roof"),
        (["inspect", "RUN", "--camera", "middle", "--time", "7", "--pixel", "2,2"], "--time"),
        (["render", "RUN", "--path", "nowhere.json"], "nowhere.json"),
        (["render", "RUN", "--out", "video.avi"], "video.avi"),
        (["render", "RUN", "--frames", "0"], "--frames"),
        (["render", "RUN", "--fps", "60", "--out", "v.gif"], "50 frames per second"),
        (["render", "RUN", "--quality", "finest"], "finest"),
        (["render", "RUN", "--mode", "heat"], "--mode heat"),
        (["render", "RUN", "--mode", "rays/heat"], "--mode rays/heat"),
        (["render", "RUN", "--mode", "distortion", "--frames", "3"], "no distortion field"),
        (["train", "tiny", "--out", "RUN"], "--resume"),
    ],
)
def test_bad_input_ends_with_one_sentence_and_exit_code_2(
    trained: Path, arguments: list[str], named: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["dynview", *(str(trained) if a == "RUN" else a for a in arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert named in errors[0]
    assert list(tmp_path.iterdir()) == []


def test_help_is_not_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.parse(["--help"])
    assert stop.value.code == 0


def test_json_has_no_numbers_that_json_does_not_know() -> None:
    assert console.finite({"a": [float("nan"), 1.0], "b": float("inf")}) == {"a": [None, 1.0], "b": None}


def test_a_failed_command_leaves_no_half_video(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise InputError("no")

    monkeypatch.setattr(Trainer, "draw", broken)
    with pytest.raises(InputError):
        dynview("render", str(trained), "--frames", "3", "--out", str(tmp_path / "v.mp4"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [("steps", "0"), ("distortion.width", "-1"), ("distortion.levels", "0"), ("generated.batch", "-2"), ("seed", "-1")],
)
def test_a_value_that_cannot_be_gets_a_sentence(tmp_path: Path, option: str, value: str) -> None:
    with pytest.raises(InputError, match=f"--{option} {value}: give"):
        dynview("train", "tiny", f"--{option}={value}", "--out", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_the_demo_is_trained_where_it_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def create(*given: object, device: str, **options: object) -> None:
        asked.append(device)
        raise InputError("that is enough")

    monkeypatch.setattr(cli, "pick_device", lambda name: {"auto": "cuda"}.get(name, name))
    monkeypatch.setattr(cli.Run, "create", create)
    for chosen in ([], ["--device", "cpu"]):
        with pytest.raises(InputError, match="that is enough"):
            dynview("demo", "--headless", "--out", str(tmp_path), *chosen)
    assert asked == ["cuda", "cpu"]


def test_what_is_interrupted_ends_in_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "parse", interrupted)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 130 and capsys.readouterr().err == "stopped\n"
