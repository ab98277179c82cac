#!/usr/bin/env bash
# A review host of its own on this machine, for the demo and the tests: a
# Podman service with its own store, an Apache on a free port of loopback, and
# a configuration of review-executor for both. It touches no other Podman and
# no other Apache, and runs as whoever calls it, root or not.
#
#   host.sh up          starts one and prints its directory, with in it
#                         config.toml   for review-executor --config
#                         port          Apache's
#                         podman        a command: podman on the host's store
#                         apache.sh     a command: apache2 with the host's configuration
#   host.sh down DIR    stops it and removes everything of it
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
export PATH=$PATH:/usr/sbin:/sbin

up() {
	"$scripts/install.sh" >&2
	images=$("$scripts/images.sh")
	dir=$(mktemp -d /var/tmp/review-host.XXXXXX)
	chmod 755 "$dir" # Apache's children are another user
	trap 'status=$?; [ $status -eq 0 ] || { tail -n 20 "$dir"/*.log >&2; down "$dir"; }' EXIT
	mkdir -p "$dir"/{store,run,tmp,networks,vhosts,state,apache}
	start_podman
	start_apache
	configure
	trap - EXIT
	echo "$dir"
}

start_podman() {
	runtime=
	[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || runtime='runtime = "runc"'
	ulimits=
	(ulimit -n 1048576) 2>/dev/null || ulimits='default_ulimits = ["nofile=16384:16384", "nproc=30000:30000"]'
	cat >"$dir/containers.conf" <<-END
		[containers]
		log_driver = "k8s-file"
		$ulimits
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		exit_command_delay = 10
		lock_type = "file"
		static_dir = "$dir/store/libpod"
		volume_path = "$dir/store/volumes"
		tmp_dir = "$dir/run/libpod"
		$runtime
		[network]
		network_backend = "netavark"
		network_config_dir = "$dir/networks"
		default_subnet_pools = [{"base" = "10.$((RANDOM % 100 + 100)).$((RANDOM % 8 * 32)).0/19", "size" = 26}]
	END
	# Without root, only fuse-overlayfs gives a container other user IDs without a copy of its image.
	overlay=
	if [ "$(id -u)" -ne 0 ] && command -v fuse-overlayfs >/dev/null && [ -w /dev/fuse ]; then
		overlay='mount_program = "'$(command -v fuse-overlayfs)'"'
	fi
	cat >"$dir/storage.conf" <<-END
		[storage]
		driver = "overlay"
		graphroot = "$dir/store"
		rootless_storage_path = "$dir/store"
		runroot = "$dir/run/storage"
		[storage.options]
		additionalimagestores = ["$images"]
		[storage.options.overlay]
		$overlay
	END
	# Rootless, Podman 4.3 takes the runroot of no storage.conf: two hosts of one user would
	# share their addresses and their DNS server.
	runroot=
	[ "$(id -u)" -eq 0 ] || runroot="--runroot $dir/run/storage"
	# Registries of tests speak plain HTTP, on any port of loopback. Short names
	# have no registry.
	cat >"$dir/registries.conf" <<-END
		unqualified-search-registries = []
		[[registry]]
		location = "127.0.0.1"
		insecure = true
	END
	cat >"$dir/podman" <<-END
		#!/bin/sh
		export CONTAINERS_CONF=$dir/containers.conf CONTAINERS_STORAGE_CONF=$dir/storage.conf TMPDIR=$dir/tmp
		export CONTAINERS_REGISTRIES_CONF=$dir/registries.conf
		exec podman $runroot "\$@"
	END
	chmod 755 "$dir/podman"
	start_service
}

# start_service is what "host.sh podman DIR" repeats after a test has stopped it.
start_service() {
	cd "$dir"
	setsid "$dir/podman" system service --time=0 "unix://$dir/podman.sock" </dev/null >>"$dir/podman.log" 2>&1 &
	echo $! >"$dir/podman.pid"
	for _ in $(seq 100); do
		curl -fs --unix-socket "$dir/podman.sock" http://d/_ping >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "error: Podman did not start" >&2
	return 1
}

start_apache() {
	modules=/usr/lib/apache2/modules
	{
		echo "ServerRoot $dir/apache"
		echo "DefaultRuntimeDir $dir/apache"
		echo "PidFile $dir/apache/pid"
		echo "ErrorLog $dir/apache.log"
		echo "ServerName localhost"
		for module in mpm_event alias auth_basic authn_core authn_file authz_core authz_host authz_user dir env headers http2 lua mime \
			proxy proxy_http remoteip reqtimeout rewrite setenvif socache_shmcb ssl; do
			[ -e "$modules/mod_$module.so" ] && echo "LoadModule ${module}_module $modules/mod_$module.so"
		done
		# With fewer processes a reload more often waits a second for the first of them to end. And
		# each process that still has a WebSocket outlives the reloads.
		echo "StartServers 5"
		echo "ServerLimit 128"
		[ ! -e /etc/mime.types ] || echo "TypesConfig /etc/mime.types"
		[ "$(id -u)" -ne 0 ] || echo "User www-data"
		[ "$(id -u)" -ne 0 ] || echo "Group www-data"
		echo "IncludeOptional $dir/extra.conf"
		echo "IncludeOptional $dir/vhosts/*.conf"
	} >"$dir/apache.conf"
	cat >"$dir/apache-command" <<-END
		#!/bin/sh
		exec $(command -v apache2) -f $dir/apache.conf "\$@"
	END
	mv "$dir/apache-command" "$dir/apache.sh"
	chmod 755 "$dir/apache.sh"
	# The configuration has just been tested, so a signal will do: "-k graceful", which also starts
	# an Apache that does not run, would read it once more.
	cat >"$dir/apache-reload" <<-END
		#!/bin/sh
		kill -USR1 "\$(cat $dir/apache/pid)" 2>/dev/null || exec $dir/apache.sh -k graceful
	END
	chmod 755 "$dir/apache-reload"
	for _ in $(seq 20); do
		port=$((RANDOM % 20000 + 20000))
		echo "Listen 127.0.0.1:$port" >"$dir/extra.conf"
		"$dir/apache.sh" -k start >>"$dir/apache.log" 2>&1 || continue
		echo "$port" >"$dir/port"
		return
	done
	echo "error: Apache did not start" >&2
	return 1
}

configure() {
	echo demo | htpasswd -ciB "$dir/htpasswd" demo 2>/dev/null
	cat >"$dir/config.toml" <<-END
		domain = "review.localhost"
		state_dir = "$dir/state"

		[podman]
		socket = "unix://$dir/podman.sock"

		[apache]
		vhost_dir = "$dir/vhosts"
		listen = "127.0.0.1:$port"
		htpasswd = "$dir/htpasswd"
		access_log = "$dir/access.log"
		configtest = ["$dir/apache.sh", "-t"]
		reload = ["$dir/apache-reload"]

		[jobs]
		image = "localhost/review-demo/debian"
		helper_image = "localhost/review-demo/debian"
	END
	if [ "$(id -u)" -ne 0 ] && [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then # v1 has no limits for users
		printf '\n[isolation]\nmemory = "0"\ncpus = 0\npids = 0\n' >>"$dir/config.toml"
	fi
}

down() {
	dir=$1
	case $dir in /var/tmp/review-host.*) ;; *) echo "error: $dir is no review host" >&2; return 1 ;; esac
	[ -d "$dir" ] || return 0
	if [ -e "$dir/apache/pid" ]; then
		pid=$(cat "$dir/apache/pid")
		"$dir/apache.sh" -k stop >/dev/null 2>&1 || true
		wait_gone "$pid"
		# Where the first process had to be killed, the others are left.
		pkill -KILL -f "apache2 -f $dir/apache.conf" 2>/dev/null || true
	fi
	if [ -e "$dir/podman" ]; then
		"$dir/podman" rm --all --force --time 0 --volumes >/dev/null 2>&1 || true
		"$dir/podman" network prune --force >/dev/null 2>&1 || true
	fi
	if [ -e "$dir/podman.pid" ]; then
		pid=$(cat "$dir/podman.pid")
		kill "$pid" 2>/dev/null || true
		wait_gone "$pid"
	fi
	# Podman keeps a monitor of every exec session for some minutes.
	pkill -KILL -f "conmon .* -b $dir/" 2>/dev/null || true
	pkill -f "aardvark-dns --config $dir/" 2>/dev/null || true
	if [ "$(id -u)" -eq 0 ]; then # what a killed build or container has left mounted
		grep -o " $dir/[^ ]* " /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null || true
		rm -rf "$dir"
	else
		cd / # in the mount namespace of the host's own Podman, which keeps its store mounted
		"$dir/podman" unshare sh -c 'umount -l "$1/store/overlay" 2>/dev/null; rm -rf "$1"/*' sh "$dir" || true
		podman unshare rm -rf "$dir"
	fi
}

wait_gone() {
	for _ in $(seq 100); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -9 "$1" 2>/dev/null || true
}

case ${1-} in
up) up ;;
down) down "${2?host.sh down DIR}" ;;
podman) dir=${2?host.sh podman DIR} && start_service ;;
*) sed -n 's/^# \{0,1\}//; 2,14p' "$0" >&2; exit 2 ;;
esac
