#!/usr/bin/env bash
# Makes the base images of the demo and the tests from Debian packages, in an
# image store of their own that other stores read. No registry is asked.
#
#   localhost/review-demo/busybox  busybox alone, 2 MB
#   localhost/review-demo/debian   Debian with git, git-lfs, Django, gunicorn and a client of Redis
#   localhost/review-demo/redis    busybox and Redis, which writes every change to /data, 30 MB
#
# Prints the store's directory. What is made is kept in the user's cache, by the
# hash of this file, and made anew when this file changes.
set -euo pipefail

suite=trixie
debian=(ca-certificates git git-lfs python3-django gunicorn python3-whitenoise python3-redis)

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
make_all() {
	busybox
	redis
	mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "${debian[*]}")" "$suite" "$work/debian.tar"
	store import "$work/debian.tar" localhost/review-demo/debian
}

busybox() {
	mkdir -p "$work/busybox/bin"
	cp /bin/busybox "$work/busybox/bin/busybox"
	for applet in $(/bin/busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$work/busybox/bin/$applet"
	done
	import busybox --change 'ENV PATH=/bin'
}

# redis takes of the packages only the programs and the libraries.
redis() {
	mmdebstrap --quiet --variant=extract --include=redis-server "$suite" "$work/redis.tar"
	cp -r "$work/busybox" "$work/redis"
	tar -C "$work/redis" -xf "$work/redis.tar" --wildcards './usr/bin/redis-*' './usr/lib*/*.so*'
	ln -s usr/lib "$work/redis/lib"
	[ ! -e "$work/redis/usr/lib64" ] || ln -s usr/lib64 "$work/redis/lib64"
	import redis --change 'ENV PATH=/usr/bin:/bin' --change 'VOLUME /data' --change 'WORKDIR /data' --change 'EXPOSE 6379' \
		--change 'CMD ["redis-server", "--protected-mode", "no", "--save", "", "--appendonly", "yes"]'
}

# import makes the image NAME of the directory of that name: import NAME OPTION...
import() {
	tar -C "$work/$1" --owner=0 --group=0 --numeric-owner -c . | store import "${@:2}" - "localhost/review-demo/$1"
}

# Not "make_all ||": that would go on after an error.
make_all >"$work/log" 2>&1 &
wait $! || { cat "$work/log" >&2; exit 1; }

# Other stores read this one, whoever they run as.
touch "$dir/done"
echo "$dir/store"
