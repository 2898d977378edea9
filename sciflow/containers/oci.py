"""An OCI reference, pinned: tag to index to the manifest of one platform, each by the SHA-256 of its very bytes.

Spoken with the standard library (OCI distribution-spec §3; Docker Registry v2 token authentication).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from sciflow.containers import credentials
from sciflow.containers import reference as references
from sciflow.containers.image import PinnedImage
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from sciflow.containers.reference import Reference

# Without all four a registry answers with a converted manifest, of another digest, or with 404 (LIBRARIES §6).
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
ACCEPT = ", ".join(INDEXES + MANIFESTS)

TIMEOUT_S = 30
MAX_BYTES = 4 << 20  # distribution-spec: a registry should refuse larger manifests
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404


def resolve(text: str, *, platform: str) -> PinnedImage:
    """Ask the registry which image this reference means now, on this platform (`os/architecture`).

    Raises SurroundingsError: registry down, no such image, needs login, wrong digest, no such platform.
    """
    name = references.parse(text)
    document, digest = _manifest(name, name.digest or name.tag)
    if name.digest and digest != name.digest:
        raise SurroundingsError(
            f"the registry answered `{name}` with an image of digest {digest}", hint="do not trust it; ask its keeper"
        )
    digests = {"manifest": digest}
    if isinstance(document.get("manifests"), list):
        digests = {"index": digest, "manifest": _chosen(document["manifests"], name, platform)}
        document, digest = _manifest(name, digests["manifest"])
        if digest != digests["manifest"]:
            raise SurroundingsError(
                f"the registry answered {digests['manifest']} of `{name}` with an image of digest {digest}",
                hint="do not trust it; ask its keeper",
            )
    layers = document.get("layers")
    if not isinstance(layers, list) or not isinstance(document.get("config"), dict):
        raise SurroundingsError(
            f"`{name}` is not an image: its manifest has no layers", hint="name an image, not an artefact"
        )
    size = sum(layer.get("size", 0) for layer in layers if isinstance(layer, dict))
    return PinnedImage(
        source="from", reference=str(name), platform=platform, digests=tuple(sorted(digests.items())), size=size
    )


def _chosen(entries: list[Any], name: Reference, platform: str) -> str:
    """Return the digest of the manifest for a platform; the plain variant wins over its refinements."""
    wanted_os, _, wanted_architecture = platform.partition("/")
    found, others = [], set()
    for entry in entries:
        is_for = entry.get("platform") if isinstance(entry, dict) else None
        if not isinstance(is_for, dict) or "unknown" in (is_for.get("os"), is_for.get("architecture")):
            continue  # attestations stand in the index as images for unknown/unknown
        if (is_for.get("os"), is_for.get("architecture")) == (wanted_os, wanted_architecture):
            found.append((is_for.get("variant") or "", str(entry.get("digest"))))
        others.add(f"{is_for.get('os')}/{is_for.get('architecture')}")
    if not found:
        raise SurroundingsError(
            f"`{name}` has no image for {platform}",
            hint=f"it has {', '.join(sorted(others)) or 'none at all'}; choose another image",
        )
    return min(found)[1]


def _manifest(name: Reference, which: str) -> tuple[dict[str, Any], str]:
    """Get a manifest or index by tag or digest; return it and the digest of its bytes."""
    url = f"{name.api}{name.repository}/manifests/{which}"
    headers = {"Accept": ACCEPT}
    try:
        body = _get(url, headers)
    except urllib.error.HTTPError as error:
        if error.code != UNAUTHORIZED:
            raise _refused(name, error) from error
        headers["Authorization"] = _authorization(name, error.headers.get("WWW-Authenticate", ""))
        try:
            body = _get(url, headers)
        except urllib.error.HTTPError as again:
            raise _refused(name, again) from again
        except (OSError, http.client.HTTPException) as again:
            raise _silent(name, again) from again
    except (OSError, http.client.HTTPException) as error:
        raise _silent(name, error) from error
    try:
        document = json.loads(body)
    except ValueError as error:
        raise SurroundingsError(
            f"`{name.registry}` answered `{name}` with something that is no manifest",
            hint="is it a registry, or a proxy's page?",
        ) from error
    if not isinstance(document, dict):
        raise SurroundingsError(
            f"`{name.registry}` answered `{name}` with something that is no manifest", hint="is it a registry?"
        )
    return document, f"sha256:{hashlib.sha256(body).hexdigest()}"


def _get(url: str, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "sciflow"})  # noqa: S310 - https, or http to this machine
    for key, value in headers.items():
        # A redirect, which may lead to another host, takes no login along.
        (request.add_unredirected_header if key == "Authorization" else request.add_header)(key, value)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
        body: bytes = answer.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise http.client.HTTPException(f"it sent more than {MAX_BYTES} bytes")
    return body


def _authorization(name: Reference, challenge: str) -> str:
    """Answer a 401's challenge: a login as it is (Basic), or a token had with it, or without (Bearer)."""
    login = credentials.basic(name.registry)
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic" and login:
        return login
    fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    if scheme.lower() != "bearer" or not fields.get("realm", "").startswith(("https://", "http://")):
        raise _needs_login(name)
    if login and fields["realm"].startswith("http://") and not name.plain_http:
        raise SurroundingsError(
            f"`{name.registry}` wants a login sent in the clear to `{fields['realm']}`", hint="ask its keeper for TLS"
        )
    query = {"service": fields.get("service", ""), "scope": fields.get("scope") or f"repository:{name.repository}:pull"}
    url = f"{fields['realm']}?{urllib.parse.urlencode({key: value for key, value in query.items() if value})}"
    try:
        said = json.loads(_get(url, {"Authorization": login} if login else {}))
    except urllib.error.HTTPError as error:
        raise _needs_login(name) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _silent(name, error) from error
    token = (said.get("token") or said.get("access_token")) if isinstance(said, dict) else None
    if not isinstance(token, str):
        raise _needs_login(name)
    return f"Bearer {token}"


def _refused(name: Reference, error: urllib.error.HTTPError) -> SurroundingsError:
    if error.code == NOT_FOUND:
        return SurroundingsError(
            f"there is no image `{name}`", hint=f"check name and tag; `{name.registry}` answered 404"
        )
    if error.code in {UNAUTHORIZED, FORBIDDEN}:
        return _needs_login(name)
    return SurroundingsError(
        f"`{name.registry}` answered `{name}` with HTTP status {error.code}", hint="try again later"
    )


def _needs_login(name: Reference) -> SurroundingsError:
    return SurroundingsError(
        f"`{name.registry}` does not show `{name}` without a login that may see it",
        hint=f"`docker login {name.registry}`, `podman login` or `apptainer registry login` first; or check the name",
    )


def _silent(name: Reference, error: Exception) -> SurroundingsError:
    why = getattr(error, "reason", None) or error
    return SurroundingsError(
        f"the registry `{name.registry}` cannot be asked about `{name}`: {why}",
        hint="check the network and the registry's name; with a `workflow.lock` that fits, none is needed",
    )
