"""Where everything is in the window: picture and timeline to the left, panels as tabs to the right, a divider between
them, the status below; and the size, the place and the skin of the window itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk
from app.gui.native import Native
from app.gui.panel import Panel
from app.gui.picture.viewport import Viewport
from app.gui.theme import FONT_SIZE
from app.gui.timeline.panel import Timeline

SIZE, SMALLEST = (1360, 860), (900, 560)
NARROWEST, WIDEST = 300, 0.6
"""Of the column of panels: pixels, and share of the window."""
GRIP = 6
"""Width of the divider, pixels."""
TEXT_TYPES = tuple(f"mvAppItemType::mv{kind}" for kind in ("InputText", "InputInt", "InputFloat", "InputDouble",
                                                          "InputIntMulti", "InputFloatMulti"))  # fmt: skip
TAB = "mvAppItemType::mvTab"
CLOSED = tuple(f"mvAppItemType::mv{kind}" for kind in ("Plot", "Drawlist", "Button", "Text", "Image", "Combo"))
"""Kinds of widgets that hold no text fields."""
GRACE = 0.15
"""Seconds after which keys do what they do again: Enter and Escape end the typing, and are heard of later."""
LOOKS = 3
"""Frames in which a widget that has come into use is looked for among text fields."""
STEPS = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
"""Sizes of text and widgets that can be chosen."""


class Layout:
    """``tab``: title of the panel in front."""

    def __init__(self, desk: Desk, viewport: Viewport, timeline: Timeline) -> None:
        self.desk, self._viewport, self._timeline = desk, viewport, timeline
        self._titles: list[str] = []
        self._fitted: object = None
        self._native: Native | None = None
        self._focused: int | str = 0
        self._looks, self._ended_at = LOOKS, 0.0
        self._field: int | str | None = None
        desk.show_tab, desk.tab_in_front = self.show_tab, lambda: self.tab

    def create_viewport(self, size: tuple[int, int] | None) -> None:
        """The window itself, as it was last."""
        x, y, w, h = self.desk.settings.window or (20, 20, *SIZE)
        if size is not None:
            x, y, w, h = 0, 0, *size
        dpg.create_viewport(
            title="dynview", width=w, height=h, x_pos=max(0, x), y_pos=max(0, y), min_width=SMALLEST[0],
            min_height=SMALLEST[1], vsync=True, disable_close=True,
        )  # fmt: skip
        dpg.set_viewport_clear_color([*self.desk.skin.color("background")])

    def shown(self, native: Native) -> None:
        """The window is on the screen: take the screen's scale, where the person has not chosen one."""
        self._native, chosen = native, self.desk.settings.scale
        self.desk.skin.scale = chosen or native.content_scale() or 1.0

    def build(self, tabs: Sequence[Panel], start: Panel, status: Panel) -> None:
        """Everything, in the current container."""
        skin = self.desk.skin
        with dpg.child_window(tag="start", border=False, show=False):
            start.build()
        with dpg.group(horizontal=True, tag="scene", horizontal_spacing=0):
            with dpg.group(tag="left"):
                self._viewport.build()
                self._timeline.build()
            dpg.add_button(label="", width=skin.px(GRIP), tag="splitter")
            with dpg.child_window(tag="side", border=False, no_scrollbar=True):
                skin.flush("side")
                with dpg.tab_bar(tag="tabs"):
                    for panel in tabs:
                        self._titles.append(panel.title)
                        with (
                            dpg.tab(label=panel.title, tag=f"tab {panel.title}"),
                            dpg.child_window(tag=f"body {panel.title}", border=False, always_use_window_padding=True),
                        ):
                            skin.padded(f"body {panel.title}")
                            panel.build()
        with dpg.group(horizontal=True, tag="status_row"):
            status.build()
        if self.desk.settings.tab in self._titles:
            self.show_tab(self.desk.settings.tab)

    # ------------------------------------------------------------------------------------- once per frame

    def tick(self, scene: bool) -> None:
        """Fit everything into the window. ``scene``: whether there is one, or one is opening."""
        self._drag_divider()
        width, height = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        side = self._side(width)
        now = (width, height, side, scene, self.desk.skin.scale)
        if now == self._fitted or width < 200 or height < 200:
            return
        self._fitted = now
        px = self.desk.skin.px
        inner = height - px(FONT_SIZE + 14) - 3 * px(8) - px(FONT_SIZE + 6)
        dpg.configure_item("start", show=not scene, height=inner)
        dpg.configure_item("scene", show=scene)
        grip = px(GRIP) if side else 0
        left = width - side - grip - 2 * px(10)
        self._viewport.resize(left, inner - self._timeline.height - 2 * px(6))
        self._timeline.resize(left)
        dpg.configure_item("splitter", height=inner, show=bool(side))
        dpg.configure_item("side", width=max(1, side), height=inner, show=bool(side))

    def _side(self, width: int) -> int:
        settings, px = self.desk.settings, self.desk.skin.px
        if not settings.side_shown:
            return 0
        return round(min(max(px(settings.side), px(NARROWEST)), WIDEST * width))

    def _drag_divider(self) -> None:
        if dpg.is_item_active("splitter"):
            x, scale = dpg.get_mouse_pos(local=False)[0], self.desk.skin.scale
            side = round((dpg.get_viewport_client_width() - x - 10 * scale) / scale)
            most = WIDEST * dpg.get_viewport_client_width() / scale
            self.desk.remember(side=round(min(max(side, NARROWEST), most)))

    @property
    def tab(self) -> str:
        """Title of the panel in front."""
        value = dpg.get_value("tabs")
        alias = dpg.get_item_alias(value) if isinstance(value, int) else value
        return str(alias or "").removeprefix("tab ")

    def show_tab(self, title: str) -> None:
        """Bring a panel to the front."""
        self.desk.remember(side_shown=True)
        dpg.set_value("tabs", f"tab {title}")

    def typing(self) -> bool:
        """Whether keys belong to a text field; asked in every frame, looked up when a widget comes into use."""
        active = self._native.item_active() if self._native is not None else None
        if active is False:
            if self._field is not None:
                self._field, self._ended_at = None, time.monotonic()
            self._looks = LOOKS
            return time.monotonic() - self._ended_at < GRACE
        if self._field is not None and dpg.does_item_exist(self._field) and dpg.is_item_active(self._field):
            return True
        item = dpg.get_focused_item()
        if item != self._focused or active is None:
            self._focused, self._looks = item, LOOKS
        if self._looks > 0 and item and dpg.does_item_exist(item):
            self._looks -= 1  # the focus may come a frame later than the use
            self._field = next((f for f in self._fields_in(item) if dpg.is_item_active(f)), None)
        return self._field is not None

    def _fields_in(self, item: int | str) -> Iterator[int | str]:
        """Text fields in an item that has the focus: a container has that of what it holds."""
        kind = dpg.get_item_type(item)
        if kind in TEXT_TYPES:
            yield item
        elif kind == TAB and dpg.get_item_alias(item) != f"tab {self.tab}":
            return
        elif kind not in CLOSED:
            for child in dpg.get_item_children(item, 1):
                yield from self._fields_in(child)

    def remember(self) -> None:
        """Keep what the person has arranged."""
        x, y = dpg.get_viewport_pos()
        place = (round(x), round(y), dpg.get_viewport_width(), dpg.get_viewport_height())
        self.desk.remember(window=place, tab=self.tab)

    # -------------------------------------------------------------------------------------------- actions

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        desk = self.desk
        return {
            "view.hide": lambda: desk.remember(side_shown=not desk.settings.side_shown),
            "view.full": dpg.toggle_viewport_fullscreen,
            "view.theme": self._switch_theme,
            "view.larger": lambda: self._scale(1),
            "view.smaller": lambda: self._scale(-1),
            "file.export": lambda: self.show_tab("Export"),
        }

    def _switch_theme(self) -> None:
        theme = "light" if self.desk.skin.theme == "dark" else "dark"
        self.desk.skin.switch(theme)  # type: ignore[arg-type]
        self.desk.remember(theme=theme)
        self.desk.stage.version += 1

    def _scale(self, by: int) -> None:
        now = self.desk.settings.scale or self.desk.skin.scale
        nearest = min(range(len(STEPS)), key=lambda k: abs(STEPS[k] - now))
        scale = STEPS[min(max(nearest + by, 0), len(STEPS) - 1)]
        self.desk.remember(scale=scale)
        self.desk.say(f"Text and widgets have {100 * scale:.0f} % when the window is opened again")
