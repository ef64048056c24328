"""Gaussians and cameras for other programs: which kind of file, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.exports.cameras import check_cameras
from app.exports.choices import with_ending
from app.exports.gaussians import ENDINGS, MOST_FILES
from app.exports.plans import CameraExport, GaussianExport
from app.gui.desk import Desk
from app.gui.export.kept import Kept, path_in, show_only
from renderer.errors import InputError

NO_GAUSSIANS = (
    "This scene is a radiance field: it has no Gaussians that could be written. A video, the cameras and pictures can "
    "be exported. A run with --model gaussians has them."
)


@dataclass(frozen=True)
class Kind:
    """A kind of file. ``about``: in a sentence."""

    kind: Literal["ply", "splat", "native", "splatv"]
    about: str
    numbered: bool = False


KINDS = {
    "3DGS .ply at this time": Kind("ply", "The instant on the screen, for every viewer of 3D Gaussian Splatting."),
    ".splat at this time": Kind("splat", "The instant on the screen, small and for web viewers, without view-dependent "
                                "colour."),
    "Numbered 3DGS .ply": Kind("ply", "As many instants, evenly from the clip's beginning to its end.", True),
    "4D .ply, all times": Kind("native", "The moving scene itself, in the layout of the 4DGS code."),
    ".splatv, all times": Kind("splatv", "The moving scene for web viewers, each motion as a cubic in time."),
}  # fmt: skip
READ_BACK = "Every file is read back and compared before it gets its name."


class GaussianSection:
    """Tags of what tests use: ``gaussians_kind``, ``gaussians_frames``, ``gaussians_file``."""

    def __init__(self, desk: Desk, kept: Kept) -> None:
        self._desk, self._kept = desk, kept
        self._told = ""
        self.agreed = ""
        """A path that the person has agreed to replace."""

    def build(self) -> None:
        """The rows, in the current container."""
        kept, skin = self._kept, self._desk.skin
        kept.combo("Kind", "gaussians_kind", [*KINDS], READ_BACK)
        kept.row("Files", lambda: dpg.add_input_int(
            default_value=20, step=0, width=-1, tag="gaussians_frames"), "gaussians_count", show=False)  # fmt: skip
        skin.text("", tag="gaussians_about", wrap=0)
        kept.file("gaussians_file", "Where to. A numbered file is NAME0001.ply and so on", self._browse)

    def opened(self, event: p.Opened) -> None:
        """Another scene: its own names."""
        dpg.set_value("gaussians_frames", min(event.frame_count, MOST_FILES))
        dpg.set_value("gaussians_file", str(event.run.absolute() / f"scene{ENDINGS[self._kind.kind]}"))

    @property
    def _kind(self) -> Kind:
        return KINDS[dpg.get_value("gaussians_kind")]

    def refresh(self) -> None:
        """The name ends as the kind wants it."""
        chosen = str(dpg.get_value("gaussians_kind"))
        if chosen == self._told:
            return
        self._told, kind = chosen, self._kind
        dpg.set_value("gaussians_about", f"{kind.about} {READ_BACK}")
        show_only({"gaussians_count": kind.numbered})
        name = with_ending(dpg.get_value("gaussians_file"), ENDINGS[kind.kind], ENDINGS.values())
        dpg.set_value("gaussians_file", name)

    def plan(self) -> GaussianExport:
        """What is chosen, at the time on the screen. InputError where that cannot be."""
        kind, frames = self._kind, int(dpg.get_value("gaussians_frames"))
        if kind.numbered and not 1 <= frames <= MOST_FILES:
            raise InputError(f"Files: {frames:,} cannot be; give 1 to {MOST_FILES:,}")
        return GaussianExport(
            path_in("gaussians_file"), kind.kind, self._desk.stage.time, frames if kind.numbered else None
        )

    def _browse(self) -> None:
        def chosen(path: Path) -> None:
            self.agreed = str(path)
            dpg.set_value("gaussians_file", str(path))

        ending = ENDINGS[self._kind.kind]
        self._desk.dialogs.ask_save("Write the Gaussians to", path_in("gaussians_file"), chosen, (ending,))


CAMERA_KINDS: dict[str, Literal["colmap", "transforms"]] = {
    "COLMAP folder": "colmap",
    "transforms.json": "transforms",
}


class CameraSection:
    """Tags of what tests use: ``cameras_kind``, ``cameras_pictures``, ``cameras_file``."""

    def __init__(self, desk: Desk, kept: Kept) -> None:
        self._desk, self._kept = desk, kept
        self._names: dict[str, str] = {}
        self._chosen = ""
        self.agreed = ""
        """A path that the person has agreed to replace."""

    def build(self) -> None:
        """The rows, in the current container."""
        kept, skin = self._kept, self._desk.skin
        kept.combo("Kind", "cameras_kind", [*CAMERA_KINDS], "The clip's cameras where they are now, learned ones too: "
                   "sparse/0 of COLMAP as text, or nerfstudio's file with the time of every picture")  # fmt: skip
        dpg.add_checkbox(label="with the pictures", tag="cameras_pictures",
                         default_value=kept.value("cameras_pictures", False))  # fmt: skip
        skin.tip("cameras_pictures", "The clip's pictures too, into images/ beside them, at the size that they are "
                 "learned from")  # fmt: skip
        kept.file("cameras_file", "Where to: a folder for COLMAP, a .json file else", self._browse)

    def opened(self, event: p.Opened) -> None:
        """Another scene: its own names."""
        run = event.run.absolute()
        self._names = {"colmap": str(run / "colmap"), "transforms": str(run / "nerfstudio" / "transforms.json")}
        dpg.configure_item("cameras_pictures", show=event.has_clip)
        if not event.has_clip:
            dpg.set_value("cameras_pictures", False)
        self._chosen = ""

    def refresh(self) -> None:
        """A folder or a file, as the kind is; a name that was typed is there again when the kind is."""
        chosen = str(dpg.get_value("cameras_kind"))
        if chosen != self._chosen and self._names:
            if self._chosen:
                self._names[CAMERA_KINDS[self._chosen]] = dpg.get_value("cameras_file")
            self._chosen = chosen
            dpg.set_value("cameras_file", self._names[CAMERA_KINDS[chosen]])

    def plan(self) -> CameraExport:
        """What is chosen. InputError where that cannot be."""
        kind = CAMERA_KINDS[dpg.get_value("cameras_kind")]
        plan = CameraExport(path_in("cameras_file"), kind, dpg.get_value("cameras_pictures"))
        check_cameras(plan)
        return plan

    def _browse(self) -> None:
        def chosen(path: Path) -> None:
            dpg.set_value("cameras_file", str(path))

        def agreed(path: Path) -> None:
            self.agreed = str(path)
            chosen(path)

        start = path_in("cameras_file")
        if CAMERA_KINDS[dpg.get_value("cameras_kind")] == "colmap":
            self._desk.dialogs.ask_folder("A folder for the cameras", start, chosen)
        else:
            self._desk.dialogs.ask_save("Write the cameras to", start, agreed, (".json",))
