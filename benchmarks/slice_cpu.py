"""How fast slicing on the CPU is: ``python -m benchmarks.slice_cpu [--json F]``.

50,000 random Gaussians with all 48 harmonics in use, at an instant when all or 14 % of them are alive. Medians over
the rounds, in milliseconds; backward alone, with gradients to all parameters and the camera centre.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch

from benchmarks.splat_cpu import median_ms
from renderer.gaussians import P_MIN, Gaussians
from renderer.slicing import slice_at

COUNT = 50_000
TIME = 0.5
SHARES = (1.0, 0.14)


def scene(share: float, count: int = COUNT, seed: int = 0) -> Gaussians:
    """Gaussians with equal quaternions, so that lifespan is set by the temporal scale; ``share`` are alive at 0.5.

    Times are uniform in [0, 1]; the temporal weight is above its threshold within sigma sqrt(-2 ln 0.05).
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    reach = math.sqrt(-2 * math.log(P_MIN))
    sigma = 1.0 if share == 1 else 0.5 * share / reach
    turn = normal(count, 4)
    return Gaussians(
        positions=normal(count, 3),
        times=torch.rand(count, 1, generator=generator),
        scales=-4 + 0.3 * normal(count, 3),
        time_scales=torch.full((count, 1), math.log(sigma)),
        left=turn,
        right=turn.clone(),
        opacities=normal(count, 1),
        sh_dc=0.3 * normal(count, 1, 3),
        sh_rest=0.1 * normal(count, 47, 3),
        sh_level=5,
    )


def measure(share: float, rounds: int) -> dict[str, float]:
    """Share alive, forward, and backward alone."""
    g = scene(share)
    center = torch.tensor([0.0, 0.0, -5.0], requires_grad=True)
    leaves = [p.requires_grad_() for p in g.parameters.values()]
    instant = slice_at(g, TIME, center, backend="cpu")
    outputs = [instant.splats.means, instant.splats.covariances, instant.splats.opacities, instant.splats.colors]
    incoming = [torch.ones_like(x) for x in outputs]
    return {
        "alive": len(instant.ids) / len(g),
        "forward_ms": median_ms(lambda: slice_at(g, TIME, center, backend="cpu"), rounds),
        "backward_ms": median_ms(
            lambda: torch.autograd.grad(outputs, [*leaves, center], incoming, retain_graph=True), rounds
        ),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{'Gaussians':<12}{'alive':>8}{'forward ms':>12}{'backward ms':>13}")
    rows = []
    for share in SHARES:
        row = measure(share, options.rounds)
        rows.append(row)
        print(f"{COUNT:<12,}{row['alive']:>8.0%}{row['forward_ms']:>12.2f}{row['backward_ms']:>13.2f}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
