"""A depth network through ``transformers``, when its weights are on this machine. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from renderer.errors import InputError
from training.data.dataset import Dataset

Values = NDArray[np.float32]


def depth_model(name: str, dataset: Dataset) -> Callable[[int], Values]:
    """Index of a shot to what the network ``name`` predicts, (H, W) of the picture's size.

    ``name``: of a model for depth estimation on the Hugging Face hub, or a folder of one. InputError without the
    package or the weights.
    """
    processor, network = _loaded(name)

    def read(index: int) -> Values:
        picture = dataset.read(index)
        with torch.no_grad():
            predicted = network(**processor(images=picture, return_tensors="pt")).predicted_depth
            fitted = torch.nn.functional.interpolate(
                predicted.reshape(1, 1, *predicted.shape[-2:]).float(), picture.shape[:2], mode="bicubic"
            )
        return fitted[0, 0].cpu().numpy().astype(np.float32)

    return read


def _loaded(name: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation
    except ImportError:
        raise InputError(
            "--depth.source model: needs the package transformers; install it with: pip install 'dynview[depth]', "
            "or use another --depth.source"
        ) from None
    try:
        processor = AutoImageProcessor.from_pretrained(name, local_files_only=True)
        network = AutoModelForDepthEstimation.from_pretrained(name, local_files_only=True)
    except (OSError, ValueError) as problem:
        first = str(problem).strip().splitlines()[0][:120] if str(problem).strip() else type(problem).__name__
        raise InputError(
            f"--depth.model {name}: its weights are not on this machine ({first}); get them with: "
            f"hf download {name}, or use another --depth.source"
        ) from None
    return processor, network.eval()
