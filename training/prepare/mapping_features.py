"""Features of pictures and matches between them, in COLMAP's database, in pieces that can be interrupted."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from renderer.errors import InputError
from training.data.images import Image, read_image
from training.data.layouts import Report
from training.prepare.mapping_types import (
    MappingFailed,
    MappingOptions,
    Picture,
    internal_name,
    loaded_pycolmap,
    quiet,
    threads_of,
)

BATCH = 4
"""Pictures whose features are found in one go, between two moments in which work can be stopped."""
BLOCK = 64
"""The same of pairs that are matched."""
ALL_PAIRS = 30
"""Up to so many pictures, each is compared with each."""
MOST_OVERLAP, LEAST_OVERLAP, NEAR_PAIRS = 15, 5, 2000
"""Neighbours that a picture is compared with, and the pairs of neighbours that are wished for."""
GUESSED_FOCAL = 0.8
"""First guess of a focal length, as a share of the longer side: 64 degrees, as telephones film."""
LEAST_FEATURES = 60
"""Features that the median picture has at least; two pictures need some thirty matches."""


def extract(pictures: Sequence[Picture], database: Path, options: MappingOptions, report: Report) -> None:
    """Find the features of every picture that has none yet in the database.

    InputError for a picture or mask that cannot be read; MappingFailed where there is hardly a feature.
    """
    if not _opens(database):  # left by a machine that stopped while it was written
        database.unlink()
    with opened(database) as data:
        todo = [k for k in range(len(pictures)) if not data.exists_keypoints(k + 1)]
    folder = database.with_name("batch")
    try:
        for start in range(0, len(todo), BATCH):
            report(f"Features of picture {len(pictures) - len(todo) + start + 1} of {len(pictures)}")
            _extract_batch(pictures, todo[start : start + BATCH], database, folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with opened(database) as data:
        counts = [data.num_keypoints_for_image(k + 1) for k in range(len(pictures))]
    if float(np.median(counts)) < LEAST_FEATURES:
        raise MappingFailed(
            f"{pictures[0].path.parent}: the pictures show too little that can be recognised ({np.median(counts):.0f} "
            "features in the median one); give larger or sharper ones or a place with more texture, mask less, or "
            "start from equal cameras, for which one camera is trained with --cameras identity and --method ddr"
        )


def _extract_batch(
    pictures: Sequence[Picture], places: Sequence[int], database: Path, folder: Path, options: MappingOptions
) -> None:
    pycolmap = loaded_pycolmap()
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    masked = any(pictures[k].mask is not None for k in places)
    with opened(database) as data:
        for k in places:
            image = read_image(pictures[k].path)
            if not data.exists_image(k + 1):
                _register(data, k + 1, pictures[k], image.shape[1], image.shape[0], pictures[:k], options)
            _write(folder / "images" / internal_name(k), np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8))
            if masked:
                _write(folder / "masks" / f"{internal_name(k)}.png", _mask(pictures[k], image))
    reader, extraction = pycolmap.ImageReaderOptions(), pycolmap.FeatureExtractionOptions()
    if masked:
        reader.mask_path = folder / "masks"
    extraction.num_threads = threads_of(options)
    extraction.max_image_size = options.longest
    extraction.sift.max_num_features = options.max_features
    with quiet():
        pycolmap.extract_features(
            database, folder / "images", image_names=[internal_name(k) for k in places], reader_options=reader,
            extraction_options=extraction, device=pycolmap.Device.cpu,
        )  # fmt: skip


def _write(path: Path, image: Image) -> None:
    if not cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 1]):
        raise InputError(f"{path.parent}: cannot be written; is the disk full?")


def _mask(picture: Picture, image: Image) -> Image:
    """(H, W) 255 where features may be found."""
    if picture.mask is None:
        return np.full(image.shape[:2], 255, np.uint8)
    mask = read_image(picture.mask).max(-1)
    if mask.shape != image.shape[:2]:
        raise InputError(
            f"{picture.mask}: is {mask.shape[1]}x{mask.shape[0]}, its picture {image.shape[1]}x{image.shape[0]}; make "
            "it as large"
        )
    return np.where(mask > 127, 255, 0).astype(np.uint8)


def _register(
    data: Any, number: int, picture: Picture, width: int, height: int, earlier: Sequence[Picture],
    options: MappingOptions,
) -> None:  # fmt: skip
    """Tell the database of a picture, and of a camera where no earlier picture has the same lens and size."""
    pycolmap = loaded_pycolmap()
    camera_id = None
    for k, other in enumerate(earlier):
        if other.lens == picture.lens:
            camera = data.read_camera(data.read_image(k + 1).camera_id)
            if (camera.width, camera.height) == (width, height):
                camera_id = camera.camera_id
                break
    if camera_id is None:
        focal = GUESSED_FOCAL * max(width, height)
        if options.fov is not None:
            focal = 0.5 * max(width, height) / math.tan(0.5 * math.radians(options.fov))
        camera = pycolmap.Camera.create_from_model_name(0, options.camera_model, focal, width, height)
        camera.has_prior_focal_length = options.fov is not None
        camera_id = camera.camera_id = data.write_camera(camera)
        rig = pycolmap.Rig()
        rig.add_ref_sensor(camera.sensor_id)
        data.write_rig(rig)
    else:
        camera = data.read_camera(camera_id)
    image = pycolmap.Image(name=internal_name(number - 1), camera_id=camera_id, image_id=number)
    data.write_image(image, use_image_id=True)
    frame = pycolmap.Frame()
    frame.rig_id = data.read_rig_with_sensor(camera.sensor_id).rig_id
    frame.add_data_id(image.data_id)
    data.write_frame(frame)


def match(pictures: Sequence[Picture], database: Path, options: MappingOptions, report: Report) -> None:
    """Match the pairs of pictures that are not yet matched in the database, and keep what one motion explains."""
    pycolmap = loaded_pycolmap()
    pairs = chosen_pairs(pictures, options)
    with opened(database) as data:
        todo = [(a, b) for a, b in pairs if not data.exists_two_view_geometry(a + 1, b + 1)]
    matching, verification = pycolmap.FeatureMatchingOptions(), pycolmap.TwoViewGeometryOptions()
    matching.num_threads = threads_of(options)
    verification.ransac.random_seed = options.seed
    listed = pycolmap.ImportedPairingOptions()
    listed.match_list_path = database.with_name("pairs.txt")
    try:
        for start in range(0, len(todo), BLOCK):
            report(f"Matching pair {len(pairs) - len(todo) + start + 1} of {len(pairs)}")
            lines = [f"{internal_name(a)} {internal_name(b)}\n" for a, b in todo[start : start + BLOCK]]
            listed.match_list_path.write_text("".join(lines))
            with quiet():
                pycolmap.match_image_pairs(
                    database, matching_options=matching, pairing_options=listed, verification_options=verification,
                    device=pycolmap.Device.cpu,
                )  # fmt: skip
    finally:
        listed.match_list_path.unlink(missing_ok=True)


def chosen_pairs(pictures: Sequence[Picture], options: MappingOptions) -> list[tuple[int, int]]:
    """Places of the pictures to compare, the smaller one first.

    Cameras that stand still are compared with everything. Of pictures along a path, all pairs where they are few; else
    neighbours, and those 2, 4, 8, ... pictures away, which close the path where it comes back.
    """
    count = len(pictures)
    along = [k for k in range(count) if pictures[k].lens in ("moving", "")]
    pairs = set(combinations(range(count), 2))
    if options.matching == "exhaustive" or (options.matching == "auto" and len(along) <= ALL_PAIRS):
        return sorted(pairs)
    overlap = min(MOST_OVERLAP, max(LEAST_OVERLAP, NEAR_PAIRS // len(along)))
    steps = {*range(1, overlap + 1), *(2**k for k in range(count.bit_length()))}
    path = {*along}
    return sorted((a, b) for a, b in pairs if not (a in path and b in path) or b - a in steps)


def _opens(database: Path) -> bool:
    """Whether there is no database yet, or one that is whole."""
    if not database.is_file():
        return True
    try:
        with opened(database):
            return True
    except InputError:
        return False


@contextmanager
def opened(database: Path) -> Iterator[Any]:
    """COLMAP's database, made where there is none; InputError when it cannot be."""
    try:
        with quiet():
            data = loaded_pycolmap().Database.open(database)
    except RuntimeError:
        raise InputError(f"{database}: cannot be opened; delete it or choose another place") from None
    try:
        yield data
    finally:
        data.close()
