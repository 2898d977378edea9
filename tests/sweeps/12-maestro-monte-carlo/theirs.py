"""Sizes and dampings drawn at random, the same for one seed."""

import random

from maestrowf.datastructures.core import ParameterGenerator


def get_custom_generator(env, **kwargs):
    trials, smallest, largest = (int(env.find(name).value) for name in ("TRIALS", "SMIN", "SMAX"))
    draw = random.Random(env.find("SEED").value)
    made = ParameterGenerator()
    made.add_parameter("SIZE", [draw.randint(smallest, largest) for _ in range(trials)], "SIZE.%%")
    made.add_parameter("DAMPING", [draw.uniform(0, 0.5) for _ in range(trials)], "DAMPING.%%")
    return made
