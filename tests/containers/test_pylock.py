import tomllib

import pytest

from sciflow.containers import pylock
from sciflow.containers.image import Wheel
from sciflow.errors import WorkflowError
from tests.containers.wheelwright import TARGET

SHA, OTHER = "a" * 64, "b" * 64
PURE = "tiny-1.0-py3-none-any.whl"


def _wheel(name=PURE, *, where='url = "https://files.example/{}"', hashes=f'sha256 = "{SHA}"', more=""):
    return f"{{ {where.format(name)}, hashes = {{ {hashes} }}{more} }}"


def _lock(*packages, more=""):
    whole = "".join(f"\n[[packages]]\n{one}\n" for one in packages) or "packages = []\n"
    return f'lock-version = "1.0"\ncreated-by = "hand"\n{more}{whole}'


def _tiny(*wheels, more=""):
    return f'name = "tiny"\nversion = "1.0"\n{more}wheels = [{", ".join(wheels) or _wheel()}]\n'


def _select(text, folder, *, place="pylock.toml", **more):
    return pylock.select(tomllib.loads(text), TARGET, place=place, folder=folder, **more)


def _refused(text, folder, **more):
    with pytest.raises(WorkflowError) as found:
        _select(text, folder, **more)
    return str(found.value)


def test_a_wheel_is_pinned_by_file_digest_and_address(tmp_path):
    assert _select(_lock(_tiny(_wheel(more=", size = 7"))), tmp_path) == (
        Wheel(name="tiny", version="1.0", file=PURE, sha256=SHA, size=7, url=f"https://files.example/{PURE}"),
    )


def test_the_best_wheel_for_this_python_is_taken(tmp_path):
    names = [
        f"tiny-1.0-cp311-cp311-{platform}.whl"
        for platform in (
            "manylinux_2_17_x86_64",
            "manylinux_2_36_x86_64",
            "manylinux_2_37_x86_64",
            "musllinux_1_2_x86_64",
            "win_amd64",
        )
    ]
    assert _select(_lock(_tiny(*map(_wheel, [PURE, *names]))), tmp_path)[0].file == names[1]


@pytest.mark.parametrize("tag", ["cp38-abi3-manylinux2014_x86_64", "cp311-none-linux_x86_64", "py2.py3-none-any"])
def test_wheels_of_wider_kinds_fit_too(tmp_path, tag):
    assert _select(_lock(_tiny(_wheel(f"tiny-1.0-{tag}.whl"))), tmp_path)[0].file == f"tiny-1.0-{tag}.whl"


def test_markers_are_asked_of_the_image_not_of_this_machine(tmp_path):
    marked = "platform_machine == 'x86_64' and python_full_version == '3.11.2' and sys_platform == 'linux'"
    other = _tiny(more="marker = \"python_version != '3.11' or platform_release != ''\"\n").replace("tiny", "other")
    assert [one.name for one in _select(_lock(_tiny(more=f'marker = "{marked}"\n'), other), tmp_path)] == ["tiny"]


def test_the_default_groups_are_taken_and_no_extras(tmp_path):
    more = 'extras = ["fast"]\ndependency-groups = ["dev"]\ndefault-groups = ["run"]\n'
    packages = [
        _tiny(more=f"marker = \"'{value}' in {what}\"\n").replace("tiny", name)
        for name, value, what in (
            ("a", "fast", "extras"),
            ("b", "dev", "dependency_groups"),
            ("c", "run", "dependency_groups"),
        )
    ]
    assert [one.name for one in _select(_lock(*packages, more=more), tmp_path)] == ["c"]


def test_a_package_without_a_wheel_for_this_python_is_named_with_those_there_are(tmp_path):
    said = _refused(_lock(_tiny(_wheel("tiny-1.0-cp312-cp312-win_amd64.whl"))), tmp_path)
    assert said.startswith(
        "pylock.toml: `tiny` 1.0 has no wheel for Python 3.11.2 on x86_64 with glibc 2.36; it has "
        "`tiny-1.0-cp312-cp312-win_amd64.whl`\n  hint: sciflow lays wheels only"
    )


def test_of_many_wheels_some_are_named(tmp_path):
    names = [f"tiny-1.0-cp312-cp312-manylinux_2_{level}_x86_64.whl" for level in range(20, 40)]
    assert _refused(_lock(_tiny(*map(_wheel, names))), tmp_path).count(".whl") == pylock.LISTED


SDIST = f'sdist = {{ url = "https://files.example/tiny-1.0.tar.gz", hashes = {{ sha256 = "{SHA}" }} }}'


@pytest.mark.parametrize(
    ("package", "words"),
    [
        (f'name = "tiny"\nversion = "1.0"\n{SDIST}', "`tiny` 1.0 has no wheel for .*; it has its source only"),
        ('name = "tiny"\ndirectory = { path = "here", editable = true }', "`tiny` is a folder or a repository"),
        ('name = "tiny"\nvcs = { type = "git", url = "https://x.example", commit-id = "1" }', "is a folder or a repository"),
        (f'name = "tiny"\narchive = {{ url = "https://x.example/tiny-1.0.zip", hashes = {{ sha256 = "{SHA}" }} }}', "given as `tiny-1.0.zip`, and that is no wheel"),
        (f'name = "tiny"\narchive = {{ url = "https://x.example/other-1.0-py3-none-any.whl", hashes = {{ sha256 = "{SHA}" }} }}', "and that is no wheel of it"),
        (f'name = "tiny"\narchive = {{ url = "https://x.example/tiny-1.0-cp39-cp39-win32.whl", hashes = {{ sha256 = "{SHA}" }} }}', "which is not for Python 3.11.2"),
        (_tiny(_wheel(hashes='md5 = "abc"')), f"`tiny` has no SHA-256 of `{PURE}`"),
        (_tiny(_wheel(where='path = "../{}"')), "by a path that leaves the workflow's folder: `../"),
        (_tiny(_wheel(where='path = "/wheels/{}"')), "by a path that leaves the workflow's folder"),
        (_tiny(_wheel("tiny-1.0+%3b-py3-none-any.whl")), "no lock of Python packages|no wheel"),
    ],
)  # fmt: skip
def test_what_is_no_wheel_with_a_digest_is_refused_by_name(tmp_path, package, words):
    with pytest.raises(WorkflowError, match=words):
        _select(_lock(package), tmp_path)


def test_all_faults_come_at_once(tmp_path):
    one = _tiny(_wheel(hashes='md5 = "abc"'))
    assert _refused(_lock(one, one.replace("tiny", "small")), tmp_path).count("has no SHA-256") == 2


def test_a_wheel_by_its_address_alone_is_taken(tmp_path):
    source = f'{{ url = "https://x.example/{PURE}#egg=tiny", hashes = {{ sha256 = "{SHA}" }} }}'
    found = _select(_lock(f'name = "tiny"\narchive = {source}'), tmp_path)
    assert (found[0].version, found[0].url) == ("1.0", f"https://x.example/{PURE}")


def test_a_path_is_from_the_workflow_s_folder(tmp_path):
    lock = _lock(_tiny(_wheel(where='path = "../wheels/{}"')))
    assert _select(lock, tmp_path, place="locks/pylock.toml")[0].url == f"wheels/{PURE}"


def test_an_address_in_the_workflow_s_folder_is_a_path_from_there(tmp_path):
    near, far = ((folder / "a b" / PURE).as_uri() for folder in (tmp_path / "study", tmp_path))
    assert _select(_lock(_tiny(_wheel(where=f'url = "{near}"'))), tmp_path / "study")[0].url == f"a b/{PURE}"
    assert _select(_lock(_tiny(_wheel(where=f'url = "{far}"'))), tmp_path / "study")[0].url == far


def test_a_login_in_an_address_is_not_kept(tmp_path):
    lock = _lock(_tiny(_wheel(where='url = "https://me:pw@files.example/{}"')))
    assert _select(lock, tmp_path)[0].url == f"https://files.example/{PURE}"


def test_only_wheels_whose_digest_is_named_are_taken(tmp_path):
    better = "tiny-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"
    lock = _lock(_tiny(_wheel(), _wheel(better, hashes=f'sha256 = "{OTHER}"')), _tiny().replace("tiny", "free"))
    assert [one.file for one in _select(lock, tmp_path)][1] == better
    assert [one.file for one in _select(lock, tmp_path, hashes={"tiny": frozenset({SHA})})][1] == PURE
    assert [one.file for one in _select(lock, tmp_path, hashes={"tiny": frozenset({"c" * 64})})][1] == better


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = 1\n", "it is no lock of Python packages as PEP 751 writes them"),
        (_lock().replace('"1.0"', '"2.0"'), "it is no lock of Python packages"),
        (_lock(more='requires-python = ">=3.12"\n'), "it does not serve the image's Python 3.11.2"),
        (_lock(more="environments = [\"sys_platform == 'win32'\"]\n"), "it does not serve the image's"),
        (_lock(_tiny(), _tiny()), "it does not serve the image's .*Multiple packages with the name"),
    ],
)
def test_a_lock_that_does_not_serve_is_refused(tmp_path, text, words):
    with pytest.raises(WorkflowError, match=words):
        _select(text, tmp_path)


def test_a_lock_that_is_written_gives_the_same_wheels_again(tmp_path):
    lock = _lock(_tiny(_wheel(more=", size = 7")), _tiny(_wheel(where='path = "wheels/{}"')).replace("tiny", "other"))
    wheels = _select(lock, tmp_path)
    assert _select(pylock.write(wheels), tmp_path) == wheels
    assert _select(pylock.write(()), tmp_path) == ()


@pytest.mark.parametrize("path", ["", "/a", "../a", "a/../../b", ".", "a\\b"])
def test_a_path_that_leaves_its_folder_is_known(path):
    assert not pylock.inside(path)


def test_a_path_that_stays_is_known():
    assert pylock.inside("a/../b/c")
