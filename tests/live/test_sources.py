"""One small study in an image from each source: locked, run in Apptainer as a plain user and in Docker, one table."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sciflow import api
from sciflow.workflow import image as image_sources
from tests.containers import layering, serving, wheelwright
from tests.live.conftest import table
from tests.live.test_images import image

WORKFLOW = """\
format = 1
[workflow]
name = "small"
[image]
{source}
environment = {{ LEVEL = "7" }}
[code]
include = ["weigh.sh"]
[parameters]
x = [1, 2, 3]
[tasks.weigh]
run = ["sh", "weigh.sh", "{{x}}"]
metrics = "metrics.json"
resources = {{ memory = "100 MB", time = "1m" }}
"""
SCRIPT = """\
cat >metrics.json <<EOT
{{"y": $(($1 * LEVEL)), "more": {more}}}
EOT
"""
ROOT = Path(__file__).parents[2]


def busybox():
    return Path(shutil.which("busybox") or pytest.skip("no busybox to make an image of"))


def archived(folder, name="base.tar"):
    """Write the small image as one file, an OCI layout in a tar."""
    manifest, blobs = image("0")
    members = [layering.member(f"blobs/sha256/{digest[7:]}", data=data) for digest, data in blobs.items()]
    entry = f'{{"digest": "{layering.digest(manifest)}", "size": {len(manifest)}}}'
    members += [
        layering.member(f"blobs/sha256/{layering.digest(manifest)[7:]}", data=manifest),
        layering.member("index.json", data=f'{{"schemaVersion": 2, "manifests": [{entry}]}}'.encode()),
    ]
    (folder / name).write_bytes(layering.layer(*members))


def from_registry(folder, registry):
    serving.put(registry, "a/b", "1", *image("0"))
    return f'from = "docker://{registry.name}/a/b:1"'


def from_archive(folder, _):
    archived(folder)
    return 'from = "oci-archive:base.tar"'


def from_debian(folder, _):
    return 'debian = "bookworm"\npackages = ["hello"]'


def from_debian_with_wheels(folder, _):
    wheelwright.wheel(folder / "wheels", files={"tiny/__init__.py": b"weight = 5\n"})
    digest = wheelwright.digest(next((folder / "wheels").iterdir()).read_bytes())
    (folder / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "hand"\n[[packages]]\nname = "tiny"\nversion = "1.0"\n'
        f'wheels = [{{ path = "wheels/tiny-1.0-py3-none-any.whl", hashes = {{ sha256 = "{digest}" }} }}]\n'
    )
    return 'debian = "bookworm"\npackages = ["python3"]\npython = "pylock.toml"'


def from_flake(folder, _):
    shutil.copytree(ROOT / "images/flake", folder / "flake")
    (folder / "flake/bin").mkdir()
    shutil.copy(busybox(), folder / "flake/bin/busybox")
    return 'nix = "flake#default"\nfiles = ["build.sh", "bin/busybox"]'


def from_definition(folder, _):
    archived(folder)
    (folder / "tool.def").write_text(
        "Bootstrap: oci-archive\nFrom: base.tar\n\n%files\n    tool.sh /opt/tool.sh\n\n"
        "%environment\n    export FACTOR=2\n\n%post\n    mkdir /opt/made\n    echo 1 >/opt/made/one\n"
    )
    (folder / "tool.sh").write_text("echo tool\n")
    return 'definition = "tool.def"'


def from_dockerfile(folder, registry):
    serving.put(registry, "a/b", "1", *image("0"))
    (folder / "Dockerfile").write_text(
        f"FROM {registry.name}/a/b:1\nENV FACTOR=2\nRUN mkdir -p /opt/made && echo 1 >/opt/made/one\n"
        "COPY tool.sh /opt/tool.sh\n"
    )
    (folder / "tool.sh").write_text("echo tool\n")
    return 'dockerfile = "Dockerfile"'


def from_file(folder, registry):
    serving.put(registry, "a/b", "1", *image("0"))
    (folder / "aside").mkdir()
    made = study(folder / "aside", f'from = "docker://{registry.name}/a/b:1"')
    api.wrap(api.compile(made).path, folder / "tool.sif")
    shutil.rmtree(folder / "aside")
    return 'file = "tool.sif"'


MORE = {
    from_debian_with_wheels: '$(python3 -c "import tiny; print(tiny.weight)")',
    from_definition: "$((FACTOR + $(cat /opt/made/one)))",
    from_dockerfile: "$((FACTOR + $(cat /opt/made/one)))",
}
LIVE = {
    from_debian: ["mmdebstrap"],
    from_debian_with_wheels: ["mmdebstrap"],
    from_flake: ["nix"],
}


def study(folder, source, more="0"):
    (folder / "weigh.sh").write_text(SCRIPT.format(more=more))
    (folder / "workflow.toml").write_text(WORKFLOW.format(source=source))
    return folder / "workflow.toml"


@pytest.fixture
def registry(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving.serving() as server:
        yield server


SOURCES = [
    pytest.param(make, id=make.__name__, marks=pytest.mark.live("apptainer", "docker", *LIVE.get(make, ())))
    for make in (
        from_registry,
        from_archive,
        from_debian,
        from_debian_with_wheels,
        from_flake,
        from_definition,
        from_dockerfile,
        from_file,
    )
]


@pytest.mark.parametrize("source", SOURCES)
def test_a_study_gives_one_table_in_both_engines(source, plain, registry):
    file = study(plain.folder, source(plain.folder, registry), MORE.get(source, "0"))
    bundle = api.compile(file).path
    assert api.compile(file, locked=True, offline=True).path == bundle
    plain.give(plain.folder)
    found = plain.run(bundle / "launch.sh", "--engine", "apptainer")
    assert found.returncode == 0, found.stderr
    # The socket of the test bed's Docker engine is root's.
    words = [bundle / "launch.sh", "--engine", "docker", "--run", "docker"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert table(bundle) == table(bundle, "docker")
    more = {from_debian_with_wheels: "5", from_definition: "3", from_dockerfile: "3"}.get(source, "0")
    assert [line.split(",")[-2:] for line in table(bundle).splitlines()] == [
        ["more", "y"],
        *([more, str(7 * x)] for x in (1, 2, 3)),
    ]
    assert api.verify(bundle).code == 0


def test_every_source_is_tried():
    tried = {source.values[0].__name__.split("_")[1] for source in SOURCES}
    assert tried - {"registry", "archive", "flake"} == set(image_sources.SOURCES) - {"from", "nix"}
