"""The window, the command line, and the one thread that touches a model."""
