"""Evenly spaced angles, with forces evenly spaced in their logarithm."""

import numpy as np
from maestrowf.datastructures.core import ParameterGenerator


def get_custom_generator(env, **kwargs):
    angles, forces = np.meshgrid(np.linspace(0, 90, 4), np.logspace(0, 3, 4), indexing="ij")
    made = ParameterGenerator()
    made.add_parameter("ANGLE", angles.ravel().tolist(), "ANGLE.%%")
    made.add_parameter("FORCE", forces.ravel().tolist(), "FORCE.%%")
    made.add_parameter("SCALED", (angles * forces).ravel().tolist(), "SCALED.%%")
    return made
