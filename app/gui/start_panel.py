"""Start."""

from __future__ import annotations

from app.gui.panel import Panel


class StartPanel(Panel):
    """Start."""

    title = "Start"

    def build(self) -> None:
        """The panel, in the current container."""

    def dropped(self, paths: list[str]) -> None:
        """These were dropped on the window."""
