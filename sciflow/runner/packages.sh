#!/bin/sh
# Inside the box: tell what its image has installed, as its own databases say. `packages.py` reads it.
# Each section begins with a line of its own; an image may have none of these, or lack even `cat`.
show() {
    printf '\n# %s\n' "$1"
    shift
    for file in "$@"; do
        case $file in *.md5sums) continue ;; esac
        if [ -f "$file" ]; then cat "$file" && printf '\n'; fi
    done
}
show debian /var/lib/dpkg/status /var/lib/dpkg/status.d/*
show alpine /lib/apk/db/installed /usr/lib/apk/db/installed
printf '\n# python\n'
{
    for folder in /usr/lib/python3*/*-packages /usr/local/lib/python3*/*-packages /opt/*/lib/python3*/site-packages /opt/*/*/lib/python3*/site-packages; do
        [ -d "$folder" ] && printf '%s\n' "$folder"
    done
    command -v python3 >/dev/null && python3 -I -B -c 'import sys; print("\n".join(sys.path))'
} | while IFS= read -r folder; do
    for found in "$folder"/*.dist-info "$folder"/*.egg-info; do
        [ -e "$found" ] && printf '%s\n' "${found##*/}"
    done
done
exit 0
