"""A program that answers as crontab(1) does, and keeps one user's table in a file: the real one is only used live."""

PROGRAM = """\
#!/bin/sh
table='{table}'
case $1 in
-l) [ -e "$table" ] && exec cat "$table"; echo "no crontab for ada" >&2; exit 1;;
-r) exec rm "$table";;
-) {before}
cat > "$table.new"; exec mv "$table.new" "$table";;
esac
"""


def put(folder, name="crontab", before=":"):
    """Put the program into a folder, which is made; return (that folder, the table's path)."""
    table = folder / f"{name}.table"
    (folder / "programs").mkdir(exist_ok=True)
    program = folder / "programs" / name
    program.write_text(PROGRAM.format(table=table, before=before))
    program.chmod(0o755)
    return folder / "programs", table
