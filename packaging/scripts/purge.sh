# Everything of ours on this host goes: apps, records, virtual hosts, logs,
# configuration, and the user review-front. What is not ours stays: the user
# gitlab-runner, its linger, subordinate IDs and configuration of Podman, images that
# jobs have pulled, and what gitlab-runner and Apache are configured with beside us.
#
# It needs no program of ours, because a package manager has removed that by now.
# What cannot be removed is said and fails nothing.

runner=gitlab-runner

purge() {
	stop_serving
	purge_units
	if id "$runner" >/dev/null 2>&1; then
		purge_runner
	fi
	rm -rf --one-file-system /var/lib/review-executor /var/lib/review-front /var/log/review-executor \
		/etc/review-executor /run/review-executor || true
	if id review-front >/dev/null 2>&1; then
		userdel review-front >/dev/null 2>&1 || echo "review-executor: the user review-front could not be removed" >&2
	fi
}

# stop_serving takes our part out of Apache, which goes on with the rest.
stop_serving() {
	enabled=
	for conf in /etc/apache2/conf-enabled/review-executor*.conf /etc/httpd/conf.d/review-executor.conf; do
		[ ! -e "$conf" ] && [ ! -L "$conf" ] || enabled=yes
		rm -f "$conf"
	done
	rm -f /etc/apache2/conf-available/review-executor*.conf /var/lib/apache2/conf/*/review-executor*
	if [ -z "$enabled" ] || [ ! -d /run/systemd/system ]; then
		return
	fi
	for unit in apache2 httpd; do
		if systemctl -q is-active "$unit" && ! systemctl reload "$unit"; then
			echo "review-executor: $unit could not be reloaded and still serves the apps' hosts" >&2
		fi
	done
}

# purge_units forgets what an administrator, or "doctor", has enabled or changed of our
# units and rights.
purge_units() {
	for unit in front sync webhook; do
		rm -rf "/etc/systemd/system/review-executor-$unit."*
	done
	rm -f /etc/systemd/system/*.wants/review-executor-* /etc/polkit-1/rules.d/50-review-executor-*.rules \
		/etc/systemd/system/user@.service.d/zz-review-executor.conf
	rmdir /etc/systemd/system/user@.service.d 2>/dev/null || true
	[ ! -d /run/systemd/system ] || systemctl daemon-reload || true
}

# purge_runner removes what is ours of the runner's user, by our labels and names.
purge_runner() {
	if [ -d "/run/user/$(id -u "$runner")/systemd" ]; then
		as_runner systemctl --user stop 'review-app-*' || true
	fi
	as_runner sh -c 'find "$HOME/.config/systemd/user" -name "review-app-*" -delete 2>/dev/null' || true
	if [ -d "/run/user/$(id -u "$runner")/systemd" ]; then
		as_runner systemctl --user daemon-reload || true
	fi
	command -v podman >/dev/null || return 0
	left=
	for label in app job role project-id; do
		only="label=review-executor.$label"
		as_runner sh -c 'all=$(podman ps --all --quiet --filter "$1") && echo "$all" | xargs -r podman rm --force --time 0 --volumes' sh "$only" || left=yes
		as_runner sh -c 'all=$(podman network ls --quiet --filter "$1") && echo "$all" | xargs -r podman network rm --force' sh "$only" || left=yes
		as_runner sh -c 'all=$(podman volume ls --quiet --filter "$1") && echo "$all" | xargs -r podman volume rm --force' sh "$only" || left=yes
		as_runner sh -c 'all=$(podman images --all --quiet --no-trunc --filter "$1") && echo "$all" | sort -u | xargs -r podman rmi --force --ignore' sh "$only" || left=yes
	done >/dev/null
	as_runner sh -c 'all=$(podman images --format "{{.Repository}}:{{.Tag}}") && echo "$all" | sed -n "/^localhost\/review\//p" | xargs -r podman rmi --force --ignore' >/dev/null || left=yes
	[ -z "$left" ] || echo "review-executor: not all containers, volumes and images of $runner could be removed" >&2
}

# as_runner runs a command as the runner's user, away from our terminal.
as_runner() {
	home=$(getent passwd "$runner" | cut -d: -f6)
	(cd / && setsid --wait runuser -u "$runner" -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$home" \
		XDG_RUNTIME_DIR="/run/user/$(id -u "$runner")" timeout 300 "$@") </dev/null
}
