"""Playing along the camera path: camera and time of the stage follow the clock on the wall."""

from __future__ import annotations

from app.gui.stage import PATH, Stage
from renderer.camera import Camera
from renderer.tracks import framed


class PathPlayer:
    """``seconds``: where on the path one is. Whoever else moves the camera or time stops it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.seconds = 0.0
        self._ticked = 0.0
        self._given: tuple[Camera, float] | None = None

    @property
    def playing(self) -> bool:
        """Whether the camera moves along the path now."""
        return self._stage.flown_by == PATH

    @property
    def riding(self) -> bool:
        """Whether the view on the screen is one of the path, and not from elsewhere."""
        view = self._stage.viewpoint
        return self._given is not None and view is not None and (view.camera, self._stage.time) == self._given

    def play(self, now: float) -> bool:
        """Begin, from the start where it has ended; False where the path takes no time. ``now``: seconds of
        :func:`time.monotonic`."""
        track = self._stage.track
        if track.seconds <= 0 or self._stage.viewpoint is None:
            return False
        self._stage.flown_by, self._ticked = PATH, now
        self.seek(0.0 if self.seconds >= track.seconds else self.seconds)
        return True

    def stop(self) -> None:
        """Stay where one is."""
        if self.playing:
            self._stage.flown_by = ""

    def seek(self, seconds: float) -> None:
        """Show a moment of the path."""
        track = self._stage.track
        self.seconds = min(max(seconds, 0.0), track.seconds)
        if track.keyframes:
            view = track.view_at(self.seconds)
            self.show(view.camera, view.time)

    def visit(self, i: int) -> None:
        """Stop at a keyframe. The path stays in the picture: one looks at it and does not ride."""
        keyframe = self._stage.track.keyframes[i]
        self.stop()
        self.show(keyframe.camera, keyframe.time)
        self.seconds, self._given = self._stage.track.moments[i], None

    def forget(self) -> None:
        """The scene was closed."""
        self.seconds, self._given = 0.0, None

    def show(self, camera: Camera, at: float) -> None:
        """Show a view of the path, in the shape of the viewport's pictures."""
        view = self._stage.viewpoint
        if view is not None:
            shown = framed(camera, view.camera.width, view.camera.height)
            self._stage.look_from(shown, at)
            self._given = shown, self._stage.time

    def tick(self, now: float) -> None:
        """Go on by as much as the clock did."""
        passed, self._ticked = now - self._ticked, now
        track = self._stage.track
        if not self.playing:
            return
        if not self.riding or track.seconds <= 0:
            self.stop()
            return
        ahead = self.seconds + passed
        if track.closed:
            self.seek(ahead % track.seconds)
            return
        self.seek(ahead)
        if ahead >= track.seconds:
            self.stop()
