"""Faults of what an image is made of, each brought about for real: what was done, and the words that say so.

A row's function breaks one thing in a `Bed` and returns what the workflow then asks for.
"""

import contextlib
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sciflow.containers.image import own_platform
from tests.containers import flakes, layering, serving, wheelwright
from tests.live.test_images import image
from tests.small import contents, sciflow

HEAD = 'format = 1\n[workflow]\nname = "small"\n'
TAIL = '[tasks.say]\nrun = ["true"]\nresources = { memory = "100 MB", time = "1m" }\n'
NOBODY = "127.0.0.1:9"  # the port of a service (discard) that no machine offers
ALWAYS = 50  # goes: more than anybody makes
OTHER_PLATFORM = "linux/s390x" if own_platform() != "linux/s390x" else "linux/amd64"
SAID = ((r"127\.0\.0\.1:[0-9]+", "HOST:PORT"), (r"127\.0\.0\.1", "HOST"), (r"\b[0-9a-f]{64}\b", "DIGEST"))
TINY = layering.image(layering.layer(layering.member("etc/says", data=b"good")), platform=own_platform())
WHEEL = "tiny-1.0-py3-none-any.whl"


@dataclass(kw_only=True)
class Bed:
    """A workflow's folder, a registry that also serves files, a cache, and what the command line finds around it."""

    folder: Path
    registry: object
    cache: Path
    settings: dict[str, str | None]
    words: tuple[str, ...] = ("compile", "workflow.toml", "--quiet")

    @property
    def web(self):
        """Return the address of the files that the registry serves."""
        return f"http://{self.registry.name}"

    def sciflow(self, *words, **more):
        """Say words on the command line in the workflow's folder, in this bed's surroundings."""
        return sciflow(*words, cwd=self.folder, timeout_s=600, **{**self.settings, **more})

    def shut(self, path, answer):
        """Have the registry answer a path in this way from now on."""
        self.registry.served.setdefault(path, b"")
        self.registry.faults[path] = [answer] * ALWAYS


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault: how it is brought about, and what the message must say, place, fault and fix, in this order."""

    make: Callable[[Bed], str]
    words: tuple[str, ...]
    parts: tuple[str, ...] = ()

    @property
    def name(self):
        return self.make.__name__.replace("_", " ")


ROWS: list[Row] = []


def row(*words, parts=()):
    """Register a fault, with regular expressions of what is said of it, and the parts of the test bed it needs."""

    def register(make):
        ROWS.append(Row(make=make, words=words, parts=parts))
        return make

    return register


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a row: the process, what stood in the workflow's folder before and after, and the bed."""

    row: Row
    done: subprocess.CompletedProcess
    before: dict
    after: dict
    bed: Bed
    left: list[str] = field(default_factory=list)
    spoilt: list[str] = field(default_factory=list)

    @property
    def said(self):
        """Return the message, with a word for what is another each time: hosts, folders, digests."""
        text = self.done.stderr.replace(str(self.bed.folder.parent), "FOLDER")
        for pattern, word in SAID:
            text = re.sub(pattern, word, text)
        return text.removeprefix("error: ").rstrip("\n")


@contextlib.contextmanager
def bed(root, **settings):
    """Give a bed below a folder: its own home, cache and registry, and nothing of this user's indexes and archives.

    So are its temporary files: what is killed leaves some, which go with the folder.
    """
    for name in ("study", "home", "tmp"):
        (root / name).mkdir()
    named = [name for name in os.environ if re.match("UV_|PIP_|NIX_|XDG_|SCIFLOW_DEBIAN", name)]
    with serving.serving() as registry:
        yield Bed(
            folder=root / "study",
            registry=registry,
            cache=root / "cache",
            settings={
                **dict.fromkeys(named),
                "HOME": str(root / "home"),
                "XDG_CONFIG_HOME": str(root / "home/config"),
                "SCIFLOW_CACHE": str(root / "cache"),
                "TMPDIR": str(root / "tmp"),
                "UV_HTTP_RETRIES": "0",
                "NIX_CONFIG": "substituters =",
                **settings,
            },
        )


def outcome(one, bed):
    """Bring a fault about, and have it met by a process of its own."""
    (bed.folder / "workflow.toml").write_text(HEAD + one.make(bed) + TAIL)
    before = contents(bed.folder)
    done = bed.sciflow(*bed.words)
    return Outcome(
        row=one,
        done=done,
        before=before,
        after=contents(bed.folder),
        bed=bed,
        left=unfinished(bed.cache),
        spoilt=spoilt(bed.cache),
    )


def unfinished(cache):
    """Return what stands in a cache and is not finished."""
    return sorted(path.name for path in (cache / "making").glob("*"))


def spoilt(cache):
    """Return the files of a cache that do not have the digest of their name."""
    return sorted(path.name for path in (cache / "sha256").glob("*") if hashed(path) != path.name)


def hashed(path):
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def source(text):
    return f"[image]\n{text}\n"


def pulled(bed, reference="a/b:1"):
    return source(f'from = "docker://{bed.registry.name}/{reference}"')


def put(bed, *layers, settings=None):
    """Serve an image; return its manifest and the digests of its layers."""
    manifest, blobs = layering.image(*layers, platform=own_platform(), settings=settings) if layers else TINY
    serving.put(bed.registry, "a/b", "1", manifest, blobs)
    return manifest, [one["digest"] for one in json.loads(manifest)["layers"]]


# A registry


@row("registry.invalid", "cannot be asked", "hint: .*registry's name")
def a_registry_that_is_not_there(bed):
    return source('from = "docker://registry.invalid/a/b:1"')


@row("there is no image `.*@sha256:0{64}`", "hint: check name and tag", parts=("registry",))
def a_digest_that_the_registry_does_not_have(bed):
    place = os.environ["SCIFLOW_TEST_REGISTRY"]
    return source(f'from = "docker://{place}/a/b@sha256:{"0" * 64}"')


@row("there is no image `.*:none`", "hint: check name and tag", parts=("registry",))
def a_tag_that_the_registry_does_not_have(bed):
    return source(f'from = "docker://{os.environ["SCIFLOW_TEST_REGISTRY"]}/a/b:none"')


@row("does not show `.*` without a login", "hint: `docker login")
def an_image_that_needs_a_login(bed):
    put(bed)
    bed.registry.challenge, bed.registry.wanted = 'Basic realm="here"', "Basic x"
    return pulled(bed)


@row("cannot be asked", "it sent nothing for 30 s", "hint: check the network")
def a_registry_that_is_silent(bed):
    put(bed)
    bed.shut("a/b/manifests/1", serving.silence(40))
    return pulled(bed)


@row("layer 1 of 1 .* did not come whole in 4 goes", "cut off after 10", "hint: check the network")
def a_layer_that_is_cut_off_each_time(bed):
    _, (layer,) = put(bed)
    bed.shut(f"a/b/blobs/{layer}", serving.cut_off(10))
    return pulled(bed)


@row("the registry answered layer 1 .*, sha256:[0-9a-f]{64}, with content of sha256:", "hint: do not trust it")
def a_layer_of_other_content_than_its_digest(bed):
    _, (layer,) = put(bed)
    bed.shut(f"a/b/blobs/{layer}", serving.other(bytes(len(bed.registry.served[f"a/b/blobs/{layer}"]))))
    return pulled(bed)


@row("`.*/a/b:1` has no image for linux/", "hint: it has linux/.*; choose another image")
def an_image_for_other_platforms_alone(bed):
    manifest, _ = put(bed)
    system, _, architecture = OTHER_PLATFORM.partition("/")
    entry = {"digest": layering.digest(manifest), "platform": {"os": system, "architecture": architecture}}
    bed.registry.served["a/b/manifests/1"] = json.dumps({"manifests": [entry]}).encode()
    return pulled(bed)


@row("no longer has the piece sha256:", "hint: ask its keeper")
def a_layer_that_the_registry_has_lost(bed):
    _, (layer,) = put(bed)
    del bed.registry.served[f"a/b/blobs/{layer}"]
    return pulled(bed)


# Debian


@row("Debian bookworm has no package `no-such-package`", "hint: see `image.packages`", parts=("mmdebstrap",))
def a_package_that_debian_does_not_have(bed):
    return source('debian = "bookworm"\npackages = ["no-such-package"]')


@row("the archive of Debian bookworm cannot be read", "hint: .*SCIFLOW_DEBIAN_MIRROR", parts=("mmdebstrap",))
def an_archive_of_debian_that_is_gone(bed):
    bed.settings["SCIFLOW_DEBIAN_MIRROR"] = f"http://{NOBODY}/debian"
    return source('debian = "bookworm"\npackages = ["hello"]')


@row(
    "no longer gives what was locked: hello [^ ,]+ .now other bytes.$",
    "hint: ",
    parts=("mmdebstrap", "apptainer"),
)
def a_package_of_debian_with_other_content_than_was_locked(bed):
    asked = source('debian = "bookworm"\npackages = ["hello"]')
    (bed.folder / "workflow.toml").write_text(HEAD + asked + TAIL)
    done = bed.sciflow("lock", "workflow.toml")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(bed.cache)
    lock = bed.folder / "workflow.lock"
    text, count = re.subn(r"(hello \S+ \S+ sha256:)[0-9a-f]{64}", rf"\g<1>{'0' * 64}", lock.read_text())
    assert count == 1
    lock.write_text(text)
    done = bed.sciflow("compile", "workflow.toml")
    assert done.returncode == 0, done.stderr
    bed.words = ("fetch", done.stdout.split()[-1], "--engine", "apptainer", "--quiet")
    return asked


# A flake


def flake(bed, text=None):
    flakes.example(bed.folder / "flake")
    if text is not None:
        (bed.folder / "flake/flake.nix").write_text(text)


@row("the flake `flake#default` does not evaluate: flake/flake.nix:2:", "hint: mend it", parts=("nix",))
def a_flake_that_does_not_evaluate(bed):
    flake(bed, "{ outputs = { self }: {\n  packages = nothing.there; }; }\n")
    return source('nix = "flake#default"\nfiles = ["build.sh", "bin/busybox"]')


@row("the flake.lock of `flake#default` does not pin", "hint: run `nix flake lock", parts=("nix",))
def a_flake_with_inputs_and_no_lock(bed):
    flake(bed)
    other = bed.folder / "flake/other"
    other.mkdir()
    (other / "flake.nix").write_text("{ outputs = _: { }; }\n")
    text = (bed.folder / "flake/flake.nix").read_text()
    text = text.replace("outputs =", 'inputs.other.url = "path:./other";\n  outputs =', 1).replace(
        "{ self }:", "{ self, other }:"
    )
    (bed.folder / "flake/flake.nix").write_text(text)
    return source('nix = "flake#default"\nfiles = ["build.sh", "bin/busybox"]')


@row("the flake `flake#other` has no `other`", "hint: .*`nix flake show`", parts=("nix",))
def a_package_that_the_flake_does_not_have(bed):
    flake(bed)
    return source('nix = "flake#other"\nfiles = ["build.sh", "bin/busybox"]')


# A definition and a Dockerfile


def based(bed):
    serving.put(bed.registry, "a/b", "1", *image("0"))
    return f"{bed.registry.name}/a/b:1"


def definition(bed, text, base=None):
    (bed.folder / "tool.def").write_text(f"Bootstrap: docker\nFrom: {base or based(bed)}\n{text}")
    return source('definition = "tool.def"')


def dockerfile(bed, text, base=None):
    (bed.folder / "Dockerfile").write_text(f"FROM {base or based(bed)}\n{text}")
    return source('dockerfile = "Dockerfile"')


@row("tool.def:5:1: a second stage is not supported", "hint: make one stage of it", parts=("apptainer",))
def a_definition_of_two_stages(bed):
    return definition(bed, "%post\n    true\nBootstrap: docker\nFrom: a/b:2\n")


@row("tool.def:3:1: there is no section `%later`", "hint: there is `%files`", parts=("apptainer",))
def a_definition_with_an_unknown_section(bed):
    return definition(bed, "%later\n    true\n")


@row(
    "tool.def:3:1: this ended with 7 when the image was built:\n(?:    .*\n)*    the last words\n",
    "hint: it has the network, and no files but",
    parts=("apptainer",),
)
def a_definition_whose_post_fails(bed):
    return definition(bed, "%post\n    echo the last words\n    exit 7\n")


@row("tool.def:3:1: `%setup` runs on the host", "hint: do it in `%post`", parts=("apptainer",))
def a_definition_with_commands_for_the_host(bed):
    return definition(bed, "%setup\n    true\n")


@row("tool.def:4:1: `/etc/passwd` is outside the workflow's folder", "hint: put a copy beside", parts=("apptainer",))
def a_definition_that_copies_from_outside(bed):
    return definition(bed, "%files\n    /etc/passwd /p\n")


@row("tool.def:4:1: `../x` leads out of the recipe's folder", "hint: put a copy beside", parts=("apptainer",))
def a_definition_that_copies_from_above(bed):
    return definition(bed, "%files\n    ../x /p\n")


@row("tool.def:4:1: `p` is a link", "hint: put the file itself there", parts=("apptainer",))
def a_definition_that_copies_a_link_to_outside(bed):
    (bed.folder / "p").symlink_to("/etc/passwd")
    return definition(bed, "%files\n    p /p\n")


@row("tool.def:2:1: there is no image `.*/none:1`", "hint: check name and tag", parts=("apptainer",))
def a_definition_on_a_base_that_is_not_there(bed):
    return definition(bed, "%post\n    true\n", base=f"{bed.registry.name}/none:1")


@row("Dockerfile:2:1: a second stage is not supported", "hint: make one stage of it", parts=("apptainer",))
def a_dockerfile_of_two_stages(bed):
    return dockerfile(bed, "FROM a/b:2\n")


@row("Dockerfile:2:1: `BRING` is no instruction that is supported", "hint: there is `ADD`", parts=("apptainer",))
def a_dockerfile_with_an_unknown_instruction(bed):
    return dockerfile(bed, "BRING x /x\n")


@row(
    "Dockerfile:3:1: this ended with 7 when the image was built:\n(?:    .*\n)*    the last words\n",
    "hint: it has the network, and no files but",
    parts=("apptainer",),
)
def a_dockerfile_whose_command_fails(bed):
    return dockerfile(bed, "ENV LEVEL=1\nRUN echo the last words; exit 7\n")


@row("Dockerfile:2:1: `../x` leads out of the recipe's folder", "hint: put a copy beside", parts=("apptainer",))
def a_dockerfile_that_copies_from_above(bed):
    return dockerfile(bed, "COPY ../x /x\n")


@row("Dockerfile:2:1: `p` is a link", "hint: put the file itself there", parts=("apptainer",))
def a_dockerfile_that_copies_a_link_to_outside(bed):
    (bed.folder / "p").symlink_to("/etc/passwd")
    return dockerfile(bed, "COPY p /p\n")


@row("Dockerfile:1:1: there is no image `.*/none:1`", "hint: check name and tag", parts=("apptainer",))
def a_dockerfile_on_a_base_that_is_not_there(bed):
    return dockerfile(bed, "RUN true\n", base=f"{bed.registry.name}/none:1")


# Wheels


def members(node, path=""):
    """Write a tree by hand as members of a layer."""
    for name, child in sorted(node.children.items()):
        here = f"{path}{name}"
        if child.kind == "folder":
            yield layering.folder(here)
            yield from members(child, f"{here}/")
        elif child.kind == "symlink":
            yield layering.symlink(here, child.target)
        else:
            yield layering.member(here, data=child.data, mode=child.mode)


def with_python(bed, file, text):
    """Serve an image with a Python 3.11, over which a file of the workflow's folder asks for wheels."""
    put(bed, layering.layer(*members(wheelwright.debian())))
    (bed.folder / file).write_text(text)
    return pulled(bed) + f'python = "{file}"\n'


def wheel(bed, **more):
    """Serve a wheel; return its address and the digest that it truly has."""
    data = wheelwright.wheel(bed.folder.parent / "wheels", **more).read_bytes()
    bed.registry.served[f"/files/{WHEEL}"] = data
    return f"{bed.web}/files/{WHEEL}", wheelwright.digest(data)


def locked(url, digest):
    return (
        'lock-version = "1.0"\ncreated-by = "hand"\n[[packages]]\nname = "tiny"\nversion = "1.0"\n'
        f'wheels = [{{ url = "{url}", hashes = {{ sha256 = "{digest}" }} }}]\n'
    )


def indexed(bed, name=WHEEL, digest=""):
    """Serve an index (PEP 503) of one wheel."""
    page = f'<!DOCTYPE html><html><body><a href="/files/{name}#sha256={digest or "0" * 64}">{name}</a></body></html>'
    bed.shut("/simple/tiny/", lambda handler, _: handler.send(200, page.encode(), {"Content-Type": "text/html"}))
    bed.settings["UV_DEFAULT_INDEX"] = f"{bed.web}/simple"


@row("tiny-1.0-py3-none-any.whl is not what was pinned: .* gave content of sha256:", "hint: do not trust it")
def a_wheel_of_other_content_than_its_lock_says(bed):
    url, _ = wheel(bed)
    return with_python(bed, "pylock.toml", locked(url, "0" * 64))


@row(
    "requirements.txt: `tiny` 1.0 is needed, and `tiny-.*whl` has none of the digests given",
    "hint: write the file anew",
)
def a_wheel_of_another_digest_than_its_requirement_says(bed):
    _, digest = wheel(bed)
    indexed(bed, digest=digest)
    return with_python(bed, "requirements.txt", f"tiny==1.0 --hash=sha256:{'1' * 64}\n")


@row("requirements.txt: what it asks for cannot be had together, as wheels for the image's Python: .*tiny", "hint: ")
def a_package_without_a_wheel_for_this_python(bed):
    indexed(bed, "tiny-1.0-cp39-cp39-manylinux_2_17_x86_64.whl")
    return with_python(bed, "requirements.txt", "tiny\n")


@row("pylock.toml: `tiny` 1.0 has no wheel for Python 3.11.2 .*it has `tiny-1.0-cp39", "hint: sciflow lays wheels only")
def a_lock_without_a_wheel_for_this_python(bed):
    url = f"{bed.web}/files/tiny-1.0-cp39-cp39-manylinux_2_17_x86_64.whl"
    return with_python(bed, "pylock.toml", locked(url, "0" * 64))


@row("the packages of `requirements.txt` cannot be chosen: ", "hint: check the network; UV_DEFAULT_INDEX")
def an_index_that_is_gone(bed):
    bed.settings["UV_DEFAULT_INDEX"] = f"http://{NOBODY}/simple"
    return with_python(bed, "requirements.txt", "tiny\n")


@row("tiny-1.0-py3-none-any.whl did not come whole in 4 goes: .*cut off", "hint: check the network")
def a_wheel_that_is_cut_off_each_time(bed):
    url, digest = wheel(bed)
    bed.shut(f"/files/{WHEEL}", serving.cut_off(10))
    return with_python(bed, "pylock.toml", locked(url, digest))


@row("tiny-1.0-py3-none-any.whl is not there: .*HTTP status 404", "hint: check the address")
def a_wheel_that_is_gone(bed):
    url, digest = wheel(bed)
    bed.registry.served.clear()
    return with_python(bed, "pylock.toml", locked(url, digest))


# An image archive


def archived(bed, *layers, pack=layering.packed):
    """Write an image as one file, an OCI layout in a tar."""
    manifest, blobs = layering.image(*layers, platform=own_platform(), pack=pack)
    entry = {"digest": layering.digest(manifest), "size": len(manifest)}
    stands = {**blobs, layering.digest(manifest): manifest}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    listed = [layering.member(f"blobs/sha256/{digest[7:]}", data=data) for digest, data in stands.items()]
    (bed.folder / "base.tar").write_bytes(layering.layer(*listed, layering.member("index.json", data=index)))
    return source('from = "oci-archive:base.tar"')


HOSTILE = "hint: no builder of images writes such a thing: do not trust the image"


@row(r"the image is refused: `\.\./evil` leaves it", HOSTILE)
def an_image_with_a_file_above_its_root(bed):
    return archived(bed, layering.layer(layering.member("../evil", data=b"evil")))


@row("the image is refused: `etc/x` is a hard link that leaves the image's root: `../../etc/passwd`", HOSTILE)
def an_image_with_a_hard_link_out_of_its_root(bed):
    return archived(bed, layering.layer(layering.folder("etc"), layering.link("etc/x", "../../etc/passwd")))


@row("the image is refused: `x` .*etc/passwd", HOSTILE)
def an_image_with_a_hard_link_to_a_file_of_this_machine(bed):
    return archived(bed, layering.layer(layering.link("x", "/etc/passwd")))


@row("the image is refused: layer 1 of .*, of [0-9]+ bytes, grows beyond [0-9]+ bytes", HOSTILE)
def an_image_that_is_a_bomb(bed):
    # Gzip may be laid end to end (RFC 1952 §2.2), and is one stream then: two gigabytes of nothing.
    return archived(bed, b"", pack=lambda _: gzip.compress(bytes(64 << 20), mtime=0) * 32)


@row("the image is refused: `base.tar` is no tar|`base.tar` .*no", "hint: ")
def an_image_archive_that_is_none(bed):
    (bed.folder / "base.tar").write_bytes(b"words " * 1000)
    return source('from = "oci-archive:base.tar"')


@row("the image file `base.tar` cannot be read: No such file", "hint: it is looked for in ")
def an_image_archive_that_is_not_there(bed):
    return source('from = "oci-archive:base.tar"')


@row("`blobs/sha256/.*` in `base.tar` has content of sha256:", "hint: the file is damaged")
def an_image_archive_with_a_damaged_layer(bed):
    asked = archived(bed, layering.layer("a"))
    data = (bed.folder / "base.tar").read_bytes()
    at = data.index(b"\x1f\x8b") + 12
    (bed.folder / "base.tar").write_bytes(data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
    return asked


# An input from elsewhere


def reads(bed, more=""):
    return f'[inputs]\nreads = {{ url = "{bed.web}/reads.fq"{more} }}\n'


@row("the input `reads` is not there: .*HTTP status 404", "hint: check the address")
def an_input_that_is_gone(bed):
    return reads(bed)


@row("the input `reads` is not what was pinned: .* gave content of sha256:", "hint: do not trust it")
def an_input_of_another_digest(bed):
    bed.registry.served["/reads.fq"] = b"ACGT\n"
    return reads(bed, f', sha256 = "{"0" * 64}"')


@row("does not give the input `reads` without a login", "hint: write one into ~/.netrc")
def an_input_that_needs_a_login(bed):
    bed.shut("/reads.fq", serving.status(401))
    return reads(bed)


@row("the input `reads` did not come whole in 4 goes", "hint: check the network")
def an_input_that_is_cut_off_each_time(bed):
    bed.registry.served["/reads.fq"] = b"ACGT\n" * 100
    bed.shut("/reads.fq", serving.cut_off(10))
    return reads(bed)


def tree(cache):
    """Return the names in the root file system of the one image archive that a cache holds."""
    for path in (cache / "sha256").iterdir():
        with contextlib.suppress(tarfile.TarError), tarfile.open(path) as found:
            layer = [info for info in found if info.name.endswith("/layer.tar")]
            if layer:
                with tarfile.open(fileobj=found.extractfile(layer[0])) as root:
                    return {info.name.removeprefix("./"): info for info in root}
    raise AssertionError("there is no image archive")
