"""Find, for each size, the density at which half of the squares let water through.

On an endless square it is 0.5927.
"""

import argparse
import csv
import json
from pathlib import Path

HALF = 0.5


def curves(records: str) -> "dict[int, list[tuple[float, float]]]":
    """Return {size: [(density, wet), …]}, both in rising order, from one JSON object a line."""
    found: dict[int, list[tuple[float, float]]] = {}
    for line in Path(records).read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        point = (record["parameters"]["density"], record["metrics"]["wet"])
        found.setdefault(record["parameters"]["size"], []).append(point)
    return {size: sorted(found[size]) for size in sorted(found)}


def halfway(curve: "list[tuple[float, float]]") -> "float | None":
    """Return the density at which a straight line between neighbours first reaches one half; None if it never does."""
    for place in range(1, len(curve)):
        (low, below), (high, above) = curve[place - 1], curve[place]
        if below < HALF <= above:
            return low + (high - low) * (HALF - below) / (above - below)
    return None


def main() -> None:
    """Write a table of thresholds, and that of the largest square that has one to metrics.json."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("records", help="the records of all steps of pour, a JSON object a line")
    words.add_argument("thresholds", help="the .csv file to write")
    chosen = words.parse_args()

    thresholds = {size: halfway(curve) for size, curve in curves(chosen.records).items()}
    with Path(chosen.thresholds).open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["size", "threshold"])
        table.writerows(thresholds.items())
    found = [threshold for threshold in thresholds.values() if threshold is not None]
    metrics = {"threshold": found[-1]} if found else {}
    Path("metrics.json").write_text(json.dumps(metrics) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
