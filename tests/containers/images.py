"""Pinned images that the tests of this room share: real in form, made up in content."""

from sciflow.containers.image import Package, PinnedImage

SHA = {
    name: f"sha256:{letter * 64}"
    for name, letter in (
        ("index", "a"),
        ("manifest", "b"),
        ("tree", "c"),
        ("squashfs", "d"),
        ("archive", "e"),
        ("config", "f"),
        ("file", "1"),
    )
}


def oci(reference: str = "127.0.0.1:5000/tools/tiny:1") -> PinnedImage:
    return PinnedImage(
        source="from",
        reference=reference,
        platform="linux/amd64",
        digests=tuple((name, SHA[name]) for name in ("archive", "config", "index", "manifest", "squashfs", "tree")),
        tools=(("squashfs-tools", "4.5.1"),),
    )


def debian(*, version: str = "1.0", tree: str = SHA["tree"]) -> PinnedImage:
    digests = (("archive", SHA["archive"]), ("config", SHA["config"]), ("squashfs", SHA["squashfs"]), ("tree", tree))
    package = Package(name="hello", version=version, architecture="amd64", sha256="9" * 64)
    return PinnedImage(
        source="debian",
        reference="bookworm",
        platform="linux/amd64",
        digests=digests,
        asked=("hello",),
        packages=(package,),
        tools=(("mmdebstrap", "1.3.5"),),
    )


def file() -> PinnedImage:
    return PinnedImage(source="file", reference="tool.sif", platform="linux/amd64", digests=(("file", SHA["file"]),))
