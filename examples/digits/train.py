"""Train a support vector machine on two thirds of the digits, and count its mistakes on the third held out.

The folds are every third image, so the three repeats hold out each image exactly once. Nothing here is random.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix
from sklearn.svm import SVC

FOLDS = 3


def main() -> None:
    """Write metrics.json, and the confusion matrix: row = digit drawn, column = digit read, 10 x 10 counts."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("images", help="N x 64 array in [0, 1] (.npy)")
    words.add_argument("labels", help="N digits (.npy)")
    words.add_argument("--kernel", choices=["rbf", "poly", "sigmoid"], required=True)
    words.add_argument("--gamma", type=float, required=True, help="kernel coefficient")
    words.add_argument("--c", type=float, required=True, help="cost of a training image on the wrong side")
    words.add_argument("--repeat", type=int, choices=range(FOLDS), required=True, help="the fold held out")
    words.add_argument("--confusion", required=True, help="the .csv file to write")
    chosen = words.parse_args()

    images, labels = np.load(chosen.images), np.load(chosen.labels)
    held_out = np.arange(len(labels)) % FOLDS == chosen.repeat
    machine = SVC(C=chosen.c, gamma=chosen.gamma, kernel=chosen.kernel)
    machine.fit(images[~held_out], labels[~held_out])
    confusion = confusion_matrix(labels[held_out], machine.predict(images[held_out]), labels=range(10))

    right, seen = int(confusion.trace()), int(confusion.sum())
    np.savetxt(chosen.confusion, confusion, fmt="%d", delimiter=",")
    # No times in here: sciflow records them by itself, and a metric must come out the same at a replay.
    metrics = {"accuracy": right / seen, "mistakes": seen - right, "support_vectors": int(machine.n_support_.sum())}
    Path("metrics.json").write_text(json.dumps(metrics) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
