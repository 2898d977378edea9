"""A place: the working folder of one step after another, made once and brought back to what it was after each.

So a step's folder has the same name for many of them, and making it costs next to nothing. Beside the folder stand the
files that tell a step of its values, and its log: `3/`, `3.parameters.json`, `3.call.json`, `3.out`, `3.err`.
"""

import errno
import os
import stat

from . import logs, names, records, step

MODE = 0o755


class Place(object):
    """One place of a worker. `work` is the worker's folder on the host, `inside` what the box calls it.

    `links` are the names of the code's entries, which stand in `code` (as the box calls it).
    """

    def __init__(self, work, inside, number, code, links):
        self.number, self.folder = number, "%s/%d" % (work, number)
        self.inside = "%s/%d" % (inside, number)
        self.logs = {"stdout": self.folder + ".out", "stderr": self.folder + ".err"}
        self.staged = self.folder + ".outputs"
        self._code, self._links = code, frozenset(links)
        self._lay_out()

    def _lay_out(self):
        step.clear(self.folder)
        os.mkdir(self.folder)
        os.chmod(self.folder, MODE)  # whatever the umask
        for name in self._links:
            os.symlink(self._to(name), self.folder + "/" + name)

    def _to(self, name):
        return self._code + "/" + name

    def ready(self, outputs):
        """Make the folders that a step's outputs stand in."""
        for path in outputs:
            if "/" in path:
                os.makedirs(os.path.join(self.folder, os.path.dirname(path)), exist_ok=True)

    def tell(self, name, texts):
        """Write a file beside the folder, for the step to read; return its path as the box sees it.

        A step may have laid a link where it stands, to be written through: then it is made anew.
        """
        path = "%s.%s" % (self.folder, name)
        while True:
            try:
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES):
                    raise
                step.clear(path)
                continue
            facts = os.fstat(file)
            if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1:
                break
            os.close(file)
            step.clear(path)
        try:
            size = 0
            with names.about(path):
                for text in texts:
                    data = text.encode("utf-8", "surrogatepass")
                    records.put(file, data)
                    size += len(data)
                if size < facts.st_size:
                    # Not to nothing and before writing: ext4 takes that for a file to be written to the disk at once.
                    os.ftruncate(file, size)
        finally:
            os.close(file)
        return "%s.%s" % (self.inside, name)

    def free_logs(self):
        """See that the logs are files that may be written, or are not there."""
        for path in self.logs.values():
            try:
                facts = os.lstat(path)
            except OSError:
                continue
            if not logs.may_be_written(facts):
                step.clear(path)

    def restore(self):
        """Bring the folder back to what it was before the step."""
        try:
            facts = os.lstat(self.folder)
            if facts.st_mode != stat.S_IFDIR | MODE:
                self._lay_out()
                return
            left, kept = [], 0
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    # Not by its number: a file system gives that to the next file at once.
                    if (
                        entry.name in self._links
                        and entry.is_symlink()
                        and os.readlink(entry.path) == self._to(entry.name)
                    ):
                        kept += 1
                    else:
                        left.append(entry)
            for entry in left:
                if entry.is_dir(follow_symlinks=False):
                    step.clear(entry.path)
                else:
                    os.unlink(entry.path)
            if kept != len(self._links):
                self._lay_out()
        except OSError:
            self._lay_out()
