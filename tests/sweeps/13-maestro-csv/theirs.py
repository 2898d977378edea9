"""One combination for each row of a table."""

import csv
from pathlib import Path

from maestrowf.datastructures.core import ParameterGenerator


def get_custom_generator(env, **kwargs):
    with Path(kwargs.get("CSV", "params.csv")).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    made = ParameterGenerator()
    for name in rows[0]:
        made.add_parameter(name, [row[name] for row in rows], name + ".%%")
    return made
