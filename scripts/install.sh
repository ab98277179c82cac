#!/usr/bin/env bash
# Installs the Debian packages that the demo and the tests need and that are
# missing, and those named on the command line. It starts no service and changes
# no configuration.
set -euo pipefail

packages=(
	apache2-bin apache2-utils podman netavark aardvark-dns iptables nftables uidmap slirp4netns passt
	"$@" fuse-overlayfs busybox-static mmdebstrap git curl procps ca-certificates
)
# Podman's default runtime needs the unified cgroup hierarchy.
[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || packages+=(runc)

missing=()
for package in "${packages[@]}"; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "error: these packages are missing and there is no sudo to install them: ${missing[*]}" >&2; exit 1; }
	root=(sudo)
fi
echo "Installing ${missing[*]}"
log=$(mktemp)
install() {
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}
{ "${root[@]}" apt-get update && install; } >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
rm -f "$log"
