"""The panel of training."""
