"""Distortion."""

from __future__ import annotations

from app.gui.panel import Panel


class DistortionPanel(Panel):
    """Distortion."""

    title = "Distortion"

    def build(self) -> None:
        """The panel, in the current container."""
