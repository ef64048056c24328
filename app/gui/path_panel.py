"""Path."""

from __future__ import annotations

from app.gui.panel import Panel


class PathPanel(Panel):
    """Path."""

    title = "Path"

    def build(self) -> None:
        """The panel, in the current container."""
