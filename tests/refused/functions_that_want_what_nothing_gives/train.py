def prepare(kernel, point, gamma):
    return kernel, point, gamma


def main(prepared, /, gama, seed, point, *, depth, more=1, **rest):
    return prepared, gama, seed, point, depth, more, rest


def summary(train, kernel):
    return train, kernel
