#!/usr/bin/env bash
# A whole review host in a container: Debian 13 with systemd as its first
# process, Apache, and rootless Podman of a user gitlab-runner, who has the
# images of images.sh. Nothing of review-executor is installed. Needs root, has
# no network, and touches no other Podman and no other Apache.
#
#   acceptance.sh up                 starts one and prints its directory; what is
#                                    put into its directory "shared" is /shared there
#   acceptance.sh run DIR COMMAND    runs a command there as root
#   acceptance.sh reboot DIR         restarts it
#   acceptance.sh down DIR           removes everything of it
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)

up() {
	"$scripts/install.sh" >&2
	host_store=$("$scripts/acceptance-image.sh")
	images_store=$("$scripts/images.sh")
	dir=$(mktemp -d /var/tmp/review-acceptance.XXXXXX)
	trap 'status=$?; [ $status -eq 0 ] || { tail -n 40 "$dir"/up.log >&2; down; }' EXIT
	mkdir -p "$dir"/{store,run,tmp,shared}
	configure_podman
	# Volumes, because a store cannot be on a container's overlay.
	run_podman run --detach --name host --hostname review-host --systemd=always --privileged --cgroupns=private --pids-limit=-1 --network none \
		--volume "$dir/shared:/shared" --volume home:/home --volume containers:/var/lib/containers \
		--stop-signal SIGRTMIN+3 localhost/review-acceptance/host /sbin/init >"$dir/up.log" 2>&1
	booted
	prepare >>"$dir/up.log" 2>&1
	trap - EXIT
	echo "$dir"
}

# configure_podman is for what this machine's kernel asks of the Podman outside, as
# in host.sh.
configure_podman() {
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
		lock_type = "file"
		static_dir = "$dir/store/libpod"
		volume_path = "$dir/store/volumes"
		tmp_dir = "$dir/run/libpod"
		$runtime
		[network]
		network_backend = "netavark"
	END
	cat >"$dir/storage.conf" <<-END
		[storage]
		driver = "overlay"
		graphroot = "$dir/store"
		runroot = "$dir/run/storage"
		[storage.options]
		additionalimagestores = ["$host_store", "$images_store"]
	END
}

run_podman() {
	CONTAINERS_CONF=$dir/containers.conf CONTAINERS_STORAGE_CONF=$dir/storage.conf TMPDIR=$dir/tmp podman "$@"
}

run() { run_podman exec host "$@"; }

booted() {
	for _ in $(seq 300); do
		case $(run systemctl is-system-running 2>/dev/null) in running | degraded) return ;; esac
		sleep 0.2
	done
	echo "error: the acceptance host did not boot" >&2
	run systemctl list-jobs >&2 || true
	return 1
}

# prepare does what is done on a machine of its own that can pull images.
prepare() {
	[ -z "$ulimits" ] || run sh -c "printf '[containers]\\n%s\\n' '$ulimits' >/etc/containers/containers.conf"
	local images
	images=$(dirname "$images_store")/images.tar
	if [ ! -e "$images" ]; then
		rm -f "$images.new"
		run_podman save --quiet --multi-image-archive --output "$images.new" localhost/review-demo/{busybox,debian,redis}
		mv "$images.new" "$images"
	fi
	run_podman cp "$images" host:/var/tmp/images.tar
	run sudo -u gitlab-runner -i podman load --quiet --input /var/tmp/images.tar
	run rm /var/tmp/images.tar
}

reboot() {
	run_podman stop --time 60 host >>"$dir/up.log" 2>&1
	run_podman start host >>"$dir/up.log" 2>&1
	booted
}

down() {
	case $dir in /var/tmp/review-acceptance.*) ;; *) echo "error: $dir is no acceptance host" >&2; return 1 ;; esac
	[ -d "$dir" ] || return 0
	run_podman rm --all --force --time 0 --volumes >/dev/null 2>&1 || true
	run_podman volume rm --all --force >/dev/null 2>&1 || true
	pkill -KILL -f "conmon .* -b $dir/" 2>/dev/null || true
	grep -o " $dir/[^ ]* " /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null || true
	rm -rf "$dir"
}

dir=${2-}
case ${1-} in
up) up ;;
run) run "${@:3}" ;;
reboot) reboot ;;
down) down ;;
*) sed -n 's/^# \{0,1\}//; 2,13p' "$0" >&2; exit 2 ;;
esac
