"""What one file may ask of its reader: values held and operations computed. A few lines can ask for any number."""

from __future__ import annotations

from dataclasses import dataclass

MAX_VALUES = 2_000_000
"""Values of parameters that are held at once, those of blocks and samples among them; each takes some 40 bytes."""
MAX_DRAWN = 10_000_000
"""Values that a sample may draw, of all parameters together; a number takes eight bytes."""
MAX_OPERATIONS = 60_000_000
"""Operations that the points of all sweeps may take: some ten seconds' worth."""
EXACT = 75  # operations that a power or a logarithm takes, as it is computed in decimals (`exact`)
DRAWN = 5  # that a random number takes


@dataclass(kw_only=True, slots=True)
class Budget:
    """What is left of the two; it is spent as a file is read."""

    values: int = MAX_VALUES
    operations: int = MAX_OPERATIONS

    def hold(self, count: int) -> bool:
        """Say whether so many more values may be held, and count them."""
        self.values -= count
        return self.values >= 0

    def compute(self, count: int) -> bool:
        """Say whether so many more operations may be computed, and count them."""
        self.operations -= count
        return self.operations >= 0
