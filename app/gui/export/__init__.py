"""The panel of exports."""
