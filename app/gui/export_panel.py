"""Export."""

from __future__ import annotations

from app.gui.panel import Panel


class ExportPanel(Panel):
    """Export."""

    title = "Export"

    def build(self) -> None:
        """The panel, in the current container."""
