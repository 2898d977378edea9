"""Requirements -> a lock of all packages that they need, by `uv pip compile`: asked for wheels only, for one Python."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
import urllib.parse
from typing import TYPE_CHECKING, Any

import uv

from sciflow.containers import cache, download, leash, tool
from sciflow.errors import Fault, ImageError, SurroundingsError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sciflow.containers.image import Wheel
    from sciflow.containers.requirements import Requirements
    from sciflow.containers.target import Target

# glibc's minor versions for which uv has a word, besides 17, for each of these.
LEVELS = (17, 28, *range(31, 41))
LEVELLED = {"x86_64", "aarch64"}
WHOLE = {"riscv64": "riscv64-unknown-linux"}

# What says where packages are had, and how, is this machine's business; what says which ones are chosen is the file's.
TAKEN = {
    *("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "NETRC"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT"),
    *("UV_CACHE_DIR", "UV_NO_CACHE", "UV_OFFLINE", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES", "UV_CONCURRENT_DOWNLOADS"),
    *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX_STRATEGY"),
    *("UV_INSECURE_HOST", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_KEYRING_PROVIDER", "UV_CREDENTIALS_DIR"),
}
_LOGINS = re.compile(r"UV_INDEX_[A-Z0-9_]+_(USERNAME|PASSWORD)")
DEFAULT, EXTRA = ("UV_DEFAULT_INDEX", "UV_INDEX_URL"), ("UV_INDEX", "UV_EXTRA_INDEX_URL")

_DRAWN = re.compile("[\u00d7\u2022\u2500-\u257f\u25b6]+")  # crosses, bullets, lines and arrows
_LOGIN = re.compile(r"://[^/@\s]*@")
MOST_SAID = 600


def compile_lock(
    wanted: Requirements, target: Target, *, held: Sequence[Wheel], place: str
) -> tuple[dict[str, Any], str]:
    """Return the lock that uv makes (PEP 751, as read from TOML), and uv's version.

    The versions of `held` are taken again where the requirements still allow them. `place` is the requirements' file,
    for faults. Raises ImageError for requirements that cannot be met, SurroundingsError for the rest.
    """
    program = _program()
    environment = surroundings(os.environ)
    with cache.workshop() as workshop:
        (workshop / "requirements.in").write_text("".join(f"{line}\n" for line in wanted.lines), encoding="utf-8")
        (workshop / "constraints.txt").write_text("".join(f"{one}\n" for one in wanted.constraints), encoding="utf-8")
        # uv prefers what its output file holds already.
        (workshop / "pylock.toml").write_text(preferred(held), encoding="utf-8")
        found = leash.run([program, *words(target), *wanted.options], cwd=workshop, env=environment, encoding="utf-8")
        if found.returncode != 0:
            raise refusal(found.stderr or found.stdout, place)
        lock = tomllib.loads((workshop / "pylock.toml").read_text(encoding="utf-8"))
    return lock, tool.version(program, "--version")


def words(target: Target) -> list[str]:
    """Write the words after uv's name. Pure. Raises SurroundingsError for an image that uv has no word for."""
    return [
        *("pip", "compile", "requirements.in", "--constraints", "constraints.txt"),
        *("--output-file", "pylock.toml", "--format", "pylock.toml", "--no-header", "--no-annotate"),
        *("--no-config", "--quiet", "--color", "never", "--only-binary", ":all:"),
        *("--python", sys.executable, "--no-python-downloads"),
        *("--python-version", target.version, "--python-platform", uv_platform(target)),
    ]


def uv_platform(target: Target) -> str:
    """Return uv's word for the image: the largest glibc that it has a word for, and that is not above the image's."""
    major, minor = target.level
    fits = [level for level in LEVELS if level <= minor]
    if target.architecture in WHOLE and target.libc == "glibc":
        return WHOLE[target.architecture]
    if target.architecture in LEVELLED and target.libc == "musl":
        return f"{target.architecture}-unknown-linux-musl"
    if target.architecture in LEVELLED and major == 2 and fits:  # noqa: PLR2004 - glibc's major version for ever
        return f"{target.architecture}-manylinux_2_{fits[-1]}"
    raise SurroundingsError(
        f"packages for {target} cannot be chosen: uv has no word for it",
        hint="use another image; or give `image.python` a pylock.toml that was made on such a machine",
    )


def preferred(held: Sequence[Wheel]) -> str:
    """Write a lock that holds names and versions alone."""
    packages = [
        f"\n[[packages]]\nname = {names.canonical(one.name)}\nversion = {names.canonical(one.version)}\n"
        for one in sorted(held)
    ]
    return "".join(['lock-version = "1.0"\ncreated-by = "sciflow"\n', *(packages or ["packages = []\n"])])


def surroundings(given: Mapping[str, str]) -> dict[str, str]:
    """Return what of an environment uv gets; pip's indexes stand in where uv's own are not named. Pure."""
    found = {
        key: value
        for key, value in given.items()
        if key in TAKEN or _LOGINS.fullmatch(key) or key.lower().endswith("_proxy")
    }
    for ours, theirs in ((DEFAULT, "PIP_INDEX_URL"), (EXTRA, "PIP_EXTRA_INDEX_URL")):
        if given.get(theirs) and not any(given.get(one) for one in ours):
            found[ours[-1]] = given[theirs]
    return found


def login(url: str, given: Mapping[str, str]) -> str:
    """Return `user:password` of the index on a URL's host, if the environment names one with a login. Pure."""
    environment = surroundings(given)
    for value in " ".join(environment.get(key, "") for key in (*DEFAULT, *EXTRA)).split():
        # UV_INDEX may name its indexes: `name=https://…`
        index = re.sub(r"^[A-Za-z0-9_.-]+=", "", value)
        both = [urllib.parse.urlsplit(one) for one in (index, url)]
        if len({(one.scheme, one.netloc.rpartition("@")[2]) for one in both}) == 1 and download.userinfo(index):
            return download.userinfo(index)
    return ""


def _program() -> str:
    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        found = shutil.which("uv")
        if found is None:
            raise SurroundingsError("`uv` is not installed, and it chooses packages", hint="pip install uv") from error
        return found


def refusal(said: str, place: str) -> ImageError | SurroundingsError:
    """Turn what uv says into one fault."""
    said = _LOGIN.sub("://", said)
    lines = [" ".join(_DRAWN.sub(" ", line).split()) for line in said.splitlines()]
    whole = " ".join(line.removeprefix("error: ") for line in lines if line and not line.startswith("warning:"))
    whole = whole if len(whole) <= MOST_SAID else f"{whole[:MOST_SAID]}…"
    if re.search(r"No solution found|Couldn't parse|Failed to parse|Unsupported requirement|conflicting URLs", said):
        return ImageError(
            [
                Fault(
                    file=place,
                    text=f"what it asks for cannot be had together, as wheels for the image's Python: {whole}",
                    hint="ask for other versions, or use an image with another Python",
                )
            ]
        )
    return SurroundingsError(
        f"the packages of `{place}` cannot be chosen: {whole or 'uv failed and said nothing'}",
        hint="check the network; UV_DEFAULT_INDEX names the index; with a `workflow.lock` that fits, none is needed",
    )
