"""What all tests share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(os.environ.get("DYNVIEW_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def real_clip() -> Callable[[str], Path]:
    """The folder of a real clip; the test is skipped where the clips are not."""

    def find(name: str) -> Path:
        if not (DATA / name).is_dir():
            pytest.skip(f"the clip {name} is not here; set DYNVIEW_DATA to the folder of the real clips")
        return DATA / name

    return find
