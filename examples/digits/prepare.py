"""Write the 1,797 handwritten digits that scikit-learn ships as two arrays, in a shuffled order.

The images seem to be grouped by the hand that drew them; the shuffle spreads each hand over all folds. It happens here,
once, so that every step of the sweep sees the same images in the same places.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

SEED = 0
DARKEST = 16  # a pixel counts the dark dots in a 4 x 4 cell of the scan: 0 to 16


def main() -> None:
    """Write images (1797 x 64, float64 in [0, 1], row-major 8 x 8 pixels) and labels (1797, int64, the digit drawn)."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("images", help="the .npy file to write the images to")
    words.add_argument("labels", help="the .npy file to write the labels to")
    chosen = words.parse_args()

    digits = load_digits()
    # RandomState's stream is frozen for ever (NEP 19); that of default_rng may change with numpy.
    order = np.random.RandomState(SEED).permutation(len(digits.target))
    # .npy carries no time stamp: the same digits are the same bytes, whenever this runs.
    np.save(chosen.images, np.ascontiguousarray(digits.data[order] / DARKEST, dtype="<f8"))
    np.save(chosen.labels, digits.target[order].astype("<i8"))


if __name__ == "__main__":
    main()
