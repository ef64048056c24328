"""Frames of a GPU in textures. There need not be one: a stand-in for CUDA's runtime writes into the very pixel buffers
that CUDA would, through OpenGL's own mapping, so that all but the driver's part is as it is with a GPU."""

import ast
import ctypes
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from app.gui.gl_thread import GlThread
from renderer.gl.context import ContextError, EglContext, count_objects
from renderer.picture import Mode, Pane, Picture
from renderer.view import Frame, Planes, View
from tests.tiny import camera_at, random_gaussians

pytestmark = pytest.mark.gl
ROOT = Path(__file__).parent.parent
CALLS = (
    "cudaGLGetDevices", "cudaSetDevice", "cudaGraphicsGLRegisterBuffer", "cudaGraphicsMapResources",
    "cudaGraphicsResourceGetMappedPointer", "cudaMemcpyAsync", "cudaGraphicsUnmapResources",
)  # fmt: skip
UNREGISTER = "cudaGraphicsUnregisterResource"


Error = IntEnum("Error", {"cudaSuccess": 0, "cudaErrorUnknown": 999})


class StandIn:
    """``cuda.bindings.runtime`` over the host's memory. ``failing``: the call that refuses from then on; ``devices``:
    what OpenGL draws on; ``calls``: each by name; ``registered``: buffers now, by their sizes."""

    def __init__(self, failing: str = "", devices: tuple[int, ...] = (0,)) -> None:
        from OpenGL import GL

        self.gl, self.failing, self.devices = GL, failing, devices
        self.calls: list[str] = []
        self.registered: dict[int, int] = {}
        self.mapped: dict[int, int] = {}
        self._functions = {
            "cudaGLGetDevices": lambda most, kind: (len(devices), [*devices, *[0] * (most - len(devices))]),
            "cudaSetDevice": self._set_device,
            "cudaGraphicsGLRegisterBuffer": self._register,
            "cudaGraphicsMapResources": self._map,
            "cudaGraphicsResourceGetMappedPointer": lambda b: (self.mapped[b], self.registered[b]),
            "cudaMemcpyAsync": self._copy,
            "cudaGraphicsUnmapResources": self._unmap,
            UNREGISTER: self._unregister,
        }

    def __getattr__(self, name: str) -> Any:
        if name in ("cudaGLDeviceList", "cudaGraphicsRegisterFlags", "cudaMemcpyKind"):
            return SimpleNamespace(
                cudaGLDeviceListAll=1, cudaGraphicsRegisterFlagsWriteDiscard=2, cudaMemcpyDeviceToDevice=3
            )
        if name not in CALLS and name != UNREGISTER:
            raise AttributeError(name)

        def called(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(name)
            if name == self.failing:
                return Error["cudaErrorUnknown"], None, None
            return Error["cudaSuccess"], *(self._functions[name](*arguments) or ())

        return called

    def _set_device(self, index: int) -> None:
        assert index in self.devices

    def _register(self, buffer: int, flags: int) -> tuple[int]:
        assert flags == 2 and self.gl.glIsBuffer(buffer) and buffer not in self.registered
        size = self.gl.glGetBufferParameteriv(self._bound(buffer), self.gl.GL_BUFFER_SIZE)
        self.registered[buffer] = int(np.ravel(size)[0])
        return (buffer,)

    def _map(self, count: int, resource: int, stream: int) -> None:
        assert count == 1 and resource in self.registered and resource not in self.mapped
        self.mapped[resource] = self.gl.glMapBuffer(self._bound(resource), self.gl.GL_WRITE_ONLY)

    def _copy(self, to: int, source: int, size: int, kind: int, stream: int) -> None:
        assert kind == 3 and any(to == start and size <= self.registered[b] for b, start in self.mapped.items())
        ctypes.memmove(to, source, size)

    def _unmap(self, count: int, resource: int, stream: int) -> None:
        del self.mapped[resource]
        assert self.gl.glUnmapBuffer(self._bound(resource))

    def _unregister(self, resource: int) -> None:
        assert resource not in self.mapped or self.failing == "cudaGraphicsUnmapResources"
        assert self.gl.glIsBuffer(resource)
        del self.registered[resource]

    def _bound(self, buffer: int) -> int:
        self.gl.glBindBuffer(self.gl.GL_COPY_WRITE_BUFFER, buffer)
        return int(self.gl.GL_COPY_WRITE_BUFFER)


def planes(width: int = 40, height: int = 30, seed: int = 0) -> Planes:
    """Values that differ at every pixel, of which some are no numbers."""
    rng = np.random.default_rng(seed)
    color = rng.uniform(-0.1, 1.1, (height, width, 3)).astype(np.float32)
    opacity, depth, overlay = (rng.uniform(0.1, 1, (height, width)).astype(np.float32) for _ in range(3))
    depth[-1, 0], overlay[:5, :8] = np.nan, np.nan
    return Planes(*(torch.from_numpy(a) for a in (color, depth, opacity, overlay)))


def frames(width: int = 40, height: int = 30, seed: int = 0) -> tuple[Frame, Frame]:
    """The same on the device and in the host's memory."""
    view, given = View(camera_at(0, width, height), 0.5), planes(width, height, seed)
    arrays = [p.numpy() for p in (given.color, given.depth, given.opacity, given.overlay) if p is not None]
    return Frame.in_planes(view, given), Frame(view, *arrays[:3], 0, arrays[3])


def copied(frame: Frame) -> set[str]:
    """Which planes have come to the host."""
    return {"color", "depth", "opacity", "overlay"} & vars(frame).keys()


def content(texture: int) -> np.ndarray:
    from OpenGL import GL

    GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
    GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 1)
    width, height = (
        GL.glGetTexLevelParameteriv(GL.GL_TEXTURE_2D, 0, which) for which in (GL.GL_TEXTURE_WIDTH, GL.GL_TEXTURE_HEIGHT)
    )
    data = GL.glGetTexImage(GL.GL_TEXTURE_2D, 0, GL.GL_RGBA, GL.GL_FLOAT)
    return np.frombuffer(data, np.float32).reshape(int(height), int(width), 4)


def textures_of(frame: Frame, uploads: Any) -> list[np.ndarray]:
    """What is in the textures of a frame."""
    from renderer.gl.frame_textures import FrameTextures

    textures = FrameTextures(uploads)
    textures.show(frame)
    found = [content(name) for name in (textures.color(), textures.surface(), textures.overlay())]
    textures.close()
    return found


def uploads_by(runtime: Any) -> Any:
    from renderer.gl.uploads import Uploads

    return Uploads(lambda: runtime)


def pictured(frame: Frame, mode: Mode = Mode.COLOR) -> Picture:
    return Picture(Pane(frame, mode, (0.2, 0.9)), 80, 60)


def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", [(40, 30), (31, 7), (1, 1)])
def test_textures_from_the_device_are_those_from_arrays_and_nothing_is_copied(
    context: None, size: tuple[int, int]
) -> None:
    runtime = StandIn()
    uploads = uploads_by(runtime)
    on_device, in_arrays = frames(*size)
    found = textures_of(on_device, uploads)
    assert copied(on_device) == set()
    assert runtime.calls.count("cudaMemcpyAsync") == 3
    assert_same(found, textures_of(in_arrays, uploads))
    assert uploads.take_notice() is None
    uploads.close()
    assert not runtime.registered


@pytest.mark.parametrize("mode", list(Mode))
def test_a_picture_of_a_frame_on_the_device_is_that_of_its_arrays(context: None, mode: Mode) -> None:
    from renderer.gl.frame_drawer import FrameDrawer

    runtime = StandIn()
    drawer = FrameDrawer(uploads_by(runtime))
    on_device, in_arrays = frames()
    drawn = drawer.draw(pictured(on_device, mode))
    assert copied(on_device) == set()
    np.testing.assert_array_equal(drawn, drawer.draw(pictured(in_arrays, mode)))
    drawer.close()
    assert not runtime.registered


def test_a_frame_on_the_device_with_an_overlay_in_arrays_shows_both(context: None) -> None:
    uploads = uploads_by(StandIn())
    on_device, in_arrays = frames()
    other = np.linspace(0, 1, 1200, dtype=np.float32).reshape(30, 40)
    mixed = on_device.with_overlay(other, "m")
    assert_same(textures_of(mixed, uploads), textures_of(replace(in_arrays, overlay=other), uploads))
    assert copied(mixed) == {"overlay"}
    assert_same(
        textures_of(on_device.with_overlay(None), uploads), textures_of(replace(in_arrays, overlay=None), uploads)
    )
    uploads.close()


def test_one_buffer_is_registered_until_a_picture_is_larger(context: None) -> None:
    runtime = StandIn()
    uploads = uploads_by(runtime)
    register = "cudaGraphicsGLRegisterBuffer"
    for (width, height), registrations in (((20, 10), 2), ((20, 10), 2), ((7, 3), 2), ((30, 20), 4), ((20, 10), 4)):
        on_device, in_arrays = frames(width, height, seed=width)
        assert_same(textures_of(on_device, uploads), textures_of(in_arrays, uploads))
        # the colours, four bytes a pixel, come before the surface, which has eight
        assert runtime.calls.count(register) == registrations
        assert len(runtime.registered) == 1 and not runtime.mapped
    assert runtime.calls.count(UNREGISTER) == 3
    uploads.close()
    assert not runtime.registered


def test_nothing_is_left_of_a_drawer_that_was_closed(context: None) -> None:
    from renderer.gl.frame_drawer import FrameDrawer

    before, runtime = count_objects(), StandIn()
    drawer = FrameDrawer(uploads_by(runtime))
    for seed, mode in enumerate(Mode):
        drawer.draw(pictured(frames(20 + seed, 15, seed)[0], mode))
    assert runtime.registered
    drawer.close()
    assert not runtime.registered
    assert count_objects() == before


@pytest.mark.parametrize("call", CALLS)
def test_where_a_call_fails_the_picture_goes_through_the_host_from_then_on(context: None, call: str) -> None:
    before, runtime = count_objects(), StandIn(failing=call)
    uploads = uploads_by(runtime)
    on_device, in_arrays = frames()
    assert_same(textures_of(on_device, uploads), textures_of(in_arrays, uploads))
    assert copied(on_device) == {"color", "depth", "opacity", "overlay"}
    notice = uploads.take_notice()
    assert notice is not None and notice.startswith("The picture goes through the host's memory: ")
    assert f"{call} says cudaErrorUnknown" in notice
    assert uploads.take_notice() is None
    calls = list(runtime.calls)
    runtime.failing = ""
    another, in_arrays = frames(seed=1)
    assert_same(textures_of(another, uploads), textures_of(in_arrays, uploads))
    assert runtime.calls == calls and uploads.take_notice() is None
    assert not runtime.registered
    assert count_objects() == before


def test_a_call_that_fails_later_loses_no_picture_and_no_buffer(context: None) -> None:
    before, runtime = count_objects(), StandIn()
    uploads = uploads_by(runtime)
    first, in_arrays = frames()
    assert_same(textures_of(first, uploads), textures_of(in_arrays, uploads))
    runtime.failing = "cudaGraphicsMapResources"
    second, in_arrays = frames(seed=1)
    assert_same(textures_of(second, uploads), textures_of(in_arrays, uploads))
    assert copied(first) == set() and copied(second) == {"color", "depth", "opacity", "overlay"}
    assert "cudaGraphicsMapResources" in (uploads.take_notice() or "")
    assert not runtime.registered
    assert count_objects() == before


def test_a_buffer_that_cannot_be_unregistered_is_freed_nevertheless(context: None) -> None:
    before, runtime = count_objects(), StandIn(failing=UNREGISTER)
    uploads = uploads_by(runtime)
    on_device, in_arrays = frames()
    assert_same(textures_of(on_device, uploads), textures_of(in_arrays, uploads))
    assert UNREGISTER in (uploads.take_notice() or ""), "growing from colours to the surface unregisters"
    uploads.close()
    assert count_objects() == before


def test_another_device_than_that_of_opengl_is_named(context: None) -> None:
    uploads = uploads_by(StandIn(devices=(1,)))
    textures_of(frames()[0], uploads)
    assert "another device than cuda:0" in (uploads.take_notice() or "")


def test_without_the_bindings_the_reason_says_what_to_install(context: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from renderer.gl.uploads import Uploads

    monkeypatch.setitem(__import__("sys").modules, "cuda.bindings", None)
    uploads, (on_device, in_arrays) = Uploads(), frames()
    assert_same(textures_of(on_device, uploads), textures_of(in_arrays, uploads))
    assert "install cuda-bindings" in (uploads.take_notice() or "")


def test_the_thread_of_opengl_says_once_that_pictures_go_through_the_host() -> None:
    """With CUDA's own bindings where they are there: this OpenGL is not of a GPU that they know, or they find none."""
    try:
        thread = GlThread(EglContext(), "engine")
    except ContextError as problem:
        pytest.skip(str(problem))
    thread.start()
    for seed in range(2):
        thread.show(pictured(frames(seed=seed)[0]))
        assert thread.objects()  # waits for the picture
        notice, thread.notice = thread.notice, None
        assert (notice or "").startswith("The picture goes through the host's memory: ") == (seed == 0), notice
    assert thread.failure is None and thread.take() is not None
    thread.stop()


def imported(node: ast.AST) -> set[str]:
    """Packages that a statement imports from."""
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    return {alias.name.partition(".")[0] for alias in node.names} if isinstance(node, ast.Import) else set()


def test_one_module_imports_the_bindings_and_not_at_start_up() -> None:
    users = [
        (path, node)
        for package in ("app", "training", "renderer")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if "cuda" in imported(node)
    ]
    assert [path for path, _ in users] == [ROOT / "renderer" / "gl" / "cuda_interop.py"]
    assert users[0][1].col_offset > 0, "inside a function"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_frames_of_a_gpu_are_drawn_as_those_of_arrays(context: None) -> None:
    """Within the GPU where OpenGL is NVIDIA's, else through the host."""
    from renderer.gl.uploads import Uploads

    uploads, given = Uploads(), planes()
    tensors = [p.cuda() for p in (given.color, given.depth, given.opacity, given.overlay) if p is not None]
    on_device = Frame.from_device(frames()[0].view, *tensors[:3], overlay=tensors[3])
    assert_same(textures_of(on_device, uploads), textures_of(frames()[1], uploads))
    uploads.close()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_a_scene_on_a_gpu_is_loaded_as_it_is_when_all_that_was_queued_is_done(context: None) -> None:
    from renderer.gl.splat_drawer import SplatDrawer

    drawer, scene, view = SplatDrawer(), random_gaussians(50), View(camera_at(0.3, 48, 36), 0.4)
    drawer.load(scene)
    expected = drawer.draw(view)
    on_gpu = scene.with_parameters({name: torch.zeros_like(v).cuda() for name, v in scene.parameters.items()})
    given = {name: v.detach().cuda() for name, v in scene.parameters.items()}
    torch.cuda.synchronize()
    torch.cuda._sleep(200_000_000)
    for name, values in on_gpu.parameters.items():
        values.copy_(given[name])
    drawer.load(on_gpu)
    np.testing.assert_allclose(drawer.draw(view).color, expected.color, atol=1e-5)
    drawer.close()
