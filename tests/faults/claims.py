"""Protocols of publishing that are wrong, for the harness to catch: `claims.py PROTOCOL FOLDER STEPS`, as many at once.

`in-place` writes where the result is looked for; `exists-then-rename` looks first, and renames then.
"""

import json
import os
import sys


def in_place(folder, name, text):
    path = os.path.join(folder, name)
    if os.path.exists(path):
        return False
    with open(path, "w", encoding="utf-8") as stream:
        for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
            stream.write(piece)
            stream.flush()
    return True


def exists_then_rename(folder, name, text):
    path = os.path.join(folder, name)
    if os.path.exists(path):
        return False
    part = f"{path}.{os.getpid()}"
    with open(part, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.rename(part, path)
    return True


def main(protocol, folder, steps):
    publish = {"in-place": in_place, "exists-then-rename": exists_then_rename}[protocol]
    os.makedirs(folder, exist_ok=True)
    won = sum(publish(folder, str(step), json.dumps({"step": step, "y": "x" * 64})) for step in range(steps))
    print(won)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
