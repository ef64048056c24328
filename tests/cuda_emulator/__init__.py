"""Runs the kernels of ``shaders/*.cu`` on the CPU, on tensors that lie there, and checks what they do with memory.

It shows that a kernel computes the right thing in every order of its threads; not how fast, and not what a compiler
for GPUs makes of it.
"""

from tests.cuda_emulator.launcher import EmulatorError, Launch, NullLauncher, emulated
from tests.cuda_fixtures import emulate, kernels_on, needs_emulator

__all__ = ["EmulatorError", "Launch", "NullLauncher", "emulate", "emulated", "kernels_on", "needs_emulator"]
