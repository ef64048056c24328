"""Every GLSL and CUDA source, as a file; read once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def source(name: str) -> str:
    """The text of a shader, for example ``frame.frag``."""
    return files("shaders").joinpath(name).read_text()
