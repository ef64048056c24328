"""Files of picked rays, slices and rays through time: pictures, tables and JSON, by the ending of the name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from app.console import finite
from app.exports.names import named
from app.protocol import LinePicked
from app.ray_plots import NAMES, RowSlice, plot_rays, plot_slices, plot_through_time
from app.ray_report import RayReport
from renderer.files.complete import complete_file, write_whole
from renderer.weights import Quantity
from training.trainer import RayThroughTime

ENDINGS = (".png", ".csv", ".json")


def write_rays(reports: Sequence[RayReport], path: Path) -> Path:
    """Rays one above the other as a picture, their contributions as a table, or all their numbers; the path."""
    return _write(
        path,
        lambda target: plot_rays(reports, target),
        lambda: _tables(reports),
        lambda: [{"name": report.name, **report.numbers()} for report in reports],
    )


def write_through_time(history: RayThroughTime, title: str, path: Path) -> Path:
    """A ray over the clip as a picture or as numbers, one row for each instant; the path."""
    columns = [f"{z:.9g}" for z in history.edges[:-1]]
    return _write(
        path,
        lambda target: plot_through_time(history, target, title),
        lambda: _table(["time", *columns], np.column_stack([history.times, history.weights])),
        lambda: {
            "title": title,
            "step": history.step,
            "pixel": list(history.pixel),
            "times": history.times.tolist(),
            "edges": history.edges.tolist(),
            "weights": history.weights.tolist(),
        },
    )


def write_slice(picked: LinePicked, quantity: Quantity, path: Path) -> Path:
    """A slice of weights as a picture or as numbers, one row for each place along its line; the path."""
    values, line = picked.slices[quantity], picked.line
    W = len(values)
    title = f"{NAMES[quantity]} · time {line.view.time:.4g} · step {picked.step:,}"
    x, y = (np.interp((np.arange(W) + 0.5) / W, [0, 1], ends) for ends in zip(line.start, line.end, strict=True))
    columns = [f"{z:.9g}" for z in picked.edges[:-1]]
    return _write(
        path,
        lambda target: plot_slices([RowSlice("", {quantity: values})], picked.edges, target, title),
        lambda: _table(["x", "y", *columns], np.column_stack([x, y, values])),
        lambda: {
            "quantity": quantity,
            "step": picked.step,
            "time": line.view.time,
            "start": list(line.start),
            "end": list(line.end),
            "edges": picked.edges.tolist(),
            "values": values.tolist(),
        },
    )


def _write(path: Path, plot: Callable[[Path], None], table: Callable[[], str], numbers: Callable[[], object]) -> Path:
    """Write the kind of file that the name ends with, whole or not at all; a picture where it has no ending.

    InputError for another ending, and where the file cannot be written.
    """
    path = named(path, ENDINGS)
    if path.suffix.lower() == ".png":
        with complete_file(path) as partial:
            plot(partial)
    elif path.suffix.lower() == ".csv":
        write_whole(path, table())
    else:
        write_whole(path, json.dumps(finite(numbers()), indent=1) + "\n")
    return path


def _tables(reports: Sequence[RayReport]) -> str:
    """The table of one ray as it is; those of several under one line of names, the ray's name first."""
    if len(reports) == 1:
        return reports[0].table()
    rows = [(report.name, row) for report in reports for row in csv.DictReader(io.StringIO(report.table()))]
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["ray", *names])
    writer.writerows([ray, *(row.get(name, "") for name in names)] for ray, row in rows)
    return text.getvalue()


def _table(names: Sequence[str], values: np.ndarray) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([f"{value:.9g}" for value in row] for row in values)
    return text.getvalue()
