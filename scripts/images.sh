#!/usr/bin/env bash
# Makes the base images of the demo and the tests from Debian packages, in an
# image store of their own that other stores read. No registry is asked.
#
#   localhost/review-demo/busybox  busybox alone, 2 MB
#   localhost/review-demo/debian   Debian with git, git-lfs, Django and gunicorn
#
# Prints the store's directory. What is made is kept in the user's cache, by the
# hash of this file, and made anew when this file changes.
set -euo pipefail

suite=trixie
debian=(ca-certificates git git-lfs python3-django gunicorn python3-whitenoise)

dir=${XDG_CACHE_HOME:-$HOME/.cache}/review-executor/images-$(sha256sum "$0" | cut -c1-12)
mkdir -p "$dir"
exec 9>"$dir.lock"
flock 9
if [ -e "$dir/done" ]; then
	echo "$dir/store"
	exit
fi

work=$(mktemp -d /var/tmp/review-images.XXXXXX)
trap 'rm -rf "$work" 2>/dev/null || podman unshare rm -rf "$work"' EXIT
store() { podman --root "$dir/store" --runroot "$work/run" --storage-driver overlay "$@"; }

echo "Making the base images from Debian $suite (once, about half a minute)" >&2
mkdir -p "$work/busybox/bin"
cp /bin/busybox "$work/busybox/bin/busybox"
for applet in $(/bin/busybox --list); do
	[ "$applet" = busybox ] || ln -s busybox "$work/busybox/bin/$applet"
done
tar -C "$work/busybox" --owner=0 --group=0 --numeric-owner -c . |
	store import --change 'ENV PATH=/bin' - localhost/review-demo/busybox >/dev/null 2>"$work/log" || { cat "$work/log" >&2; exit 1; }

mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "${debian[*]}")" "$suite" "$work/debian.tar" >"$work/log" 2>&1 &&
	store import "$work/debian.tar" localhost/review-demo/debian >/dev/null 2>>"$work/log" || { cat "$work/log" >&2; exit 1; }

# Other stores read this one, whoever they run as.
touch "$dir/done"
echo "$dir/store"
