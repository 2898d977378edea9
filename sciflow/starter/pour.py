"""Pour water onto random porous squares, and count those it runs through from top to bottom (site percolation)."""

import argparse
import json
import random
from pathlib import Path


def square(size: int, density: float, source: random.Random) -> "list[list[bool]]":
    """Return size x size cells, row by row: True where open, each with the given chance."""
    return [[source.random() < density for _ in range(size)] for _ in range(size)]


def lets_through(cells: "list[list[bool]]") -> bool:
    """Say whether open cells, side by side, lead from the top row to the bottom row."""
    size = len(cells)
    wet = {(0, column) for column in range(size) if cells[0][column]}
    spreading = list(wet)
    while spreading:
        row, column = spreading.pop()
        if row == size - 1:
            return True
        for there in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            if min(there) >= 0 and max(there) < size and there not in wet and cells[there[0]][there[1]]:
                wet.add(there)
                spreading.append(there)
    return False


def main() -> None:
    """Write metrics.json: `wet`, the share of squares that let water through."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--size", type=int, required=True, help="cells along one side")
    words.add_argument("--density", type=float, required=True, help="chance that a cell is open, 0 to 1")
    words.add_argument("--squares", type=int, default=200, help="how many squares to try")
    words.add_argument("--seed", type=int, default=1, help="where the random numbers start")
    chosen = words.parse_args()

    # One seed for the whole sweep: each density opens more cells of the same squares, so that only density differs.
    source = random.Random(chosen.seed)
    through = sum(lets_through(square(chosen.size, chosen.density, source)) for _ in range(chosen.squares))
    Path("metrics.json").write_text(json.dumps({"wet": through / chosen.squares}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
