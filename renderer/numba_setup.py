"""How numba compiles the CPU kernels; imported before the first of them.

The threading layer must be one that two Python threads may use at once (the engine and a caller of its own), and
it has to be chosen before anything is compiled.
"""

from __future__ import annotations

from typing import Any

import numba

numba.config.THREADING_LAYER = "threadsafe"  # type: ignore[attr-defined]

KERNEL: dict[str, Any] = {"nogil": True, "fastmath": True, "error_model": "numpy", "cache": True}
"""Options of a serial kernel: releases the GIL so that the window lives on, and is compiled once per machine."""
PARALLEL: dict[str, Any] = {**KERNEL, "parallel": True}
"""Options of a kernel that runs on all cores."""
INLINE: dict[str, Any] = {"nogil": True, "fastmath": True, "error_model": "numpy"}
"""Options of a function that kernels call."""
