"""All kernels compile for every kind of GPU, and fit into its registers."""

import importlib
import json
import pkgutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("cupy", reason="CUDA's compiler comes with CuPy")

import renderer.cuda
from benchmarks import cuda, cuda_compile
from renderer.cuda.catalogue import MODULES, programs
from renderer.cuda.device import CompileError, compiled
from renderer.cuda.program import Program

ROOT = Path(__file__).parent.parent
SAMPLES = Program((str(ROOT / "tests" / "cuda_emulator" / "samples.cu"),))
SPILLING = """
extern "C" __global__ void __launch_bounds__(1024, 2) spilling(float* x) {
    float y[100];
    for (int k = 0; k < 100; ++k) y[k] = x[k * 32 + threadIdx.x];
    __syncthreads();
    for (int k = 0; k < 100; ++k) x[k * 32 + threadIdx.x * 3] = y[(k * 17 + 5) % 100];
}
"""


def written(text: str, folder: Path) -> Program:
    path = folder / "written.cu"
    path.write_text(text)
    return Program((str(path),))


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["75", "90", "120"])  # benchmarks.cuda compiles for those between them too
def test_no_kernel_spills_registers(arch: str) -> None:
    found = cuda_compile.compile_all((arch,))
    assert not [str(c) for c in found if c.spills]
    for program in programs():  # what is compiled is what the host knows
        assert {c.kernel for c in found if c.program == program} == set(program.kernels())


def test_spills_are_seen(tmp_path: Path) -> None:
    usage = compiled(written(SPILLING, tmp_path), "90")[1]["spilling"]
    assert usage.registers == 32 and usage.spilled > 300 and usage.stack > 300 and usage.shared == 0
    assert cuda_compile.Compiled(SAMPLES, "spilling", "90", usage).spills


def test_what_a_kernel_takes_is_read_for_each_kernel() -> None:
    binary, usages = compiled(SAMPLES, "80")
    assert binary.startswith(b"\x7fELF")
    assert usages.keys() == SAMPLES.kernels().keys()
    assert usages["block_sum"].shared == 1024 and usages["add"].shared == 0
    assert usages["deep"].stack == 4 << 17 and usages["deep"].spilled == 0


def test_a_source_that_is_wrong_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    program = written('\n\nextern "C" __global__ void wrong(int n) { nobody(n); }', tmp_path)
    with pytest.raises(CompileError, match=r'sm_75: .*written\.cu\(3\): error: identifier "nobody" is undefined'):
        compiled(program, "75")


def test_every_source_is_in_a_program() -> None:
    used = {name for program in programs() for name in program.sources}
    assert used == {path.name for path in (ROOT / "shaders").glob("*.cu")}


def test_every_module_with_programs_is_in_the_catalogue() -> None:
    names = [f"renderer.cuda.{module.name}" for module in pkgutil.iter_modules(renderer.cuda.__path__)]
    modules = map(importlib.import_module, names)
    assert {m.__name__ for m in modules if hasattr(m, "PROGRAMS")} == {m.__name__ for m in MODULES}


@pytest.mark.parametrize("spills", [False, True])
def test_the_benchmark_fails_where_a_kernel_spills(
    spills: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = (SAMPLES, written(SPILLING, tmp_path))[: 1 + spills]
    path = tmp_path / "found.json"
    monkeypatch.setattr(cuda_compile, "programs", lambda: found)
    monkeypatch.setattr(cuda_compile, "ARCHS", ("75",))
    monkeypatch.setattr(sys, "argv", ["benchmarks.cuda", "--compile-only", "--json", str(path)])
    assert cuda.main() == spills
    kernels = len(SAMPLES.kernels()) + spills
    assert f"{kernels} kernels compiled; {int(spills)} spill" in capsys.readouterr().out
    records = json.loads(path.read_text())
    assert len(records) == kernels and all(r["arch"] == "75" for r in records)
    assert [r["kernel"] for r in records if r["spilled"]] == ["spilling"] * spills
