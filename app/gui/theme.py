"""Colours, spacing and the font of the window: two skins, switched while the window is open."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal

import dearpygui.dearpygui as dpg

Theme = Literal["dark", "light"]
Color = tuple[int, ...]
Item = int | str

PALETTES: Mapping[Theme, Mapping[str, Color]] = {
    "dark": {
        "background": (24, 26, 30), "panel": (32, 35, 40), "raised": (44, 48, 55), "hover": (58, 64, 73),
        "border": (52, 57, 65), "text": (222, 225, 230), "muted": (156, 163, 174), "accent": (70, 124, 190),
        "accent hover": (92, 148, 214), "on accent": (255, 255, 255), "backdrop": (18, 20, 23), "plot": (26, 28, 33),
        "grid": (255, 255, 255, 26), "legend": (26, 28, 33, 225), "blue": (98, 160, 230), "orange": (236, 138, 62),
        "amber": (255, 194, 64), "green": (98, 190, 150), "red": (240, 120, 104), "purple": (190, 150, 220),
        "grey": (150, 156, 166), "shade": (0, 0, 0, 90), "nothing": (0, 0, 0, 0),
    },
    "light": {
        "background": (236, 238, 241), "panel": (248, 249, 250), "raised": (222, 226, 231), "hover": (206, 212, 219),
        "border": (196, 202, 210), "text": (28, 32, 38), "muted": (88, 96, 108), "accent": (36, 98, 168),
        "accent hover": (58, 122, 194), "on accent": (255, 255, 255), "backdrop": (214, 218, 224),
        "plot": (255, 255, 255), "grid": (0, 0, 0, 30), "legend": (255, 255, 255, 225), "blue": (28, 104, 184),
        "orange": (196, 92, 12), "amber": (170, 112, 0), "green": (8, 122, 92), "red": (188, 44, 32),
        "purple": (116, 66, 156), "grey": (110, 118, 130), "shade": (255, 255, 255, 110), "nothing": (0, 0, 0, 0),
    },
}  # fmt: skip
"""Areas are filled once, by clearing the window: a software renderer takes longest for what it has to fill. Blue and
orange are told apart by everybody, and so are the others where they meet in one plot."""
FONT_SIZE = 16


class Skin:
    """Makes the themes once and recolours them when the person switches. ``scale``: of everything, 1 at 96 dpi."""

    def __init__(self, theme: Theme = "dark", scale: float = 1.0) -> None:
        self.theme, self.scale = theme, scale
        self._colors: list[tuple[Item, str]] = []
        self._roles: dict[str, Item] = {}

    def apply(self) -> None:
        """Bind the font and the theme of the window; once, after the context exists."""
        with dpg.font_registry():
            font = dpg.add_font(str(files("assets").joinpath("fonts/DejaVuSans.ttf")), round(FONT_SIZE * self.scale))
        dpg.bind_font(font)
        with dpg.theme() as theme, dpg.theme_component(dpg.mvAll):
            for target, name in _WINDOW_COLORS:
                self._color(target, name)
            for target, name in _PLOT_COLORS:
                self._color(target, name, dpg.mvThemeCat_Plots)
            for style, values in _STYLES:
                dpg.add_theme_style(style, *(self.scale * v for v in values))
            dpg.add_theme_style(dpg.mvPlotStyleVar_PlotPadding, 6, 6, category=dpg.mvThemeCat_Plots)
        dpg.bind_theme(theme)

    def px(self, pixels: float) -> int:
        """Pixels of the screen for pixels at 96 dpi; negative ones, which Dear PyGui counts from the far edge, too."""
        return round(pixels * self.scale)

    def switch(self, theme: Theme) -> None:
        """Recolour everything."""
        self.theme = theme
        for item, name in self._colors:
            dpg.set_value(item, [*self.color(name)])
        dpg.set_viewport_clear_color([*self.color("background")])

    def color(self, name: str) -> tuple[int, int, int, int]:
        """A colour of the present palette, 0 to 255 with alpha."""
        r, g, b, *a = PALETTES[self.theme][name]
        return r, g, b, a[0] if a else 255

    def share(self, name: str) -> tuple[float, float, float]:
        """The same in [0, 1], without alpha."""
        r, g, b, _ = self.color(name)
        return r / 255, g / 255, b / 255

    # ------------------------------------------------------------------------------------------- widgets

    def text(self, value: str, color: str = "muted", **options: Any) -> Item:
        """A text in a colour of the palette, which follows the theme."""
        item = dpg.add_text(value, **options)
        dpg.bind_item_theme(item, self._role(f"text {color}", self._text_role, color))
        return item

    def recolor(self, item: Item, color: str) -> None:
        """Another colour of the palette for a text."""
        dpg.bind_item_theme(item, self._role(f"text {color}", self._text_role, color))

    def tab_color(self, tab: Item, color: str) -> None:
        """A colour of the palette for the title of a tab."""
        dpg.bind_item_theme(tab, self._role(f"tab {color}", self._tab_role, color))

    def primary(self, button: Item) -> None:
        """Make a button the one that matters most."""
        dpg.bind_item_theme(button, self._role("primary", self._primary_role, ""))

    def series(self, item: Item, color: str, weight: float = 1.5) -> None:
        """Colour a series of a plot."""
        dpg.bind_item_theme(item, self._role(f"series {color} {weight}", self._series_role, f"{color}:{weight}"))

    def flush(self, container: Item) -> None:
        """Take the padding from a child window."""
        dpg.bind_item_theme(container, self._role("flush", self._flush_role, ""))

    def padded(self, container: Item) -> None:
        """Give a child window room at its edges."""
        dpg.bind_item_theme(container, self._role("padded", self._padded_role, ""))

    def card(self, window: Item) -> None:
        """Set a window that lies over others off from them and from the buttons on it."""
        dpg.bind_item_theme(window, self._role("card", self._card_role, ""))

    def tip(self, item: Item, text: str) -> None:
        """A tooltip that wraps."""
        with dpg.tooltip(item, delay=0.4):
            dpg.add_text(text, wrap=self.px(360))

    # ------------------------------------------------------------------------------------------- details

    def _color(self, target: int, name: str, category: int = 0) -> None:
        item = dpg.add_theme_color(target, self.color(name), category=category)
        self._colors.append((item, name))

    def _role(self, key: str, make: Any, value: str) -> Item:
        if key not in self._roles:
            with dpg.theme() as theme:
                make(value)
            self._roles[key] = theme
        return self._roles[key]

    def _text_role(self, color: str) -> None:
        with dpg.theme_component(dpg.mvText):
            self._color(dpg.mvThemeCol_Text, color)

    def _tab_role(self, color: str) -> None:
        with dpg.theme_component(dpg.mvTab):
            self._color(dpg.mvThemeCol_Text, color)

    def _primary_role(self, _: str) -> None:
        with dpg.theme_component(dpg.mvButton):
            self._color(dpg.mvThemeCol_Button, "accent")
            self._color(dpg.mvThemeCol_ButtonHovered, "accent hover")
            self._color(dpg.mvThemeCol_ButtonActive, "accent")
            self._color(dpg.mvThemeCol_Text, "on accent")

    def _series_role(self, value: str) -> None:
        color, _, weight = value.partition(":")
        for kind in _SERIES:
            with dpg.theme_component(kind):
                for target in (dpg.mvPlotCol_Line, dpg.mvPlotCol_MarkerFill, dpg.mvPlotCol_MarkerOutline):
                    self._color(target, color, dpg.mvThemeCat_Plots)
                self._color(dpg.mvPlotCol_Fill, color, dpg.mvThemeCat_Plots)
                dpg.add_theme_style(dpg.mvPlotStyleVar_LineWeight, float(weight) * self.scale,
                                    category=dpg.mvThemeCat_Plots)  # fmt: skip
                dpg.add_theme_style(dpg.mvPlotStyleVar_MarkerSize, 3 * self.scale, category=dpg.mvThemeCat_Plots)

    def _padded_role(self, _: str) -> None:
        with dpg.theme_component(dpg.mvChildWindow):
            dpg.add_theme_style(dpg.mvStyleVar_WindowPadding, 8 * self.scale, 6 * self.scale)

    def _flush_role(self, _: str) -> None:
        with dpg.theme_component(dpg.mvChildWindow):
            dpg.add_theme_style(dpg.mvStyleVar_WindowPadding, 0, 0)

    def _card_role(self, _: str) -> None:
        with dpg.theme_component(dpg.mvAll):
            for target in (dpg.mvThemeCol_PopupBg, dpg.mvThemeCol_WindowBg, dpg.mvThemeCol_ChildBg):
                self._color(target, "panel")
            for border in (dpg.mvStyleVar_PopupBorderSize, dpg.mvStyleVar_WindowBorderSize):
                dpg.add_theme_style(border, 1)


_SERIES = (
    dpg.mvLineSeries, dpg.mvStemSeries, dpg.mvInfLineSeries, dpg.mvScatterSeries, dpg.mvStairSeries, dpg.mvBarSeries,
    dpg.mvShadeSeries,
)  # fmt: skip
_WINDOW_COLORS = (
    (dpg.mvThemeCol_WindowBg, "background"), (dpg.mvThemeCol_ChildBg, "nothing"), (dpg.mvThemeCol_PopupBg, "raised"),
    (dpg.mvThemeCol_MenuBarBg, "background"), (dpg.mvThemeCol_Border, "border"), (dpg.mvThemeCol_FrameBg, "raised"),
    (dpg.mvThemeCol_FrameBgHovered, "hover"), (dpg.mvThemeCol_FrameBgActive, "hover"),
    (dpg.mvThemeCol_Button, "raised"), (dpg.mvThemeCol_ButtonHovered, "hover"), (dpg.mvThemeCol_ButtonActive, "accent"),
    (dpg.mvThemeCol_Header, "raised"), (dpg.mvThemeCol_HeaderHovered, "hover"), (dpg.mvThemeCol_HeaderActive, "hover"),
    (dpg.mvThemeCol_SliderGrab, "accent"), (dpg.mvThemeCol_SliderGrabActive, "accent hover"),
    (dpg.mvThemeCol_CheckMark, "blue"), (dpg.mvThemeCol_PlotHistogram, "accent"), (dpg.mvThemeCol_Text, "text"),
    (dpg.mvThemeCol_TextDisabled, "muted"), (dpg.mvThemeCol_TitleBg, "raised"),
    (dpg.mvThemeCol_TitleBgActive, "raised"), (dpg.mvThemeCol_TitleBgCollapsed, "raised"),
    (dpg.mvThemeCol_Tab, "background"), (dpg.mvThemeCol_TabHovered, "hover"), (dpg.mvThemeCol_TabActive, "raised"),
    (dpg.mvThemeCol_TabUnfocused, "background"), (dpg.mvThemeCol_TabUnfocusedActive, "raised"),
    (dpg.mvThemeCol_ScrollbarBg, "panel"), (dpg.mvThemeCol_ScrollbarGrab, "hover"),
    (dpg.mvThemeCol_ScrollbarGrabHovered, "muted"), (dpg.mvThemeCol_ScrollbarGrabActive, "muted"),
    (dpg.mvThemeCol_Separator, "border"), (dpg.mvThemeCol_TableHeaderBg, "raised"),
    (dpg.mvThemeCol_TableBorderLight, "border"), (dpg.mvThemeCol_TableBorderStrong, "border"),
    (dpg.mvThemeCol_TextSelectedBg, "accent"), (dpg.mvThemeCol_ModalWindowDimBg, "shade"),
    (dpg.mvThemeCol_ResizeGrip, "hover"), (dpg.mvThemeCol_ResizeGripHovered, "accent"),
    (dpg.mvThemeCol_ResizeGripActive, "accent"),
)  # fmt: skip
_PLOT_COLORS = (
    (dpg.mvPlotCol_FrameBg, "nothing"), (dpg.mvPlotCol_PlotBg, "plot"), (dpg.mvPlotCol_PlotBorder, "border"),
    (dpg.mvPlotCol_AxisGrid, "grid"), (dpg.mvPlotCol_AxisText, "muted"), (dpg.mvPlotCol_LegendBg, "legend"),
    (dpg.mvPlotCol_LegendText, "text"), (dpg.mvPlotCol_LegendBorder, "border"), (dpg.mvPlotCol_TitleText, "text"),
    (dpg.mvPlotCol_InlayText, "text"), (dpg.mvPlotCol_Crosshairs, "muted"),
)  # fmt: skip
_STYLES = (
    (dpg.mvStyleVar_WindowPadding, (10, 8)), (dpg.mvStyleVar_FramePadding, (8, 4)),
    (dpg.mvStyleVar_ItemSpacing, (8, 6)), (dpg.mvStyleVar_ItemInnerSpacing, (6, 4)),
    (dpg.mvStyleVar_CellPadding, (4, 3)), (dpg.mvStyleVar_IndentSpacing, (18,)), (dpg.mvStyleVar_FrameRounding, (4,)),
    (dpg.mvStyleVar_ChildRounding, (6,)), (dpg.mvStyleVar_TabRounding, (4,)), (dpg.mvStyleVar_GrabMinSize, (12,)),
    (dpg.mvStyleVar_ScrollbarSize, (11,)), (dpg.mvStyleVar_WindowBorderSize, (0,)),
    (dpg.mvStyleVar_ChildBorderSize, (0,)),
)  # fmt: skip
