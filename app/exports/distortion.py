"""Files of what the distortion panel shows: the (s, t) matrix as a picture or a table, and rows over time."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from app.exports.names import named
from app.plots import plot_matrix, plot_rows
from app.protocol import DistortionMeasured
from renderer.files.complete import complete_file, write_whole
from training.overlay import TimeSlice


def write_matrix(measured: DistortionMeasured, path: Path) -> Path:
    """The matrix as a picture (.png, also where the name has no ending) or as a table (.csv): a line for each virtual
    camera, a column for each instant in [0, 1], nothing where it was not measured; the path.

    InputError for another ending, and where the file cannot be written.
    """
    path = named(path, (".png", ".csv"))
    if path.suffix.lower() == ".csv":
        write_whole(path, _table(measured))
    else:
        title = f"Mean distortion of generated frames: {measured.head}, step {measured.step:,}"
        with complete_file(path) as partial:
            plot_matrix(measured.matrix, measured.unit, partial, title)
    return path


def write_time_slice(rows: TimeSlice, step: int, path: Path) -> Path:
    """Rows over time as a picture (.png); the path. ``step``: of the scene. InputError as above."""
    path = named(path, (".png",))
    title = f"Row {rows.row} of virtual camera {rows.pose} over time, step {step:,}"
    with complete_file(path) as partial:
        plot_rows(rows.generated, rows.rendered, partial, title)
    return path


def _table(measured: DistortionMeasured) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"virtual camera ({measured.head}, {measured.unit})", *(f"{t:.9g}" for t in measured.times)])
    for pose, values in enumerate(measured.matrix.tolist()):
        writer.writerow([pose, *("" if math.isnan(v) else f"{v:.9g}" for v in values)])
    return text.getvalue()
