"""The panel of rays."""
