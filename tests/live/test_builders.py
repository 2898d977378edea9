"""Two builders get the same bytes of each kind of image: root and a plain user, elsewhere, and years apart.

The years are those of sciflow's own process and of what it packs with; mmdebstrap's two days are 400 apart. The commands
of a definition and what Nix builds see the clock of this machine, as nothing can be put before them: it goes on.
"""

import filecmp
import os
import shutil
import subprocess
import time
import tomllib

import pytest

from sciflow.containers import pinning
from sciflow.plan import lockfile
from sciflow.runner import names
from tests.containers import serving
from tests.live import builders
from tests.live.conftest import compiled
from tests.live.test_images import image
from tests.live.test_sources import archived, from_debian_with_wheels, from_flake, study

DEFINITION = """\
Bootstrap: oci-archive
From: base.tar

%files
    tool.sh /opt/tool.sh

%environment
    export FACTOR=2

%post
    mkdir /opt/made
    for one in a b c; do echo $one >/opt/made/$one; done
    cp /opt/made/a /opt/made/copy
    mv /opt/made/b /opt/made/moved
    echo gone >/tmp/gone
"""
DOCKERFILE = """\
FROM {name}/a/b:1
ENV FACTOR=2
RUN mkdir /opt && echo 1 >/opt/one && mkfifo /tmp/gone
COPY tool.sh /opt/tool.sh
WORKDIR /opt/work
RUN cat /opt/one /opt/tool.sh >both
"""


def from_debian(folder, _):
    """Ask for a package that makes a user of its own; with libfaketime in the image its scripts see another day too."""
    return 'debian = "bookworm"\npackages = ["dbus-system-bus-common", "libfaketime"]'


def from_definition(folder, _):
    archived(folder)
    (folder / "tool.def").write_text(DEFINITION)
    (folder / "tool.sh").write_text("echo tool\n")
    return 'definition = "tool.def"'


def from_dockerfile(folder, registry):
    serving.put(registry, "a/b", "1", *image("0"))
    (folder / "Dockerfile").write_text(DOCKERFILE.format(name=registry.name))
    (folder / "tool.sh").write_text("echo tool\n")
    return 'dockerfile = "Dockerfile"'


def from_registry_with_wheels(folder, _):
    """Push a Debian with Python to the real registry, and lay the wheels over that."""
    skopeo = shutil.which("skopeo") or pytest.skip("no skopeo to push with")
    (folder / "base").mkdir()
    compiled(folder / "base")
    base = lockfile.read(folder / "base/study" / names.LOCK).image
    archive = pinning.fetch(base, engine="docker", folder=folder, progress=print)
    shutil.rmtree(folder / "base")
    name = f"docker://{os.environ['SCIFLOW_TEST_REGISTRY']}/sciflow-test/builders:1"
    words = [skopeo, "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
    subprocess.run([*words, f"docker-archive:{archive}", name], check=True)
    from_debian_with_wheels(folder, None)
    return f'from = "{name}"\npython = "pylock.toml"'


def kind(make, *parts, marks=()):
    return pytest.param(make, id=make.__name__, marks=[pytest.mark.live("faketime", *parts), *marks])


KINDS = [
    kind(from_debian, "mmdebstrap", marks=[pytest.mark.slow]),
    kind(from_debian_with_wheels, "mmdebstrap"),
    kind(from_registry_with_wheels, "registry", "mmdebstrap"),
    kind(from_flake, "nix"),
    kind(from_definition, "apptainer"),
    kind(from_dockerfile, "apptainer"),
]


@pytest.fixture(scope="module", params=KINDS)
def built(request, tmp_path_factory, image_cache):
    """Give what two builders made of one study, a kind of image each."""
    folder = tmp_path_factory.mktemp("study")
    with serving.serving() as registry, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIFLOW_CACHE", str(image_cache))
        study(folder, request.param(folder, registry))
        yield from builders.build(folder)


def test_their_locks_are_the_same_text(built):
    one, other = built
    assert one.lock == other.lock


def test_what_they_load_into_docker_and_mount_with_apptainer_is_the_same_bytes(built):
    digests = tomllib.loads(built[0].lock)["image"]["digests"]
    for name in ("archive", "squashfs"):
        one, other = (two.cache / "sha256" / digests[name].removeprefix("sha256:") for two in built)
        assert filecmp.cmp(one, other, shallow=False)


def test_they_were_two_users_on_two_days(built):
    days = [time.strftime("%Y-%m-%d", time.gmtime(two.time)) for two in built]
    assert days == ["2031-03-05", "2024-01-01"]  # three in the morning of the second, in Tokyo
    assert os.getuid() != 0 or built[0].user != built[1].user
