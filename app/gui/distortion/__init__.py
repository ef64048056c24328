"""The panel of the distortion field."""
