import os

import pytest

from sciflow.containers import closure, rootfs
from sciflow.errors import SurroundingsError
from tests.containers import flakes, layering
from tests.containers.flakes import ENV, TOOLS, file, folder, link

SIGNED = "Deriver: x.drv\nSig: example-1:AAAA\nCA: fixed:r:sha256:0\n"


def cache_of(where, found, files, *, more=""):
    """Write a binary cache as `nix copy` does: other fields, other order, NARs under names of its own."""
    (where / "nar").mkdir(parents=True)
    for one in found:
        (where / "nar" / f"{one.name[:4]}.nar").write_bytes(files[one.nar])
        text = f"URL: nar/{one.name[:4]}.nar\n{one.text().replace('URL: ', 'Was: ')}{more}"
        (where / one.info).write_text(text)
    return where


def written(where, files):
    where.write_bytes(flakes.tar(files))
    return where


def refused(where, files, match):
    with pytest.raises(SurroundingsError, match=match):
        closure.read(written(where, files))


def test_digests_are_written_as_nix_writes_them():
    # `nix hash convert --to nix32` of the digest of no bytes
    nothing = layering.digest(b"").removeprefix("sha256:")
    assert closure.base32(bytes.fromhex(nothing)) == "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"


def test_what_is_packed_is_read_again(tmp_path):
    found, files = flakes.environment()
    packed = closure.pack(cache_of(tmp_path / "cache", found, files), tmp_path / "tar")
    assert packed == found
    assert closure.read(tmp_path / "tar")[0] == found


def test_the_tar_hangs_on_nothing_but_the_paths(tmp_path):
    found, files = flakes.environment()
    for name, more, mask in (("a", "", 0o022), ("b", SIGNED, 0o077)):
        before = os.umask(mask)
        try:
            closure.pack(cache_of(tmp_path / name, found, files, more=more), tmp_path / f"{name}.tar")
        finally:
            os.umask(before)
        os.utime(tmp_path / name, (5, 5))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_two_paths_with_the_same_bytes_share_an_archive(tmp_path):
    found, files = flakes.paths({TOOLS: file(b"same"), ENV: file(b"same")})
    closure.pack(cache_of(tmp_path / "cache", found, files), tmp_path / "tar")
    _, store = closure.read(tmp_path / "tar")
    assert sorted(store.children) == [TOOLS, ENV]
    assert len(files) == 4


def test_an_archive_that_is_compressed_is_refused(tmp_path):
    found, files = flakes.environment()
    where = cache_of(tmp_path / "cache", found, files)
    info = where / found[0].info
    info.write_text(info.read_text().replace("none", "xz"))
    with pytest.raises(SurroundingsError, match="no NAR that is written plainly"):
        closure.pack(where, tmp_path / "tar")


@pytest.mark.parametrize("url", ["nar/gone.nar", "nar/../../etc/passwd", "/etc/passwd", "nar/.."])
def test_an_archive_that_is_elsewhere_is_refused(tmp_path, url):
    found, files = flakes.environment()
    where = cache_of(tmp_path / "cache", found, files)
    (where / found[0].info).write_text(found[0].text().replace(found[0].nar, url))
    with pytest.raises(SurroundingsError, match="no NAR that is written plainly"):
        closure.pack(where, tmp_path / "tar")


def test_an_empty_cache_is_refused(tmp_path):
    with pytest.raises(SurroundingsError, match="`the closure` is empty"):
        closure.pack(tmp_path, tmp_path / "tar")


def test_a_path_that_the_closure_lacks_is_named(tmp_path):
    _, files = flakes.paths({ENV: file()}, {ENV: [TOOLS]})
    refused(tmp_path / "tar", files, f"{ENV}` needs `{TOOLS}`, and the closure lacks it")


def test_another_byte_in_an_archive_is_named(tmp_path):
    found, files = flakes.paths({ENV: file(b"honest")})
    files[found[0].nar] = files[found[0].nar].replace(b"honest", b"forged")
    refused(tmp_path / "tar", files, f"{ENV}` has other bytes than its narinfo says")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: text.replace("NarSize: ", "NarSize: 0"), "written in another way"),
        (lambda text: text + "Sig: x:y\n", "written in another way"),
        (lambda text: text.replace("/nix/store/", "/etc/"), "not that of a path of the store"),
        (lambda text: text.replace("-env", "-e/../nv"), "not that of a path of the store"),
        (lambda text: text.replace("1" * 32, "2" * 32), "not that of a path of the store"),
        (lambda text: text.replace("NarHash: sha256:", "NarHash: sha256:z"), "no digest or size"),
        (lambda text: text.replace("NarSize: ", "NarSize: -"), "no digest or size"),
        (lambda text: text + "é", "not ASCII"),
        (lambda text: text + "x" * (1 << 20), "is a narinfo of 10"),
    ],
)
def test_a_narinfo_that_is_not_as_it_is_written_is_refused(tmp_path, change, match):
    found, files = flakes.paths({ENV: file()})
    files[found[0].info] = change(found[0].text()).encode()
    refused(tmp_path / "tar", files, match)


def test_what_does_not_belong_in_a_closure_is_named(tmp_path):
    _, files = flakes.environment()
    refused(tmp_path / "tar", {**files, "nar/more.nar": b""}, "`nar/more.nar` does not belong in a closure")


def test_what_is_missing_in_a_closure_is_named(tmp_path):
    found, files = flakes.environment()
    for place in ("nix-cache-info", found[0].nar):
        rest = {name: data for name, data in files.items() if name != place}
        refused(tmp_path / "tar", rest, f"`{place}` is missing in the closure")


def test_a_link_in_a_closure_is_refused(tmp_path):
    tar = tmp_path / "tar"
    tar.write_bytes(layering.layer(layering.symlink("nar", "/etc")))
    with pytest.raises(SurroundingsError, match="`nar` is no file"):
        closure.read(tar)


def test_a_name_that_stands_twice_in_a_closure_is_refused(tmp_path):
    tar = tmp_path / "tar"
    tar.write_bytes(layering.layer("nix-cache-info", "nix-cache-info"))
    with pytest.raises(SurroundingsError, match="stands twice"):
        closure.read(tar)


def test_a_closure_that_is_cut_off_is_refused(tmp_path):
    tar = tmp_path / "tar"
    tar.write_bytes(flakes.tar(flakes.environment()[1])[:2000])
    with pytest.raises(SurroundingsError, match="image is refused"):
        closure.read(tar)


def furnished(tmp_path, found, files):
    paths, store = closure.read(written(tmp_path / "tar", files))
    return closure.furnish(paths, store)


def test_the_environment_s_programs_are_on_path_and_its_shell_is_bin_sh(tmp_path):
    root, given = furnished(tmp_path, *flakes.environment())
    assert given == (("PATH", f"/nix/store/{ENV}/bin:/bin"),)
    assert flakes.look(root, "bin").children["sh"].target == f"/nix/store/{ENV}/bin/sh"
    assert flakes.look(root, "usr/bin").children["env"].target == f"/nix/store/{ENV}/bin/env"
    assert flakes.look(root, "bin/sh").size == len(b"#!busybox")


def test_the_root_has_the_folders_and_users_that_a_command_expects(tmp_path):
    root, _ = furnished(tmp_path, *flakes.environment())
    for path, mode in {"tmp": 0o1777, "var/tmp": 0o1777, "proc": 0o755, "home": 0o755, "nix/store": 0o755}.items():
        assert flakes.look(root, path).mode == mode
    assert b"root:x:0:0:" in flakes.look(root, "etc/passwd").data


def test_every_time_is_nix_s_own_and_every_owner_root(tmp_path):
    root, _ = furnished(tmp_path, *flakes.environment())
    assert {(node.mtime, node.uid, node.gid) for _, node in rootfs.walk(root)} == {(1, 0, 0)}


def test_several_outputs_are_all_on_path(tmp_path):
    other = "2" * 32 + "-more"
    shell = folder(bin=folder(sh=file(executable=True)))
    found = flakes.paths({ENV: shell, other: folder(bin=folder(tool=file())), TOOLS: folder(share=folder())})
    _, given = furnished(tmp_path, *found)
    assert given == (("PATH", f"/nix/store/{ENV}/bin:/nix/store/{other}/bin:/bin"),)


@pytest.mark.parametrize(
    "env",
    [
        folder(share=folder()),
        folder(bin=folder(tool=file(executable=True))),
        folder(bin=folder(sh=file(b"no x bit"))),
        folder(bin=folder(sh=link("sh"))),
        folder(bin=folder(sh=link("/nowhere"))),
        folder(bin=folder(sh=folder())),
        file(b"no folder"),
    ],
)
def test_an_environment_without_a_shell_is_refused_with_what_to_add(tmp_path, env):
    with pytest.raises(SurroundingsError, match=r"no `bin/sh`[^$]*pkgs\.bashInteractive"):
        furnished(tmp_path, *flakes.paths({ENV: env}))


def test_an_environment_without_env_is_given_none(tmp_path):
    root, _ = furnished(tmp_path, *flakes.paths({ENV: folder(bin=folder(sh=file(executable=True)))}))
    assert flakes.look(root, "usr/bin").children == {}
