"""From how the points share the steps of two tasks to the edges between those steps, computed when asked for."""

from array import array


class Link(object):
    """The edges from a task's steps to those of a task that needs it, computed: a step's own, `under` it and `over` it.

    Axis by axis a class of the lower task belongs to one class of the upper. Nothing is held but where an axis is
    divided in two ways; then two numbers a class of it.
    """

    def __init__(self, upper, lower):
        """Take the two tasks' `Shared`."""
        self._axes = []  # the slowest first
        self._same = upper.count == lower.count
        for (_, _, above, weight, firsts), (_, _, below, each, turns) in zip(upper.digits[::-1], lower.digits[::-1]):
            if above is None and below is None:
                continue
            # A step of the lower task stands at the first turn of what it does not use.
            mine, step = (turns, each) if below is not None else ((0,), 0)
            member, start = None, None
            if above is not None and (len(mine) != len(firsts) or not step):
                member, start = self._divided(above, mine, len(firsts), step)
            self._same = self._same and above is not None and member is None
            self._axes.append((weight, len(firsts) if above is not None else 0, step, mine, above, member, start))

    @staticmethod
    def _divided(above, turns, classes, step):
        """Return the lower task's steps sorted by the upper's classes, and where each class begins among them."""
        start = array("L", bytes(array("L").itemsize * (classes + 1)))
        for turn in turns:
            start[above[turn] + 1] += 1
        for one in range(classes):
            start[one + 1] += start[one]
        member, at = array("L", bytes(array("L").itemsize * len(turns))), start[:]
        for number, turn in enumerate(turns):
            member[at[above[turn]]] = number * step
            at[above[turn]] += 1
        return member, start

    def over(self, step):
        """Return the upper task's step that a step of the lower waits for."""
        if self._same:
            return step
        return sum(
            above[turns[step // each % len(turns) if each else 0]] * weight
            for weight, classes, each, turns, above, _, _ in self._axes
            if classes
        )

    def under(self, step):
        """Return the lower task's steps that wait for a step of the upper, ascending; a range where they are one."""
        if self._same:
            return range(step, step + 1)
        base, parts = 0, []
        for weight, classes, each, turns, _, member, start in self._axes:
            one = step // weight % classes if classes else 0
            if member is not None:
                parts.append(member[start[one] : start[one + 1]])
            elif classes:
                base += one * each
            elif parts and isinstance(parts[-1], range) and parts[-1].step == len(turns) * each:
                parts[-1] = range(0, parts[-1].stop, each)
            else:
                parts.append(range(0, len(turns) * each, each))
        if not parts:
            return range(base, base + 1)
        if len(parts) == 1 and isinstance(parts[0], range):
            return range(base, base + parts[0].stop, parts[0].step)
        return self._sums(parts, base)

    def _sums(self, parts, base):
        for one in parts[0]:
            if len(parts) == 1:
                yield base + one
            else:
                for found in self._sums(parts[1:], base + one):
                    yield found
