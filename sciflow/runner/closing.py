"""Closing time, for one worker: which steps may still be started, and when those that run are asked, or told, to end.

Pure: what time it is, is given. A hard window ends what runs in it; a soft one only lets nothing begin any more.
"""

# A step is expected to take no more than twice the mean of its task, once that is known: limits are declared with much
# to spare, and going by them leaves the end of every window empty. What takes longer is cut off at closing; from then
# on, until no step of its task stands cut off, that task goes by what is declared. So no step is cut off twice in a row
# for the same reason, and work is lost of a few steps a window at most.
SAFE = 2


def expected(task, learned, cut):
    """Return how long a step of a task is expected to take at most, in seconds.

    `learned` is the mean time of its steps, or None; `cut`: one of them stands cut off.
    """
    declared = task["resources"]["time_s"]
    return declared if learned is None or cut else min(declared, SAFE * learned)


class Closing(object):
    """When hours end: at `close`, a UTC second, or never (None). `what` says what it is that is then over."""

    def __init__(self, close=None, *, hard=False, what="the hours are"):
        self.close, self._hard, self.what = close, hard and close is not None, what

    def within(self, end):
        """Return the closing of a job that is ended at some time for certain, where that comes first."""
        return self if self.close is not None and self.close <= end else Closing(end, hard=True, what="this job is")

    def over(self, now):
        """Say whether nothing is to be started any more."""
        return self.close is not None and now >= self.close

    def near(self, tasks, now):
        """Say whether some step of these tasks might not end in time."""
        if not self._hard:
            return False
        most = [max(task["resources"]["time_s"], 2 * _before(task)) for task in tasks]
        return now + max(most) > self.close

    def fits(self, task, seconds, now):
        """Say whether a step that is expected to take so long may be started: it can end, or come to a checkpoint.

        The way to a checkpoint is to take no longer than the work before it.
        """
        if not self._hard:
            return not self.over(now)
        if self.asks(task, now):
            return False  # it would be asked at once, and again and again
        return now + seconds <= self.close or (bool(task.get("checkpoint")) and now + 2 * _before(task) <= self.close)

    def held(self, tasks, learned, cut, now):
        """Return the names of the tasks of which no step is to be started: in what is left of a hard window none fits.

        `learned` is {task: mean seconds of its steps}; `cut(task)` says whether one of them stands cut off.
        """
        if not self.near(tasks, now):
            return ()
        return {
            task["name"]
            for task in tasks
            if not self.fits(task, expected(task, learned.get(task["name"]), cut(task["name"])), now)
        }

    def asks(self, task, now):
        """Say whether it is time for a step that runs to come to a checkpoint."""
        return self._hard and bool(task.get("checkpoint")) and now >= self.close - _before(task)

    def ends(self, now):
        """Say whether it is time to end whatever runs."""
        return self._hard and now >= self.close


def _before(task):
    checkpoint = task.get("checkpoint")
    return checkpoint["before_s"] if checkpoint else 0
