#!/usr/bin/env bash
# The demo: a review host of its own on this machine, and two branches of
# examples/django on it.
#
#   demo.sh start   deploys them and leaves them running
#   demo.sh stop    stops them and removes everything again
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

demo=${REVIEW_DEMO:-$PWD/build/demo} # a link to the review host's directory
program=$PWD/build/review-executor

start() {
	[ ! -e "$demo" ] || { echo 'The demo is running; "make demo-stop" ends it.' >&2; exit 1; }
	host=$(scripts/host.sh up)
	ln -sfn "$host" "$demo"
	export REVIEW_EXECUTOR_CONFIG=$demo/config.toml

	title "A project with two branches"
	cp -r examples/django "$demo/guestbook"
	cd "$demo/guestbook"
	rm -f .gitlab-ci.yml # its template is in another repository
	git init --quiet --initial-branch main
	commit "A guestbook"
	git branch feature/blue
	git switch --quiet --create feature/red
	sed -i 's/Guestbook/Red guestbook/' guestbook/templates/base.html
	commit "Make it red"
	git log --oneline --graph --all

	title "Its first branch, deployed: the job log"
	deploy feature/blue
	title "Its second branch"
	deploy feature/red

	title "What a browser gets"
	look feature-blue "without the password"
	look feature-blue "with it" --user demo:demo
	look feature-red "the other branch" --user demo:demo
	look unknown "a name that is no app" --user demo:demo

	title "Another push to feature/red"
	sed -i 's/Red guestbook/Crimson guestbook/' guestbook/templates/base.html
	commit "Make it crimson"
	deploy feature/red
	look feature-red "the new commit" --user demo:demo

	title "What is there"
	"$program" list
	cat <<-END

		Try next:
		  a browser:        $(url feature-red)   (user demo, password demo; in the app as well)
		  your own project: build/review-executor --config ${demo#"$root/"}/config.toml try DIR
		  one app's end:    build/review-executor --config ${demo#"$root/"}/config.toml stop feature-blue
		  the demo's end:   make demo-stop
	END
}

commit() {
	git add --all
	git -c user.name=Demo -c user.email=demo@example.org commit --quiet --message "$1"
}

deploy() {
	echo "\$ review-executor try . --branch $1"
	"$program" try . --branch "$1" --variable REVIEW_HEALTH_PATH=/healthz --variable REVIEW_VOLUMES=/data \
		--variable REVIEW_RELEASE_COMMAND="python3 manage.py migrate --noinput" --service localhost/review-demo/redis=redis
}

url() { echo "http://$1.review.localhost:$(cat "$demo/port")"; }

# look shows the status and the title of an app's page, and the commit on it.
look() {
	local name=$1 what=$2
	shift 2
	printf '%-24s' "$what:"
	curl --silent --include --resolve "$name.review.localhost:$(cat "$demo/port"):127.0.0.1" "$@" "$(url "$name")/" |
		tr -d '\r' | sed -n 's/^HTTP[^ ]* //p; s/.*<title>\(.*\)<\/title>.*/\1/p; s/.*\([0-9a-f]\{40\}\).*/commit \1/p' | awk '!seen[$0]++' | paste -sd, | sed 's/,/, /g'
}

stop() {
	[ -e "$demo" ] || { echo "The demo is not running."; exit; }
	export REVIEW_EXECUTOR_CONFIG=$demo/config.toml
	for app in $("$program" list --output json | sed -n 's/^ *"name": "\(.*\)",$/\1/p'); do
		"$program" stop "$app" || true # Podman may be gone, after a reboot for one
	done
	title "What is left: containers, volumes, networks, virtual hosts of apps, records"
	"$demo/podman" ps --all --quiet || true
	"$demo/podman" volume ls --quiet || true
	"$demo/podman" network ls --quiet --filter label=review-executor.role || true
	find "$demo/vhosts" -name 'app-*'
	find "$demo/state" -type f -not -path '*/ended/*' -not -name front.json -not -name podman.json # how each has ended is remembered, the runs are counted, and where Podman's store is
	cd "$root"
	scripts/host.sh down "$(readlink "$demo")"
	rm -f "$demo"
	echo "Nothing. The demo's Podman service and Apache are gone too."
}

title() { printf '\n== %s\n' "$*"; }

case ${1-} in
start) start ;;
stop) stop ;;
*) sed -n 's/^# \{0,1\}//; 2,6p' "$0" >&2; exit 2 ;;
esac
