"""What is shown while no scene is open: the demo, scenes that were open before, and a place to drop a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.gui.desk import Desk
from app.gui.menus import fill_recent
from app.gui.panel import Panel
from app.gui.start.opening import OpeningCard, OpeningNote, source_of
from app.settings import with_recent, without_recent
from renderer.files.read_scene import SUFFIXES
from training.data.layouts import Recognised, is_demo
from training.data.recognise import VIDEO_SUFFIXES, recognise

DEMOS = (
    ("demo", "Open the demo scene", "Three cameras on tripods film a small moving world."),
    ("demo:small-motion", "Open the hand-held demo", "One camera that hardly moves films it."),
)
"""Source, what its button says, and what it shows."""
LEFT, RIGHT, GAP = 440, 460, 28
LOOK_AGAIN = 5.0
"""Seconds after which recent scenes are looked at again: a disk may come or go."""
SENTENCE = (
    "Turns a clip into a moving 3D scene while you look around in it. It needs little to film with: one hand-held "
    "camera, or two or three on tripods."
)


class StartPanel(Panel):
    """Fills the window while no scene is open, and offers to open what is chosen, dropped or named."""

    title = "Start"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._card, self._note = OpeningCard(desk), OpeningNote(desk)
        self._dropped: list[str] = []
        self._seen: dict[str, Recognised] = {}
        self._listed: object = None
        self._looked_at, self._looking = float("-inf"), False
        self._fitted: object = None
        self._run: Path | None = None
        desk.offer = self._card.offer

    # --------------------------------------------------------------------------------------------- widgets

    def build(self) -> None:
        """The panel, in the current container."""
        px = self.desk.skin.px
        self._build_themes()
        dpg.add_spacer(height=px(24), tag="start_top")
        with dpg.group(horizontal=True, horizontal_spacing=0):
            dpg.add_spacer(width=1, tag="start_left_margin")
            with dpg.group():
                self._build_left()
            dpg.add_spacer(width=px(GAP), tag="start_gap")
            with dpg.group():
                dpg.add_text("Recent")
                self.desk.skin.text("What you open is listed here.", tag="recent_empty", wrap=px(RIGHT - 30))
                dpg.add_child_window(tag="recent", border=False, width=px(RIGHT), height=px(400))
                self.desk.skin.flush("recent")

    def _build_themes(self) -> None:
        """Names of scenes begin at the left; those that are gone are faint."""
        for tag, alpha in (("recent there", 1.0), ("recent gone", 0.45)):
            with dpg.theme(tag=tag):
                for enabled in (True, False):
                    with dpg.theme_component(dpg.mvButton, enabled_state=enabled):
                        dpg.add_theme_style(dpg.mvStyleVar_ButtonTextAlign, 0.0, 0.5)
                        dpg.add_theme_style(dpg.mvStyleVar_Alpha, alpha)

    def build_card(self) -> None:
        """What lies over the window: the question, and what is being opened."""
        self._card.build()
        self._note.build()

    def _build_left(self) -> None:
        skin, px = self.desk.skin, self.desk.skin.px
        with dpg.font_registry():
            large = dpg.add_font(str(files("assets").joinpath("fonts/DejaVuSans.ttf")), px(34))
        dpg.bind_item_font(dpg.add_text("dynview"), large)
        skin.text(SENTENCE, wrap=px(LEFT))
        dpg.add_spacer(height=px(6))
        for name, label, what in DEMOS:
            button = dpg.add_button(label=label, tag=f"start {name}", width=px(LEFT), height=px(38), user_data=name,
                                    callback=lambda s, d, name: self._open_demo(name))  # fmt: skip
            if name == DEMOS[0][0]:
                skin.primary(button)
            skin.text(what, wrap=px(LEFT))
        dpg.add_spacer(height=px(6))
        with dpg.group(horizontal=True):
            half = (px(LEFT) - px(8)) // 2
            dpg.add_button(label="Open a folder ...", tag="start_folder", width=half, height=px(32),
                           callback=lambda: self._ask("Open the folder of a clip"))  # fmt: skip
            dpg.add_button(label="Open a run ...", tag="start_run", width=half, height=px(32),
                           callback=lambda: self._ask("Open the folder of a run"))  # fmt: skip
        dpg.add_button(label="Open a scene file ...", tag="start_scene", width=px(LEFT), height=px(32),
                       callback=lambda: self._ask_scene())  # fmt: skip
        skin.tip("start_scene", f"Of another program, to look at: {', '.join(SUFFIXES)}")
        with dpg.group(horizontal=True):
            dpg.add_input_text(hint="or its path", tag="start_path", width=px(LEFT - 88), on_enter=True,
                               callback=lambda: self._open_path())  # fmt: skip
            dpg.add_button(label="Open", tag="start_open", width=px(80), callback=lambda: self._open_path())
        dpg.add_spacer(height=px(6))
        with dpg.child_window(height=px(64), width=px(LEFT), tag="start_drop"):
            dpg.add_text("Or drop a folder or file anywhere on this window.")
            skin.text("Videos, pictures, a run or a scene; what is missing is said.")

    def _fit(self) -> None:
        """Keep both columns in the middle."""
        px = self.desk.skin.px
        size = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        if size == self._fitted:
            return
        self._fitted = size
        width, height = size
        rest = width - px(LEFT) - px(GAP) - 2 * px(10)
        right = min(px(RIGHT), max(px(260), rest - px(24)))
        dpg.configure_item("start_left_margin", width=max(1, (rest - right) // 2))
        dpg.configure_item("start_top", height=max(px(8), (height - px(640)) // 3))
        dpg.configure_item("recent", width=right, height=max(px(160), min(px(480), height - px(190))))
        self._listed = None

    # ---------------------------------------------------------------------------------------------- recent

    def _look(self, now: float) -> None:
        """See what the recent scenes are, beside the loop."""
        names = self.desk.settings.recent
        if self._looking or now - self._looked_at < LOOK_AGAIN:
            return
        self._looking, self._looked_at = True, now
        self.desk.beside(lambda: {name: recognise(name) for name in names}, self._looked, self._over)

    def _looked(self, seen: dict[str, Recognised]) -> None:
        self._seen = seen
        self._over()

    def _over(self) -> None:
        self._looking = False

    def _list(self) -> None:
        names = self.desk.settings.recent
        wanted = [(name, self._seen.get(name)) for name in names]
        if wanted == self._listed:
            return
        self._listed = wanted
        dpg.delete_item("recent", children_only=True)
        dpg.configure_item("recent_empty", show=not names)
        for k, (name, found) in enumerate(wanted):
            self._list_one(k, name, found)

    def _list_one(self, k: int, name: str, found: Recognised | None) -> None:
        skin, px = self.desk.skin, self.desk.skin.px
        width = dpg.get_item_width("recent") or px(RIGHT)
        gone = found is not None and found.kind == "nothing"
        with dpg.group(parent="recent"):
            with dpg.group(horizontal=True):
                dpg.add_button(label=short_name(name), tag=f"recent {k}", width=width - px(54), enabled=not gone,
                               user_data=name, callback=lambda s, d, name: self._open_recent(name))  # fmt: skip
                dpg.bind_item_theme(f"recent {k}", "recent gone" if gone else "recent there")
                dpg.add_button(label="x", tag=f"recent_remove {k}", width=px(26), user_data=name,
                               callback=lambda s, d, name: self._remove(name))  # fmt: skip
                skin.tip(f"recent_remove {k}", "Take it off this list; nothing is deleted.")
            what = "looking ..." if found is None else found.what
            skin.text(f"{what[:1].upper()}{what[1:]}", indent=px(8), wrap=width - px(24))
            if Path(name).name != name:
                skin.text(shortened(name, (width - px(40)) // px(8)), indent=px(8))
            dpg.add_spacer(height=px(4))
        skin.tip(f"recent {k}", "\n".join((name, *(found.missing if found else ()))))

    def _remove(self, name: str) -> None:
        self._remember(without_recent(self.desk.settings, name).recent)

    def _remember(self, recent: tuple[str, ...]) -> None:
        if recent != self.desk.settings.recent:
            self.desk.remember(recent=recent)
            self._looked_at = float("-inf")
            fill_recent(self.desk)

    # ---------------------------------------------------------------------------------------------- opening

    def dropped(self, paths: list[str]) -> None:
        """These were dropped on the window; called while a frame is drawn."""
        self._dropped.extend(paths)

    def _open_demo(self, name: str) -> None:
        found = recognise(name)
        self.desk.open_scene(source_of(found, found.method, train=True))

    def _open_recent(self, name: str) -> None:
        """A run, a demo or a scene at once, a clip with the question by which method."""
        found = self._seen.get(name)
        if found is not None and found.opens and found.kind in ("run", "demo", "scene"):
            self.desk.open_scene(source_of(found, found.method))
        else:
            self._card.offer(name)

    def _open_path(self) -> None:
        path = dpg.get_value("start_path").strip()
        if path:
            self._card.offer(path)

    def _ask(self, title: str) -> None:
        self.desk.dialogs.ask_folder(title, self._beginning, lambda path: self._card.offer(str(path)))

    def _ask_scene(self) -> None:
        self.desk.dialogs.ask_open(
            "Open a scene file", self._beginning, lambda path: self._card.offer(str(path)), SUFFIXES
        )

    @property
    def _beginning(self) -> Path:
        """Where to begin to look for something to open."""
        recent = [name for name in self.desk.settings.recent if not is_demo(name)]
        return Path(recent[0]).parent if recent else Path.cwd()

    # --------------------------------------------------------------------------------------- what happens

    def handle(self, event: p.Event) -> None:
        """Follow what is opened and kept."""
        match event:
            case p.Opened():
                self._run = event.run
                self._card.hide()
            case p.Saved() if self._run is not None:
                self._remember(with_recent(self.desk.settings, self._run).recent)
            case p.Failed() if event.closed:
                self._card.failed(event, self.desk.opening)
        self._note.handle(event)

    def closed(self) -> None:
        """The scene was closed: what was learned may be new."""
        self._run, self._looked_at = None, float("-inf")

    def tick(self, now: float) -> None:
        """Take what was dropped, and keep the list true while it is seen."""
        if self._dropped:
            paths, self._dropped = self._dropped, []
            if all(Path(path).suffix.lower() in VIDEO_SUFFIXES for path in paths):
                self._card.offer(*sorted(paths))
            else:
                self._card.offer(paths[0])
                if len(paths) > 1:
                    self.desk.say(f"Of {len(paths)} that were dropped, the first is looked at.")
        self._card.tick()
        self._note.tick()
        if dpg.is_item_shown("start"):
            self._fit()
            self._look(now)
            self._list()

    def close(self) -> None:
        """The window ends."""
        self._card.close()

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys and the menu do here."""
        return {"file.open": self._card.ask, "edit.cancel": self._leave}

    def _leave(self) -> None:
        """The question, where it is there; else what goes on in the picture."""
        if not self._card.catches("Escape"):
            self.desk.stage.leave()

    def catches(self, chord: str) -> bool:
        """While the question is there, keys are for it."""
        return self._card.catches(chord)

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        recent = [{"name": n, "what": self._seen[n].what, "opens": self._seen[n].opens} for n in
                  self.desk.settings.recent if n in self._seen]  # fmt: skip
        shown = bool(dpg.is_item_shown("start"))
        return {"start": {"shown": shown, "recent": recent, **self._card.state(), **self._note.state()}}


def short_name(name: str) -> str:
    """What a scene is called in the list."""
    demo = {source: label for source, label in (("demo", "Demo scene"), ("demo:sparse", "Demo scene"),
                                                ("demo:small-motion", "Hand-held demo"))}  # fmt: skip
    return demo.get(name) or Path(name).name or name


def shortened(path: str, most: int) -> str:
    """A path of at most so many characters, its middle left out."""
    if len(path) <= most:
        return path
    end = max(8, most * 2 // 3)
    return f"{path[: max(1, most - end - 3)]}...{path[-end:]}"
