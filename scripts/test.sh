#!/usr/bin/env bash
# Runs everything: formatting, linters, and all tests, in random order, on
# review hosts of their own. The whole output is in build/test.log; tests that
# were skipped are listed at the end with their reasons.
#
# Real networks and real disks fail at times for reasons that are not ours, so up
# to three failed tests run once more, alone. Who fails again has failed; who
# passes is named at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build

scripts/install.sh
scripts/install.sh chromium || echo "Without Chromium, its tests are skipped."
unformatted=$(gofmt -l cmd apache doctor executor gitlab internal packaging pages podman review runner supervisor webhook)
[ -z "$unformatted" ] || { echo "gofmt would change: $unformatted" >&2; exit 1; }
make --no-print-directory lint

# GitLab's own parser of .gitlab-ci.yml is not to be had; this is the closest.
# It needs Node.js 20, which Debian has from 13 on.
nodejs=$(apt-cache policy nodejs | sed -n 's/^ *Candidate: \([0-9]*\).*/\1/p')
if ! command -v npm >/dev/null && [ "${nodejs:-0}" -ge 20 ]; then
	scripts/install.sh nodejs npm
fi
ci_local=${XDG_CACHE_HOME:-$HOME/.cache}/review-executor/gitlab-ci-local-4.73.0
if [ ! -e "$ci_local/done" ] && command -v npm >/dev/null; then
	npm install --silent --no-save --ignore-scripts --prefix "$ci_local" gitlab-ci-local@4.73.0 >/dev/null && touch "$ci_local/done"
fi
export GITLAB_CI_LOCAL=$ci_local/node_modules/.bin/gitlab-ci-local

# The accessibility check of the pages.
axe_core=${XDG_CACHE_HOME:-$HOME/.cache}/review-executor/axe-core-4.14.1
export AXE_CORE=$axe_core/node_modules/axe-core/axe.min.js
if [ ! -e "$AXE_CORE" ] && command -v npm >/dev/null; then
	npm install --silent --no-save --ignore-scripts --prefix "$axe_core" axe-core@4.14.1 >/dev/null || true
fi

echo "Running the tests; their output is in build/test.log"
rm -f build/again.log
status=0
# One package at a time of those that have a review host: root's share the firewall of this
# machine. Beside them the others, one at a time as well: the acceptance host has no network.
mapfile -t hosts < <(go list -f '{{.ImportPath}} {{join .TestImports " "}} {{join .XTestImports " "}} ' ./... | sed -n 's|^\([^ ]*\) .*/internal/hosttest .*|\1|p')
mapfile -t others < <(go list ./... | grep -vxF -f <(printf '%s\n' "${hosts[@]}"))
run() { # run LOG PACKAGE...
	go test -p 1 -count=1 -shuffle=on -timeout=80m -v "${@:2}" >"$1" 2>&1
}
set -m # a process group of its own, to end all of it
run build/test-others.log "${others[@]}" &
beside=$!
set +m
trap 'kill -- "-$beside" 2>/dev/null || true' EXIT
run build/test.log "${hosts[@]}" || status=$?
wait "$beside" || status=$?
trap - EXIT
cat build/test-others.log >>build/test.log
rm build/test-others.log
grep -aE '^(ok|FAIL|panic:|\?) ' build/test.log || true

# failed prints "PACKAGE TEST|TEST..." of every package with failed tests, and
# "PACKAGE" of those that failed otherwise.
failed() {
	awk '
		/^--- FAIL: / { tests = tests (tests ? "|" : "") $3 }
		/^(ok|FAIL)\t/ { if ($1 == "FAIL") print $2, tests; tests = "" }
	' build/test.log
}
again=()
if [ "$status" -ne 0 ]; then
	mapfile -t again < <(failed)
	if [ ${#again[@]} -gt 0 ] && [ "$(printf '%s\n' "${again[@]}" | tr '|' '\n' | wc -l)" -le 3 ]; then
		status=0
		for line in "${again[@]}"; do
			read -r package tests <<<"$line"
			[ -n "$tests" ] || { status=1; continue; }
			go test -count=1 -timeout=80m -v -run "^($tests)\$" "$package" >>build/again.log 2>&1 || status=1
		done
	fi
fi

# What each failed test said, which go test -v writes before its verdict.
awk '
	/^=== (RUN|CONT|NAME) / { test = $3; next }
	/^ *--- FAIL: / { print; printf "%s", said[$3]; next }
	/^ *--- / || /^(ok|FAIL|PASS|\?)/ { test = ""; next }
	test { said[test] = said[test] $0 "\n" }
' build/test.log | cut -c1-1000
if grep -aq -- '--- SKIP' build/test.log; then
	echo "Skipped:"
	grep -a -B 1 -- '--- SKIP' build/test.log
fi
if [ ${#again[@]} -gt 0 ] && [ "$status" -eq 0 ]; then
	echo "Failed, and passed when run once more (see build/again.log):"
	printf '  %s\n' "${again[@]}"
	grep -aE '^(ok|FAIL) ' build/again.log
fi
exit $status
