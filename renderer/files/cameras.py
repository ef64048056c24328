"""The cameras of a clip, as files for other programs hold them."""

from __future__ import annotations

from dataclasses import dataclass

from renderer.camera import Camera


@dataclass(frozen=True)
class NamedCamera:
    """Where one picture was taken. ``picture``: path of its file as other programs are to look for it, relative to the
    folder that they search. ``time``: in [0, 1] over the clip."""

    name: str
    camera: Camera
    time: float = 0.0
    picture: str = ""
