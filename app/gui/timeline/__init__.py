"""The timeline below the picture."""
