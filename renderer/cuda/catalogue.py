"""Every program, for who compiles them all."""

from __future__ import annotations

from renderer.cuda import adam, blend, field, field_ddr, images, plane_penalties, planes, project, sort, tiles
from renderer.cuda.program import Program

MODULES = (project, sort, tiles, blend, images, adam, planes, plane_penalties, field, field_ddr)


def programs() -> tuple[Program, ...]:
    """Each variant once; every module with kernels names its own in ``PROGRAMS``."""
    return tuple(dict.fromkeys(program for module in MODULES for program in module.PROGRAMS))
