"""A GPU that is not there: tensors that say they are on "cuda:0" while their values lie in the host's memory.

Every call of torch goes through a mode that keeps account of which memory is the card's. So whole training steps run
with numbers, their kernels by the emulator, and three things come to light that need no card: a tensor on the wrong
device, the host waiting for the device, and how many bytes lie there at most.

Torch's own fake tensors cannot do that: its autograd asks the driver for a context before it goes back through them.
What torch itself does on the way back is not looked at, but for kernels and what is written in Python.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

from renderer import streams
from renderer.cuda import plane_penalties, planes, splat
from renderer.cuda.launch import Argument, Grid, Launcher, launched_by
from renderer.cuda.program import Program
from renderer.field import space
from tests.cuda_emulator import NullLauncher
from tests.cuda_emulator.launcher import Emulator

CARD = torch.device("cuda", 0)
MEMORY = 8 << 30
LARGE = 1 << 13
"""Values of a tensor from which on it is counted when it is made, not only with the next launch."""
READS = {"item", "__bool__", "__float__", "__int__", "__index__", "tolist", "nonzero", "masked_select", "unique",
         "equal", "allclose", "is_nonzero"}  # fmt: skip
"""Functions whose result the host waits for."""
MOVES = {"to", "cpu", "cuda", "pin_memory"}
WITH_NUMBERS = {
    *("add", "mul", "sub", "div", "__and__", "__iadd__", "__imul__", "where", "maximum", "minimum", "lt", "gt"),
    *(f"__{r}{name}__" for r in ("", "r") for name in ("add", "sub", "mul", "truediv")),
}
"""Functions that take a number of the host, a tensor without axes, beside tensors of the card."""
ACROSS = {"__set__", "_has_compatible_shallow_copy_type", "_fused_adam_"}
"""What modules and optimisers do with tensors of both."""


class PretendedGpu(TorchFunctionMode):
    """``waits``: where the host waited for the device, as "what: file:line". ``peak``: most bytes on the card, as far
    as they were counted."""

    def __init__(self, launcher: Launcher) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.peak = 0
        self._launcher = launcher
        self._card: dict[int, StorageWeakRef] = {}
        self._going_back = False

    # ------------------------------------------------------------------------------------------- memory

    def holds(self, tensor: Tensor) -> bool:
        """Whether the card's memory holds a tensor."""
        with torch._C.DisableTorchFunction():
            return tensor.untyped_storage()._cdata in self._card

    def put(self, tensor: Tensor) -> Tensor:
        """Say that a tensor's memory is the card's."""
        with torch._C.DisableTorchFunction():
            storage = tensor.untyped_storage()
            self._card.setdefault(storage._cdata, StorageWeakRef(storage))
        return tensor

    def count(self) -> int:
        """Bytes on the card now; the peak is brought up to date."""
        with torch._C.DisableTorchFunction():
            for key in [key for key, held in self._card.items() if held.expired()]:
                del self._card[key]
            held = [torch.UntypedStorage._new_with_weak_ptr(ref.cdata) for ref in self._card.values()]
            total = sum(storage.nbytes() for storage in held if storage is not None)
        self.peak = max(self.peak, total)
        return total

    def wait(self, what: str) -> None:
        """Write down where the host waits."""
        own = [f for f in traceback.extract_stack() if "/torch/" not in f.filename and f.filename != __file__]
        self.waits.append(f"{what}: {Path(own[-1].filename).name}:{own[-1].lineno}")

    # -------------------------------------------------------------------------------------------- calls

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if name == "__get__":
            return self._attribute(func, args)
        if name == "backward":
            return self._back(args[0])
        if name in MOVES:
            return self._moved(name, args[0], args[1:], kwargs)
        tensors = list(_tensors((args, kwargs)))
        taking_part = any(map(self.holds, tensors))
        kwargs.pop("pin_memory", None)
        device = kwargs.get("device")
        if device is not None and torch.device(device).type == "cuda":
            kwargs["device"] = "cpu"
            if name in ("tensor", "as_tensor") and not taking_part:
                self.wait(name)
        if taking_part:
            self._check(name, args, kwargs, tensors)
        result = func(*args, **kwargs)
        if name in ("empty", "new_empty", "empty_like") and isinstance(self._launcher, NullLauncher):
            with torch._C.DisableTorchFunction(), torch.no_grad():
                result.zero_()  # else chance decides what sizes are read from it
        made_there = taking_part if device is None else torch.device(device).type == "cuda"
        if made_there and not (name == "copy_" and not self.holds(args[0])):
            for tensor in _tensors(result):
                self.put(tensor)
                if tensor.numel() >= LARGE:
                    self.count()
        return result

    def _check(self, name: str, args: Sequence[Any], kwargs: dict[str, Any], tensors: list[Tensor]) -> None:
        """What waits, or is wrong, in a call in which tensors of the card take part."""
        elsewhere = [t for t in tensors if not self.holds(t)]
        if name in READS or name == "new_tensor" or (name == "repeat_interleave" and len(tensors) > 1):
            self.wait(name)
        if name == "numpy":
            raise TypeError("a tensor on cuda:0 is no array; bring it to the host first")
        by_mask = name in ("__getitem__", "__setitem__") and any(i.dtype == torch.bool for i in _tensors(args[1]))
        if by_mask and not (name == "__setitem__" and isinstance(args[2], int | float)):
            self.wait("a mask")
        if self._going_back:
            for tensor in elsewhere:  # torch's own gradients
                self.put(tensor)
        elif name == "copy_":
            if elsewhere and not kwargs.get("non_blocking", False):
                self.wait("copy_")
        elif name not in ACROSS and elsewhere and (name not in WITH_NUMBERS or any(t.dim() for t in elsewhere)):
            raise RuntimeError(f"{name}: tensors on cuda:0 and on the CPU")

    def _attribute(self, func: Callable[..., Any], args: Sequence[Any]) -> Any:
        result, of_card = func(*args), self.holds(args[0])
        if not of_card:
            return result
        name = func.__self__.__name__  # type: ignore[attr-defined]
        for tensor in _tensors(result):
            self.put(tensor)
        return {"device": CARD, "is_cuda": True, "is_cpu": False}.get(name, result)

    def _back(self, result: Tensor) -> None:
        self._going_back = self.holds(result)
        try:
            one = torch.ones((), dtype=result.dtype)
            with self:  # what is done there is looked at too; torch.autograd.backward would come back here
                torch.autograd.graph._engine_run_backward(
                    (result,), (one,), False, False, (), allow_unreachable=True, accumulate_grad=True
                )
        finally:
            self._going_back = False
            self.count()

    def _moved(self, name: str, tensor: Tensor, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
        """The tensor on another device, of another dtype, or both."""
        of_card = self.holds(tensor)
        goes_there, dtype = (of_card, tensor.dtype) if name in ("to", "pin_memory") else (name == "cuda", tensor.dtype)
        for value in (*args, kwargs.get("device"), kwargs.get("other"), kwargs.get("dtype")):
            if isinstance(value, torch.device | str):
                goes_there = torch.device(value).type == "cuda"
            elif isinstance(value, Tensor):
                goes_there, dtype = self.holds(value), value.dtype
            elif isinstance(value, torch.dtype):
                dtype = value
        if goes_there != of_card and not kwargs.get("non_blocking", False):
            self.wait("to the card" if goes_there else "to the host")
        result = Tensor.to(tensor, dtype, copy=kwargs.get("copy", False) or goes_there != of_card)
        return self.put(result) if goes_there else result

    # ------------------------------------------------------------------------------------------- kernels

    def launch(self, program: Program, kernel: str, grid: Grid, threads: int, arguments: Sequence[Argument]) -> None:
        """As :class:`renderer.cuda.launch.Launcher`. Of tensors on the CPU alone too, where the kernels stand in."""
        there = [self.holds(argument) for argument in arguments if isinstance(argument, Tensor)]
        if any(there) and not all(there) and not self._going_back:
            raise ValueError(f"{kernel}: tensors on cuda:0 and on the CPU")
        self.count()
        with torch._C.DisableTorchFunction():
            self._launcher.launch(program, kernel, grid, threads, arguments)
        if isinstance(self._launcher, NullLauncher):
            self._launcher.launches.clear()  # which would keep all memory


class _Generator(torch.Generator):
    """One that may say that it is on the card; it draws on the host."""

    device: torch.device = torch.device("cpu")  # type: ignore[misc]

    def __new__(cls, device: Any = "cpu") -> _Generator:
        made = super().__new__(cls, "cpu")
        made.device = CARD if torch.device(device).type == "cuda" else torch.device("cpu")  # type: ignore[misc]
        return made


@contextmanager
def pretended_gpu(*, numbers: bool = True) -> Iterator[PretendedGpu]:
    """A block with a GPU. ``numbers``: whether kernels run; else all that they write is zero."""
    gpu = PretendedGpu(Emulator() if numbers else NullLauncher())
    event = mock.Mock(**{"return_value.query.return_value": True})
    event.return_value.synchronize = lambda: gpu.wait("event")
    cuda = {
        "is_available": lambda: True, "current_device": lambda: 0, "get_device_capability": lambda *_: (9, 0),
        "Event": event, "Stream": mock.MagicMock(), "stream": lambda *_: nullcontext(),
        "current_stream": lambda *_: mock.Mock(cuda_stream=0), "empty_cache": lambda: None,
        "mem_get_info": lambda *_: (MEMORY - gpu.count(), MEMORY),
    }  # fmt: skip
    stream = mock.Mock(**{"is_capturing.return_value": False})
    _forget()
    with (
        mock.patch.multiple(torch.cuda, **cuda),
        mock.patch.object(torch.accelerator, "current_stream", lambda *_: stream),
        mock.patch.object(torch, "Generator", _Generator),
        launched_by(gpu),
        gpu,
    ):
        yield gpu
    _forget()


def _forget() -> None:
    """What is kept from one picture to the next would outlive the GPU on which it lies."""
    for kept in (
        splat._room, planes._table, planes._width_of_sums, plane_penalties._sheets, plane_penalties._sent,
        space._tensors, streams._side_stream,
    ):  # fmt: skip
        kept.cache_clear()


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, tuple | list | dict):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _tensors(value)
