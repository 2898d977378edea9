"""A root file system in one block, to try engines on where there is nothing else: empty folders, no program.

The host's own programs are mounted into it, so a trial needs neither an image, nor mksquashfs, nor a network.
"""

from __future__ import annotations

import base64
from pathlib import Path

# A squashfs (gzip) of the empty folders /bin /dev /etc /home /lib /lib64 /proc /root /sys /tmp /usr /var/tmp and the
# empty files passwd, group, hosts and resolv.conf in /etc, written by
# `mksquashfs FOLDER FILE -all-root -all-time 0 -mkfs-time 0 -no-xattrs -comp gzip`, without the zeros at its end.
SQUASHFS = (
    "aHNxcxIAAAAAAAAAAAACAAAAAAABABEAwAIBAAQAAAAgAgAAAAAAAMkBAAAAAAAAwQEAAAAAAAD//////////2AAAAAAAAAA0QAAAAAA"
    "AAB7AQAAAAAAALMBAAAAAAAAbwB42mNkeMvIAAUwBhMQMwOxEFgMIc+ERZ4JSZ4FSv8HAoQehDwrAXk2AvLsWOSR3ceM5D4vLO7nQHG/"
    "O4Y8JwF5LgLy3ATkeQjI8xKQ5yMgz09AXhBNXgBNXgApHKWw6BdCcscMhjgGYSANAH4/JtOoAHjaPc3dDYJADADgFjAq+BM3YAKfjM+M"
    "wt+pJMBdrgfGN0ZxFEZhFEtFL2n6tWmvPnxfwJFweKy71Z1JAaV4aHI0MD1YgcmInuUbfK5CsIp03Z8L3d6WX+DEMSHIrmtMtLTxnz3I"
    "qzZmzCxVP3KaqVwxwZrp88VGAW6kXVd5jFtmMPN6STCUGWN1kWIktlq7AXcyTy964/53fsSDsCML3lHYZ/YDNWklljYAeNo1zDERACAM"
    "A8CCEqRUSqUgBSlIQQoDT5a/DEnEy+Bmsji5eBjNnsni5OJmdD9/r1/+awctewEAAAAAAAAEgAAAAAC7AQ=="
)
BLOCK_BYTES = 4096

PROGRAM = "/bin/true"
HOST_PROGRAMS = ("/bin", "/lib", "/lib64", "/usr")


def image(folder: Path) -> Path:
    """Write the squashfs into a folder; return it. Raises OSError."""
    place = folder / "trial.sqfs"
    place.write_bytes(base64.b64decode(SQUASHFS).ljust(BLOCK_BYTES, b"\0"))
    return place


def mounts() -> list[str]:
    """Return the words that mount the host's programs into it, read-only: those folders that this host has."""
    there = [path for path in HOST_PROGRAMS if Path(path).is_dir()]
    return [word for path in there for word in ("--mount", f"type=bind,src={path},dst={path},ro")]
