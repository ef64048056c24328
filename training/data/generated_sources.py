"""Which generated views a clip is trained with: those a person names, those beside the clip, or the demo's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from renderer.errors import InputError
from training.data.dataset import Dataset
from training.data.loading import DataOptions, Report
from training.data.procedural import ProceduralScene
from training.data.recognise import generated_beside
from training.generators.inconsistent import Inconsistency, InconsistentViews, perturbed
from training.generators.trajectory import virtual_cameras

REFERENCE_WIDTH = 160
"""Pictures' width for which the amounts of :class:`Inconsistency` are stated."""
PUSH_DEGREES, PUSH_SHARE = 1.0, 0.01
"""How far the demo's virtual cameras are from where they are said to be: degrees, and share of the typical depth."""


def with_generated(dataset: Dataset, options: DataOptions, report: Report) -> Dataset:
    """The clip with its generated views attached; InputError, one sentence, where there are none.

    ``options.generated``: a folder (:func:`training.data.generated_loading.open_generated` says which),
    ``inconsistent`` for the procedural scene, or ``auto``: a folder ``generated`` or a SparseCam4D ``preprocess`` in
    the clip's folder, and for the demo ``inconsistent``.
    """
    source = options.generated
    demo = str(dataset.source).startswith("demo:")
    if source == "auto":
        found = generated_beside(dataset.source)
        if demo:
            source = "inconsistent"
        elif found is not None:
            source = str(found)
        else:
            raise InputError(
                f"{dataset.source}: no generated views beside this clip, and the method learns from some; make them "
                f"with dynview generate {dataset.source}, or give --data.generated FOLDER"
            )
    if source == "inconsistent":
        if not demo:
            raise InputError("--data.generated inconsistent: only the demo scene can be drawn wrong on purpose")
        report("Ray-tracing generated views of the demo scene, wrong on purpose")
        return replace(dataset, generated=demo_views(dataset).views)
    from training.data.generated_loading import open_generated

    report(f"Opening generated views in {Path(source).name}")
    return replace(dataset, generated=open_generated(source, dataset, options, report))


def demo_views(
    dataset: Dataset, seed: int = 0, push: float = 1.0, amounts: Inconsistency | None = None
) -> InconsistentViews:
    """Inconsistent views of the procedural scene at the virtual cameras between the training cameras: 22 for three.

    ``seed``: of what is wrong, not of the scene. ``push``: factor of the cameras' stated errors. ``amounts``: by
    default those of :class:`Inconsistency`, with lengths in proportion to the pictures' width.
    """
    train = [dataset.shots[i] for i in dataset.indices("train")]
    cameras = list({shot.camera_name: shot.camera for shot in train}.values())
    depth = 2 / (1 / dataset.near + 1 / dataset.far)
    virtual = virtual_cameras(cameras, depth)
    if amounts is None:
        usual, size = Inconsistency(seed=seed), cameras[0].width / REFERENCE_WIDTH
        amounts = replace(usual, displacement=usual.displacement * size, blur=usual.blur * size)
    times = sorted({shot.time for shot in train})
    stated = perturbed(virtual, push * PUSH_DEGREES, push * PUSH_SHARE * depth, seed)
    return InconsistentViews(ProceduralScene.from_recipe(), virtual, times, amounts, stated)
