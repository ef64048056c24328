"""Damaged files of every kind get a sentence, or are loaded; never anything else. More of it: python -m tests.fuzz."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import Reader, Tally, Target
from tests.fuzz_targets import TARGETS

ROOT = Path(__file__).parent.parent
CASES = 30
"""Of a reader with a share of 1; most that are quick have 7."""


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as reader:
        yield reader


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damaged_files_are_refused_in_a_sentence_or_loaded(reader: Reader, target: Target) -> None:
    tally = Tally()
    for case in range(max(5, round(CASES * target.share))):
        tally.add(target.name, case, reader.outcome(target.name, case))
    assert not tally.wrong, "\n".join(tally.lines())
    if target.name not in NEVER_REFUSE:
        assert tally.counts["refused"] > 0, "nothing that matters was damaged"


NEVER_REFUSE = ("metrics.jsonl", "settings")
"""Files without which everything goes on: what is not understood in them is left out."""


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("hang", "hang", "no answer within 2 seconds"),
        ("crash", "crash", "ended with -11"),
        ("take_memory", "MemoryError", "MemoryError"),
        ("fail", "ZeroDivisionError", "ZeroDivisionError: a traceback"),
        ("name_nothing", "nameless sentence", "something is wrong"),
        ("refuse", "refused", ""),
        ("is_good", "loaded", ""),
    ],
)
def test_what_no_reader_may_do_is_found(name: str, kind: str, said: str, faults: Reader) -> None:
    outcome = faults.outcome(name, 1)
    assert outcome.kind == kind and said in outcome.said
    assert outcome.is_fine == (name in ("refuse", "is_good"))
    assert faults.outcome("refuse", 3).kind == "refused", "the next case is read by a new process where that is needed"
    if name == "fail":
        assert outcome.where.startswith("tests/fuzz_faults.py:")


@pytest.fixture(scope="module")
def faults() -> Iterator[Reader]:
    with Reader("tests.fuzz_faults", patience=2.0) as reader:
        yield reader


@pytest.mark.parametrize("package", ["app", "renderer", "training", "shaders", "assets"])
def test_nothing_that_runs_what_a_file_says_is_used(package: str) -> None:
    """No pickles, by whatever door; no source text."""
    forbidden = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for path in sorted((ROOT / package).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        for node in nodes:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & forbidden, path
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert given.get("allow_pickle", "False") == "False", f"{path}:{call.lineno}"
            if name == "np.load":
                assert given.get("allow_pickle") == "False", f"{path}:{call.lineno}"
            if name == "torch.load":
                assert given.get("weights_only") == "True", f"{path}:{call.lineno}"
            assert name not in ("eval", "exec", "yaml.load", "np.core.records.load"), f"{path}:{call.lineno}"
