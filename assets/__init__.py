"""Fonts and the demo scene's recipe, as files."""
