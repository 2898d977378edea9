"""Average the accuracy over the repeats, and name the best setting and the digits it still confuses."""

import argparse
import csv
import json
from pathlib import Path
from statistics import fmean

SETTING = ("kernel", "gamma", "c")
COLUMNS = (*SETTING, "mean_accuracy", "lowest_accuracy", "highest_accuracy", "repeats")


def read(records: str) -> dict:
    """Return {(kernel, gamma, c): [record of each repeat]}, in the order of the sweep, from one JSON object a line."""
    settings = {}
    for line in Path(records).read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        settings.setdefault(tuple(record["parameters"][name] for name in SETTING), []).append(record)
    return settings


def row(setting: tuple, repeats: list) -> dict:
    """Return one line of the table: the setting, and mean, lowest and highest accuracy over its repeats."""
    accuracy = [record["metrics"]["accuracy"] for record in repeats]
    return dict(zip(COLUMNS, (*setting, fmean(accuracy), min(accuracy), max(accuracy), len(accuracy)), strict=True))


def confusions(repeats: list) -> list:
    """Return [{"drawn", "read", "times"}] summed over the repeats, most frequent first; right answers left out."""
    times = {}
    for record in repeats:
        with open(record["outputs"]["confusion"], newline="", encoding="utf-8") as matrix:
            for drawn, counts in enumerate(csv.reader(matrix)):
                for answer, count in enumerate(counts):
                    times[drawn, answer] = times.get((drawn, answer), 0) + int(count)
    wrong = [(pair, count) for pair, count in times.items() if count and pair[0] != pair[1]]
    return [{"drawn": d, "read": r, "times": n} for (d, r), n in sorted(wrong, key=lambda item: (-item[1], item[0]))]


def main() -> None:
    """Write the table (one row a setting), the best setting (ties: the first in the sweep) and metrics.json."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("records", help="the records of all training steps, a JSON object a line")
    words.add_argument("--table", required=True, help="the .csv file to write")
    words.add_argument("--best", required=True, help="the .json file to write")
    chosen = words.parse_args()

    settings = read(chosen.records)
    rows = {setting: row(setting, repeats) for setting, repeats in settings.items()}
    best = max(rows, key=lambda setting: rows[setting]["mean_accuracy"])
    with open(chosen.table, "w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows.values())
    answer = {**rows[best], "confusions": confusions(settings[best])}
    Path(chosen.best).write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")
    metrics = {"best_accuracy": rows[best]["mean_accuracy"], "settings": len(rows)}
    Path("metrics.json").write_text(json.dumps(metrics) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
