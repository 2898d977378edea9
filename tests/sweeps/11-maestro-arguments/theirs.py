"""Sizes up to a largest, with those numbers of iterations that are not too much work."""

import itertools

from maestrowf.datastructures.core import ParameterGenerator


def get_custom_generator(env, **kwargs):
    largest = int(kwargs.get("SIZE_MAX", "20"))
    limit = int(kwargs.get("LIMIT", "1000"))
    sizes = range(10, largest + 1, 10)
    kept = [(size, count) for size, count in itertools.product(sizes, (25, 50, 100)) if size * count <= limit]
    made = ParameterGenerator()
    made.add_parameter("SIZE", [size for size, _ in kept], "SIZE.%%")
    made.add_parameter("ITER", [count for _, count in kept], "ITER.%%")
    return made
