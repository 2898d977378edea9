#!/bin/bash
# Installs what the live tests run against: Debian's packages, nothing else. Run as root, again at any time.
#   tests/testbed/install.sh
# Where Debian's packages come from is read from the machine's own sources; no host is named here.
set -euo pipefail

[ "$(id -u)" = 0 ] || { echo "install.sh: run me as root (I install packages)" >&2; exit 3; }
command -v apt-get >/dev/null || { echo "install.sh: this is not a Debian machine: there is no apt-get" >&2; exit 3; }

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
APT=(apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0)

# From this machine's own release.
OWN=(slurmctld slurmd slurm-client slurmdbd mariadb-server munge docker-registry docker.io podman skopeo mmdebstrap uidmap squashfs-tools
     busybox-static shellcheck cron faketime strace gcc libc6-dev ca-certificates debian-archive-keyring)
# Apptainer is in sid only, and needs a libc6 that bookworm lacks and trixie has.
NEWER=(apptainer squashfuse fuse-overlayfs fuse3)
# bookworm's Nix knows no flakes that today's Nix would read; this one brings neither a daemon nor users of its own.
NEWER+=(nix-bin)

missing() {  # the packages among "$@" that are not installed
    local name
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || echo "$name"
    done
}

newer_source() {  # a source and pins for trixie and sid, with the address and key of this machine's own Debian source
    local folder=/etc/apt uris="" key="" file
    cat >"$folder/preferences.d/sciflow-testbed" <<PINS
Package: *
Pin: release n=trixie
Pin-Priority: 50

Package: *
Pin: release n=sid
Pin-Priority: 40

Package: apptainer
Pin: release n=sid
Pin-Priority: 600

Package: nix-bin
Pin: release n=trixie
Pin-Priority: 600
PINS
    [ -e "$folder/sources.list.d/sciflow-testbed.sources" ] && return
    for file in "$folder"/sources.list.d/debian.sources "$folder"/sources.list.d/*.sources; do
        [ -e "$file" ] || continue
        # The first paragraph of a Debian archive that is not the security one.
        uris=$(awk '/^URIs:/ && /debian/ && !/security/ {print $2; exit}' "$file")
        key=$(awk '/^Signed-By:/ && /debian/ {print $2; exit}' "$file")
        [ -n "$uris" ] && break
    done
    if [ -z "$uris" ] && [ -e "$folder/sources.list" ]; then
        uris=$(awk '$1 == "deb" && !/security/ {for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) {print $i; exit}}' "$folder/sources.list")
    fi
    [ -n "$uris" ] || { echo "install.sh: no Debian archive found in $folder/sources.list(.d)" >&2; exit 3; }
    cat >"$folder/sources.list.d/sciflow-testbed.sources" <<SOURCE
Types: deb
URIs: $uris
Suites: trixie sid
Components: main
Signed-By: ${key:-/usr/share/keyrings/debian-archive-keyring.gpg}
SOURCE
}

# Packages must not start their daemons: up.sh does, with settings of its own.
no_daemons() {
    [ -e /usr/sbin/policy-rc.d ] && return
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

mapfile -t own < <(missing "${OWN[@]}")
mapfile -t newer < <(missing "${NEWER[@]}")
if [ "${#own[@]}" -gt 0 ] || [ "${#newer[@]}" -gt 0 ]; then
    no_daemons
    newer_source
    "${APT[@]}" update
fi
if [ "${#own[@]}" -gt 0 ]; then
    echo "installing ${own[*]}" >&2
    "${APT[@]}" install -y --no-install-recommends "${own[@]}" >&2
fi
if [ "${#newer[@]}" -gt 0 ]; then
    echo "installing ${newer[*]} (and a newer libc6)" >&2
    "${APT[@]}" install -y --no-install-recommends -t trixie "${newer[@]}" >&2
fi

# The plain user as whom jobs are submitted and images built; useradd writes its range into /etc/subuid and /etc/subgid.
id sci >/dev/null 2>&1 || useradd --create-home --shell /bin/bash sci
for file in /etc/subuid /etc/subgid; do
    # 65536 ids from a place that nobody's range reaches, where useradd did not choose one.
    grep -q '^sci:' "$file" 2>/dev/null || echo 'sci:1879048192:65536' >>"$file"
done
echo "test bed: installed ($(apptainer --version 2>/dev/null || echo 'no apptainer'), $(slurmctld -V), $(nix --version 2>/dev/null || echo 'no nix'), $(dockerd --version | cut -d, -f1))" >&2
