"""Reading on a GPU what has been computed there, without a wait of those who compute on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def marked(tensor: Tensor) -> torch.cuda.Event | None:
    """What comes to pass once all that is queued by now on the present stream of the tensor's GPU is done; None for a
    tensor in the host's memory."""
    if not tensor.is_cuda:
        return None
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(tensor.device))
    return event


@contextmanager
def beside(device: torch.device, after: torch.cuda.Event | None) -> Iterator[int]:
    """Queue what is in this block beside the other work of a GPU, ``after`` an event, and wait for it at the end, so
    that nothing which it reads is freed before. Gives CUDA's handle of the stream, 0 where the device is no GPU.

    Only the calling thread waits: neither is what others queue on CUDA's default stream held up, nor waited for.
    """
    if device.type != "cuda":
        yield 0
        return
    stream = _side_stream(device)
    with torch.cuda.stream(stream):
        if after is not None:
            stream.wait_event(after)
        try:
            yield stream.cuda_stream
        finally:
            stream.synchronize()


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all threads: torch keeps the memory that was used on each stream apart, and gives none of it back."""
    return torch.cuda.Stream(device)


def on_host(tensors: Sequence[Tensor]) -> list[NDArray[np.float32]]:
    """Copies of float32 tensors in page-locked memory, which a GPU fills by itself: they are there once the present
    stream got so far."""
    copies = [torch.empty(t.shape, dtype=t.dtype, pin_memory=t.is_cuda) for t in tensors]
    for copy, tensor in zip(copies, tensors, strict=True):
        copy.copy_(tensor, non_blocking=True)
    return [copy.numpy() for copy in copies]
