"""The panel of camera paths."""
