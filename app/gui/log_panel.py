"""Log."""

from __future__ import annotations

from app.gui.panel import Panel


class LogPanel(Panel):
    """Log."""

    title = "Log"

    def build(self) -> None:
        """The panel, in the current container."""
