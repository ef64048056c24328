"""What all tests share."""

import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest_plugins = ["tests.cuda_fixtures"]

if TYPE_CHECKING:
    from tests.gui_driver import Display

# Two processes whose threads wait for each other on the same cores are many times slower than two with a thread each.
# The libraries read this when they are loaded, after this file.
RERUNS = int(os.environ.get("DYNVIEW_RERUNS", "2"))
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
for variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, str(max(1, (os.cpu_count() or 1) // WORKERS)))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Load Triton before Mesa in a process that will use OpenGL: its LLVM must come first, or a later optimiser ends
    the process (app/gui/main.py does the same)."""
    if item.get_closest_marker("gl") is not None:
        importlib.import_module("torch._dynamo")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real windows with real events on a busy machine: a test of them counts as failed when it fails three times."""
    for item in items:
        if item.get_closest_marker("gui") is not None:
            item.add_marker(pytest.mark.flaky(reruns=RERUNS))


DATA = Path(os.environ.get("DYNVIEW_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="module")
def display() -> Iterator["Display"]:
    """A virtual screen for the windows of one file of tests."""
    from tests.gui_driver import Display  # which loads libraries that read what is set above

    display = Display()
    yield display
    display.close()


@pytest.fixture(scope="module")
def context() -> Iterator[None]:
    """An OpenGL context without a window, current in a file of tests; they are skipped where there can be none."""
    from renderer.gl.context import ContextError, EglContext

    try:
        context = EglContext()
    except ContextError as problem:
        pytest.skip(str(problem))
    context.make_current()
    yield
    context.release()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs open the tiny clip whatever they are asked for."""
    from tests.tiny import tiny_dataset
    from training import run

    monkeypatch.setattr(run, "open_dataset", lambda source, options, report: tiny_dataset())


@pytest.fixture
def real_clip() -> Callable[[str], Path]:
    """The folder of a real clip; the test is skipped where the clips are not."""

    def find(name: str) -> Path:
        if not (DATA / name).is_dir():
            pytest.skip(f"the clip {name} is not here; set DYNVIEW_DATA to the folder of the real clips")
        return DATA / name

    return find
