"""The window, the command line, and the one thread that touches a model."""

import renderer  # noqa: F401 (first of all: it sets what torch's threads do while they wait)
