"""Every size with every number of iterations."""

import itertools

from maestrowf.datastructures.core import ParameterGenerator


def get_custom_generator(env, **kwargs):
    combinations = list(itertools.product((10, 20, 30), (100, 200, 400)))
    made = ParameterGenerator()
    made.add_parameter("TRIAL", list(range(len(combinations))), "TRIAL.%%")
    made.add_parameter("SIZE", [size for size, _ in combinations], "SIZE.%%")
    made.add_parameter("ITER", [count for _, count in combinations], "ITER.%%")
    return made
