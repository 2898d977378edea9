import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sciflow import containers
from sciflow.containers import cache, pinning
from sciflow.errors import SurroundingsError
from sciflow.workflow.spec import Image
from tests.containers import layering, resolving
from tests.containers.layering import folder, member, symlink

pytestmark = pytest.mark.skipif(not shutil.which("mksquashfs"), reason="mksquashfs is not installed")

PLAIN = layering.layer(folder("etc"), member("etc/a", data=b"words"))
MANIFEST, BLOBS = layering.image(PLAIN)
ARM, ARM_BLOBS = layering.image(PLAIN, platform="linux/arm64")


def _index(*manifests):
    return json.dumps({"manifests": [
        {"digest": layering.digest(one), "platform": {"os": "linux", "architecture": name}} for one, name in manifests
    ]}).encode()  # fmt: skip


def _blobs(found):
    return [member(f"blobs/sha256/{layering.digest(data)[7:]}", data=data) for data in found]


def _oci(*more, index=None):
    index = index or _index((MANIFEST, "amd64"))
    return layering.layer(member("index.json", data=index), *_blobs([MANIFEST, *BLOBS.values()]), *more)


def _saved(*, layers=("l/layer.tar",), config=None, more=()):
    config = config or next(data for data in BLOBS.values() if data.startswith(b"{"))
    listed = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": list(layers)}]
    return layering.layer(
        member("c.json", data=config),
        member("l/layer.tar", data=PLAIN),
        *more,
        member("manifest.json", data=json.dumps(listed).encode()),
    )


@pytest.fixture
def resolve(tmp_path, own_cache):
    """Write an archive into the workflow's folder, and pin it."""

    def resolved(data, kind="oci-archive", platform="linux/amd64"):
        (tmp_path / "x.tar").write_bytes(data)
        return resolving.resolve("from", f"{kind}:x.tar", folder=tmp_path, platform=platform)

    return resolved


def test_an_oci_archive_is_pinned_by_its_file_and_its_manifest(resolve):
    found = resolve(_oci())
    assert (found.digest("file"), found.digest("manifest")) == (layering.digest(_oci()), layering.digest(MANIFEST))
    assert cache.held(found.digest("squashfs"))


def test_what_docker_saved_is_the_same_tree(resolve):
    assert resolve(_saved(), "docker-archive").digest("squashfs") == resolve(_oci()).digest("squashfs")


def test_the_identity_of_what_docker_saved_is_its_content_s(resolve):
    one, other = resolve(_saved(), "docker-archive"), resolve(_saved(more=["repositories"]), "docker-archive")
    assert one.digest("manifest") == other.digest("manifest")
    assert one.digest("file") != other.digest("file")


def test_a_layer_that_docker_saved_as_a_link_is_the_first_one(resolve):
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [layering.digest(PLAIN)] * 2}}
    ).encode()
    data = _saved(layers=["l/layer.tar", "m/layer.tar"], config=config, more=[symlink("m/layer.tar", "../l/layer.tar")])
    assert resolve(data, "docker-archive").digest("tree") == resolve(_oci()).digest("tree")


def test_an_archive_that_was_packed_is_unpacked(resolve):
    assert resolve(gzip.compress(_oci())).digest("manifest") == layering.digest(MANIFEST)


def test_of_several_images_the_platform_s_is_taken(resolve):
    data = _oci(*_blobs([ARM, *ARM_BLOBS.values()]), index=_index((MANIFEST, "amd64"), (ARM, "arm64")))
    assert resolve(data, platform="linux/arm64").digest("manifest") == layering.digest(ARM)


def test_an_index_in_the_index_is_followed(resolve):
    inner = _index((MANIFEST, "amd64"))
    kind = "application/vnd.oci.image.index.v1+json"
    outer = json.dumps({"manifests": [{"digest": layering.digest(inner), "mediaType": kind}]}).encode()
    assert resolve(_oci(*_blobs([inner]), index=outer)).digest("manifest") == layering.digest(MANIFEST)


def test_an_image_for_another_platform_is_refused(resolve):
    with pytest.raises(SurroundingsError, match=r"`oci-archive:x.tar` has no image for linux/arm64"):
        resolve(_oci(), platform="linux/arm64")


def test_a_file_that_is_not_there_is_named(resolve, tmp_path):
    with pytest.raises(SurroundingsError, match=r"the image file `no.tar` cannot be read"):
        resolving.resolve("from", "oci-archive:no.tar", folder=tmp_path, platform="linux/amd64")


@pytest.mark.parametrize("data", [b"no tar" * 500, b"", layering.layer("../evil")])
def test_a_file_that_is_no_archive_is_refused(resolve, own_cache, data):
    with pytest.raises(SurroundingsError, match="the image is refused"):
        resolve(data)
    assert not list((own_cache / "making").iterdir())


def test_an_archive_of_the_other_kind_says_what_it_lacks(resolve):
    with pytest.raises(SurroundingsError, match=r"`x.tar` has no `index\.json` in it"):
        resolve(_saved())
    with pytest.raises(SurroundingsError, match=r"`x.tar` has no `manifest\.json` in it"):
        resolve(_oci(), "docker-archive")


def test_other_bytes_under_a_digest_are_refused(resolve):
    layer = next(digest for digest, data in BLOBS.items() if not data.startswith(b"{"))
    with pytest.raises(SurroundingsError, match=r"in `x.tar` has content of sha256:"):
        resolve(_oci(member(f"blobs/sha256/{layer[7:]}", data=b"other")))


def test_a_layer_of_other_bytes_than_docker_s_config_says_is_refused(resolve):
    with pytest.raises(SurroundingsError, match="and the image's config says"):
        resolve(_saved(more=[member("l/layer.tar", data=layering.layer("b"))]), "docker-archive")


@pytest.mark.parametrize("manifests", [b"[]", b"[{}, {}]", b"7", b"{"])
def test_what_names_no_single_image_is_refused(resolve, manifests):
    with pytest.raises(SurroundingsError, match=r"holds . images, and one is wanted|is something that is no manifest"):
        resolve(layering.layer(member("manifest.json", data=manifests)), "docker-archive")


def test_an_archive_needs_no_network_and_fits_until_its_bytes_change(tmp_path, own_cache):
    asked = Image(source="from", reference="oci-archive:x.tar")
    (tmp_path / "x.tar").write_bytes(_oci())
    pinned = pinning.resolve(asked, folder=tmp_path, progress=print, offline=True, platform="linux/amd64")
    assert containers.fits(asked, pinned, folder=tmp_path)
    (tmp_path / "x.tar").write_bytes(_oci(member("more")))
    assert not containers.fits(asked, pinned, folder=tmp_path)


def test_what_left_the_cache_is_built_again_while_its_pieces_are_there(resolve):
    found = resolve(_oci())
    cache.place(found.digest("squashfs")).unlink()
    assert resolving.again(found, "squashfs") == cache.place(found.digest("squashfs"))


def test_what_left_the_cache_with_its_pieces_is_built_again_while_the_file_is_there(resolve, own_cache, tmp_path):
    found = resolve(_oci())
    shutil.rmtree(own_cache)
    assert resolving.again(found, "squashfs", tmp_path) == cache.place(found.digest("squashfs"))


def test_another_file_in_its_place_is_not_taken_for_it(resolve, own_cache, tmp_path):
    found = resolve(_oci())
    shutil.rmtree(own_cache)
    (tmp_path / "x.tar").write_bytes(_oci(member("more")))
    with pytest.raises(SurroundingsError, match="is not in the cache"):
        resolving.again(found, "squashfs", tmp_path)


def test_pieces_that_left_the_cache_are_named(resolve, own_cache):
    found = resolve(_oci())
    shutil.rmtree(own_cache)
    with pytest.raises(
        SurroundingsError,
        match=r"is not in the cache\n.*where that file is, `sciflow lock workflow.toml --update image`",
    ):
        resolving.again(found, "squashfs")


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_what_skopeo_writes_is_read(resolve, tmp_path, kind):
    (tmp_path / "saved.tar").write_bytes(_saved())
    words = ["skopeo", "--insecure-policy", "copy", "--quiet"]
    subprocess.run([*words, f"docker-archive:{tmp_path}/saved.tar", f"{kind}:{tmp_path}/written.tar"], check=True)
    assert resolve(Path(tmp_path, "written.tar").read_bytes(), kind).digest("tree") == resolve(_oci()).digest("tree")
