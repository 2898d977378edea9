"""How much of hard hours is used, and that nothing runs outside: 1,000 cases around changes of the clocks, simulated.

    PYTHONPATH=. .venv/bin/python benchmarks/hours.py [--cases 1000]

The worker's own `hours`, `Closing`, `Order` and `Grants` decide; `tests/property/nights.py` says what a case is and
what steps it has. `tests/property/test_hours.py` holds what is printed here to its goals.
"""

import argparse
import itertools
import time

from sciflow.runner.work import GRACE_S, TICK_S
from tests.property import nights

HOUR_S = 3600
LENGTHS_H = (0, 2, 4, 8, 12, 24, 1000)


def share(found: list[nights.Night], what: str) -> float:
    """Return what part of these windows' core-seconds was used, or lost."""
    return float(sum(getattr(night, what) for night in found) / sum(night.capacity for night in found))


def main() -> None:
    """Work in all cases, and print a row a length of windows, and one for all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--cases", type=int, default=1000)
    chosen = parser.parse_args()
    begin = time.perf_counter()
    worked = [nights.nights(seed) for seed in range(chosen.cases)]
    took = time.perf_counter() - begin
    every = [night for _, _, found in worked for night in found]
    print(
        f"{chosen.cases} cases, {len(every)} windows, {sum(len(night.ran) for night in every)} attempts, {took:.0f} s"
    )
    print(f"{'window':>12} {'windows':>8} {'used':>7} {'cut off':>8} {'least':>7} {'tenth':>7}")
    rows = [
        (f"{low}-{high} h", [night for night in every if low * HOUR_S <= night.close - night.start < high * HOUR_S])
        for low, high in itertools.pairwise(LENGTHS_H)
    ]
    for name, found in [*rows, ("all", every)]:
        shares = sorted(night.used / night.capacity for night in found)
        if found:
            print(
                f"{name:>12} {len(found):8} {share(found, 'used'):7.1%} {share(found, 'lost'):8.1%} "
                f"{shares[0]:7.1%} {shares[len(shares) // 10]:7.1%}"
            )
    outside, late, latest = 0, 0, 0.0
    for case, _, found in worked:
        true = nights.spans(case, case.now)
        for night in found:
            close = next(close for start, close in true if start <= night.start < close)
            over = [end - close for *_, end, _ in night.ran if end > close]
            late, latest = late + len(over), max([latest, *over])
            outside += sum(second > GRACE_S + 2 * TICK_S for second in over)
    print(f"{late} attempts ended after closing, the last {latest:.1f} s after it; beyond the grace: {outside}")


if __name__ == "__main__":
    main()
