"""Colours, spacing and the font of the window."""

from __future__ import annotations

from importlib.resources import files

import dearpygui.dearpygui as dpg

BACKGROUND = (24, 26, 30)
PANEL = (32, 35, 40)
RAISED = (44, 48, 55)
HOVER = (58, 64, 73)
TEXT = (222, 225, 230)
MUTED = (148, 155, 166)
ACCENT = (84, 143, 214)
ACCENT_HOVER = (104, 161, 230)
AMBER = (255, 194, 64)
GREEN = (114, 189, 124)
RED = (224, 108, 96)
STATIC, DYNAMIC = ACCENT, (230, 126, 51)
"""What stands still and what moves: blue and orange are told apart by everybody."""
FONT_SIZE = 16
BACKDROP = (18 / 255, 20 / 255, 23 / 255)


def apply() -> None:
    """Make and bind the theme and the font; once, after the context exists."""
    with dpg.font_registry():
        font = dpg.add_font(str(files("assets").joinpath("fonts/DejaVuSans.ttf")), FONT_SIZE)
    dpg.bind_font(font)
    with dpg.theme() as theme, dpg.theme_component(dpg.mvAll):
        for target, color in (
            (dpg.mvThemeCol_WindowBg, BACKGROUND),
            (dpg.mvThemeCol_ChildBg, PANEL),
            (dpg.mvThemeCol_PopupBg, RAISED),
            (dpg.mvThemeCol_Border, (52, 57, 65)),
            (dpg.mvThemeCol_FrameBg, RAISED),
            (dpg.mvThemeCol_FrameBgHovered, HOVER),
            (dpg.mvThemeCol_FrameBgActive, HOVER),
            (dpg.mvThemeCol_Button, RAISED),
            (dpg.mvThemeCol_ButtonHovered, HOVER),
            (dpg.mvThemeCol_ButtonActive, ACCENT),
            (dpg.mvThemeCol_Header, RAISED),
            (dpg.mvThemeCol_HeaderHovered, HOVER),
            (dpg.mvThemeCol_HeaderActive, HOVER),
            (dpg.mvThemeCol_SliderGrab, ACCENT),
            (dpg.mvThemeCol_SliderGrabActive, ACCENT_HOVER),
            (dpg.mvThemeCol_CheckMark, ACCENT),
            (dpg.mvThemeCol_PlotHistogram, ACCENT),
            (dpg.mvThemeCol_Text, TEXT),
            (dpg.mvThemeCol_TextDisabled, MUTED),
            (dpg.mvThemeCol_TitleBgActive, RAISED),
        ):
            dpg.add_theme_color(target, color)
        for target, values in (
            (dpg.mvStyleVar_WindowPadding, (10, 10)),
            (dpg.mvStyleVar_FramePadding, (8, 5)),
            (dpg.mvStyleVar_ItemSpacing, (8, 7)),
            (dpg.mvStyleVar_FrameRounding, (4,)),
            (dpg.mvStyleVar_ChildRounding, (6,)),
            (dpg.mvStyleVar_WindowBorderSize, (0,)),
            (dpg.mvStyleVar_ChildBorderSize, (0,)),
            (dpg.mvStyleVar_ScrollbarSize, (11,)),
        ):
            dpg.add_theme_style(target, *values)
        for plot_target, plot_color in (
            (dpg.mvPlotCol_FrameBg, (0, 0, 0, 0)),
            (dpg.mvPlotCol_PlotBg, (26, 28, 33)),
            (dpg.mvPlotCol_PlotBorder, (52, 57, 65)),
            (dpg.mvPlotCol_AxisGrid, (255, 255, 255, 22)),
            (dpg.mvPlotCol_AxisText, MUTED),
            (dpg.mvPlotCol_LegendBg, (26, 28, 33, 220)),
        ):
            dpg.add_theme_color(plot_target, plot_color, category=dpg.mvThemeCat_Plots)
        dpg.add_theme_style(dpg.mvPlotStyleVar_PlotPadding, 6, 6, category=dpg.mvThemeCat_Plots)
    dpg.bind_theme(theme)


def series_theme(color: tuple[int, int, int], weight: float = 1.5) -> int | str:
    """A theme that gives one plot series its colour."""
    with dpg.theme() as theme:
        for kind in (dpg.mvLineSeries, dpg.mvStemSeries, dpg.mvInfLineSeries, dpg.mvScatterSeries, dpg.mvStairSeries):
            with dpg.theme_component(kind):
                dpg.add_theme_color(dpg.mvPlotCol_Line, color, category=dpg.mvThemeCat_Plots)
                dpg.add_theme_color(dpg.mvPlotCol_MarkerFill, color, category=dpg.mvThemeCat_Plots)
                dpg.add_theme_color(dpg.mvPlotCol_MarkerOutline, color, category=dpg.mvThemeCat_Plots)
                dpg.add_theme_style(dpg.mvPlotStyleVar_LineWeight, weight, category=dpg.mvThemeCat_Plots)
                dpg.add_theme_style(dpg.mvPlotStyleVar_MarkerSize, 3, category=dpg.mvThemeCat_Plots)
    return theme


def button_theme(color: tuple[int, int, int], hover: tuple[int, int, int]) -> int | str:
    """A theme for the one button that matters most."""
    with dpg.theme() as theme, dpg.theme_component(dpg.mvButton):
        dpg.add_theme_color(dpg.mvThemeCol_Button, color)
        dpg.add_theme_color(dpg.mvThemeCol_ButtonHovered, hover)
    return theme
