#!/usr/bin/env bash
# Makes the image of the acceptance host from Debian packages: Debian 13 with
# systemd as its first process, Podman, Apache, and a user gitlab-runner. Nothing
# of review-executor is in it. rpm, Ansible and Puppet are for the tests of these.
#
#   localhost/review-acceptance/host
#
# Prints the directory of the store that has it. What is made is kept in the
# user's cache, by the hash of this file, and made anew when this file changes.
set -euo pipefail

suite=trixie
packages=(
	systemd systemd-sysv dbus dbus-user-session libpam-systemd polkitd
	podman crun uidmap passt netavark aardvark-dns nftables fuse-overlayfs
	apache2 apache2-utils git curl sudo procps iproute2 ca-certificates man-db logrotate
	rpm ansible-core puppet-agent
)

dir=${XDG_CACHE_HOME:-$HOME/.cache}/review-executor/acceptance-$(sha256sum "$0" | cut -c1-12)
mkdir -p "$dir"
exec 9>"$dir.lock"
flock 9
if [ -e "$dir/done" ]; then
	echo "$dir/store"
	exit
fi

work=$(mktemp -d /var/tmp/review-acceptance-image.XXXXXX)
trap 'rm -rf "$work"' EXIT

echo "Making the acceptance host's image from Debian $suite (once, about a minute)" >&2
make_image() {
	# What asks for hardware or for other hosts has no place in a container. The
	# journal is kept across restarts, as on a server.
	mmdebstrap --quiet --include="$(IFS=,; echo "${packages[*]}")" \
		--customize-hook='chroot "$1" useradd --system --create-home --shell /bin/bash gitlab-runner' \
		--customize-hook='chroot "$1" usermod --add-subuids 100000-165535 --add-subgids 100000-165535 gitlab-runner' \
		--customize-hook='chroot "$1" systemctl mask systemd-udevd.service systemd-timesyncd.service e2scrub_reap.service puppet.service' \
		--customize-hook='mkdir -p "$1/etc/systemd/journald.conf.d" && printf "[Journal]\nStorage=persistent\n" >"$1/etc/systemd/journald.conf.d/persistent.conf"' \
		--customize-hook='echo "ServerName review-host" >"$1/etc/apache2/conf-enabled/name.conf"' \
		--customize-hook=': >"$1/etc/machine-id"' \
		"$suite" "$work/host.tar"
	podman --root "$dir/store" --runroot "$work/run" --storage-driver overlay import "$work/host.tar" localhost/review-acceptance/host
}

# Not "make_image ||": that would go on after an error.
make_image >"$work/log" 2>&1 &
wait $! || { cat "$work/log" >&2; exit 1; }

touch "$dir/done"
echo "$dir/store"
