"""The CUDA engine: ``python -m benchmarks.cuda --compile-only`` compiles all kernels and needs no GPU."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import cuda_compile


def main() -> int:
    """Print what was found; 1 where a kernel spills registers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compile-only", action="store_true", required=True, help="compile every kernel, run none")
    parser.add_argument("--json", type=Path, help="file to write the same to")
    options = parser.parse_args()

    found = cuda_compile.compile_all(cuda_compile.ARCHS)
    print(*found, sep="\n")
    if options.json is not None:
        options.json.write_text(json.dumps(cuda_compile.record(found), indent=1) + "\n")
    spilling = [c for c in found if c.spills]
    print(f"{len(found)} kernels compiled; {len(spilling)} spill", *spilling, sep="\n")
    return 1 if spilling else 0


if __name__ == "__main__":
    raise SystemExit(main())
