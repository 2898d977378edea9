"""What compile refuses though the file itself is sound: the exact words, the exit code, and nothing half-written."""

import json
import os
import socket
import subprocess

import pytest

from tests import small

CASES = {}


def case(code, words, *more):
    """Register what spoils a study: the code, the exact words (with places), and what is said after `compile FILE`."""

    def register(spoil):
        CASES[spoil.__name__] = (spoil, code, words, more)
        return spoil

    return register


def spoil_text(folder, old, new):
    file = folder / "workflow.toml"
    file.write_text(file.read_text().replace(old, new))


@case(
    2,
    "{folder}/u.py: is a link; code is carried as plain files\n"
    "  hint: put the file itself there, or leave it out with `exclude`\n",
)
def code_that_is_a_link(folder):
    (folder / "u.py").symlink_to("t.py")


@case(
    2,
    "{folder}/lib: is a link; code is carried as plain files\n"
    "  hint: put the file itself there, or leave it out with `exclude`\n",
)
def code_behind_a_link(folder):
    (folder / "lib").symlink_to("/usr/lib/python3")
    spoil_text(folder, '"*.py"', '"lib/*"')


@case(
    2,
    "{folder}/a\\nb.py: its name cannot be carried in a bundle\n"
    "  hint: rename it: printable characters, no backslash, not too long\n",
)
def a_line_end_in_a_name(folder):
    (folder / "a\nb.py").write_text("")


@case(2, "{folder}/data/x: is a link, inside the input `start`\n  hint: put the file itself there\n")
def a_link_inside_an_input(folder):
    (folder / "data").mkdir()
    (folder / "data" / "x").symlink_to("/etc/hostname")
    spoil_text(folder, '"start.txt"', '"data"')


@case(2, "{folder}/data/x: is no regular file, inside the input `start`\n  hint: take it out of that folder\n")
def a_pipe_inside_an_input(folder):
    (folder / "data").mkdir()
    os.mkfifo(folder / "data" / "x")
    spoil_text(folder, '"start.txt"', '"data"')


@case(
    3,
    "error: the key `{config}/sciflow/keys/nobody.pem` cannot be read: No such file or directory\n"
    "  hint: `sciflow key new` makes one; `sciflow key ls` lists those you have\n",
    "--key",
    "nobody",
)
def a_key_that_is_not_there(folder):
    pass


@case(
    3,
    "error: `{folder}/k` is no private key that can be read: {anything}\n"
    "  hint: wanted: an Ed25519 key in PEM or OpenSSH form, without a passphrase\n",
    "--key",
    "{folder}/k",
)
def a_key_that_is_none(folder):
    (folder / "k").write_text("no key\n")


@case(
    3,
    "error: the key `{folder}` cannot be read: Is a directory\n"
    "  hint: `sciflow key new` makes one; `sciflow key ls` lists those you have\n",
    "--key",
    "{folder}",
)
def a_key_that_is_a_folder(folder):
    pass


@case(
    3,
    "error: `{folder}/workflow.lock` is not a lock that sciflow wrote: {anything}\n"
    "  hint: remove it, or let `sciflow compile --update` write it anew\n",
)
def a_lock_that_is_none(folder):
    (folder / "workflow.lock").write_text("what = \n")


@case(
    3,
    "error: `{folder}/workflow.lock`: it is in format 2, and this sciflow reads 1\n"
    "  hint: use the sciflow that wrote it, or let `sciflow compile --update` write it anew\n",
)
def a_lock_of_another_format(folder):
    (folder / "workflow.lock").write_text("format = 2\n")


@case(
    3,
    "error: `{folder}/workflow.lock` is not a lock that sciflow wrote: {anything}\n"
    "  hint: remove it, or let `sciflow compile --update` write it anew\n",
)
def a_lock_that_is_a_folder(folder):
    (folder / "workflow.lock").mkdir()


@case(
    3,
    "error: `{folder}/workflow.lock` does not exist, and --locked resolves nothing\n"
    "  hint: compile once without --locked\n",
    "--locked",
)
def locked_without_a_lock(folder):
    pass


@case(
    3,
    "error: `{folder}/workflow.lock` no longer fits:\n"
    "  code `t.py`: changed\n"
    "  code `u.py`: new\n"
    "  input `start`: changed\n"
    "  hint: compile without --locked to write it anew\n",
    "--locked",
)
def locked_and_changed(folder):
    (folder / "workflow.lock").write_text(
        'format = 1\ncode = ["t.py sha256:00 1"]\n[inputs.start]\npath = "start.txt"\nfiles = ["start.txt sha256:00 3"]\n'
    )
    (folder / "u.py").write_text("")


@case(
    3,
    "error: the image `docker://127.0.0.1:9/tools:1` is not pinned yet, and that needs the network\n"
    "  hint: compile once without `--offline`; after that the lock is enough\n",
    "--offline",
)
def an_image_that_is_not_pinned_offline(folder):
    spoil_text(folder, "[code]", '[image]\nfrom = "docker://127.0.0.1:9/tools:1"\n[code]')


@case(3, "error: `{folder}/out` cannot be written: File exists\n", "-o", "{folder}/out/")
def an_output_folder_that_is_a_dangling_link(folder):
    (folder / "out").symlink_to("nowhere")


@case(3, "error: `/proc/bundles` cannot be written: No such file or directory\n", "-o", "/proc/bundles")
def an_output_folder_that_cannot_be(folder):
    pass


@case(3, "error: `{folder}/bundles` cannot be written: File exists\n")
def a_file_where_bundles_should_go(folder):
    (folder / "bundles").write_text("")


@pytest.mark.parametrize("name", sorted(CASES))
def test_compile_refuses_with_these_words_and_leaves_nothing_new(name, tmp_path, home):
    spoil, code, words, more = CASES[name]
    folder = tmp_path / "study"
    small.write(folder)
    small.sciflow("key", "new")
    spoil(folder)
    before, keys = listing(folder), listing(home)
    found = small.sciflow("compile", folder / "workflow.toml", "-q", *(word.format(folder=folder) for word in more))
    start, anything, end = words.partition("{anything}")
    start, end = (text.format(folder=folder, config=home / "config") for text in (start, end))
    assert found.stderr.startswith(start)
    assert found.stderr.endswith(end)
    assert anything or found.stderr == start
    assert (found.returncode, found.stdout) == (code, "")
    assert listing(home) == keys
    assert pruned(listing(folder)) == pruned(before)


def listing(folder):
    return {path: (path.lstat().st_mode, path.is_dir() or path.lstat().st_size) for path in folder.rglob("*")}


def pruned(found):
    """Leave the lock out where it was made anew: it is whole, and says what was pinned before the fault."""
    return {path: facts for path, facts in found.items() if path.name != "workflow.lock"}


def test_a_registry_that_is_down_is_named_with_its_place(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets this port, and it is closed
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        file = small.write(tmp_path, ("[code]", f'[image]\nfrom = "docker://{place}/tools:1"\n[code]'))
        before = listing(tmp_path)
        found = small.sciflow("compile", file, "-q")
    assert (found.returncode, found.stdout, "Traceback" in found.stderr) == (3, "", False)
    assert place in found.stderr
    assert "hint: " in found.stderr
    assert listing(tmp_path) == before


def test_keys_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "config").write_text("")
    file = small.write(tmp_path / "study")
    before = listing(tmp_path)
    found = small.sciflow("compile", file, "-q", XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert (found.returncode, found.stderr) == (
        3,
        f"error: `{tmp_path}/config/sciflow/keys/default.pem`: Not a directory\n",
    )
    assert listing(tmp_path) == before


def test_the_words_for_a_program_are_the_words_for_a_person(tmp_path):
    file = small.write(tmp_path)
    (tmp_path / "workflow.lock").write_text("format = 2\n")
    found = small.sciflow("compile", file, "--json", "-q")
    told = json.loads(found.stdout)
    assert (told["code"], f"error: {told['error']}\n") == (3, found.stderr)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    file = small.write(tmp_path)
    tmp_path.chmod(0o500)
    try:
        found = small.sciflow("compile", file, "-q")
    finally:
        tmp_path.chmod(0o700)
    assert (found.returncode, "Permission denied" in found.stderr) == (3, True)


@pytest.fixture
def tiny(tmp_path):
    """Return a folder that can hold less than a bundle."""
    place = tmp_path / "tiny"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system of its own can only be mounted by root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_without_space_is_named_and_left_as_it_was(tmp_path, tiny):
    file = small.write(tmp_path / "study")
    found = small.sciflow("compile", file, "-o", tiny, "-q")
    assert (found.returncode, found.stdout) == (3, "")
    assert "No space left on device" in found.stderr
    assert list(tiny.iterdir()) == []


def test_a_lock_for_which_there_is_no_space_is_not_half_written(tmp_path, tiny):
    file = small.write(tiny)
    (tiny / "filler").write_bytes(b"x" * 52 * 1024)
    before = listing(tiny)
    found = small.sciflow("compile", file, "-o", tmp_path / "out", "-q")
    assert (found.returncode, "No space left on device" in found.stderr) == (3, True)
    assert listing(tiny) == before
