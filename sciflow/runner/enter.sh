#!/bin/sh
# The first program inside the box: start the loop that starts the steps. Arguments: the folder this file stands in, and
# one in which lanes may keep a /tmp of their own.
# A python3 without os.wait4, the module resource that it calls on, or select (cut-down builds exist: Debian's
# python3-minimal) is found out here, before the first step.
if command -v python3 >/dev/null 2>&1 && python3 -I -S -B -c 'import collections, errno, os, resource, select, signal, sys, time; os.wait4' 2>/dev/null; then
    exec python3 -I -S -B "$1/loop.py" "$2"
fi
exec /bin/sh "$1/loop.sh"
