#!/usr/bin/env bash
# Makes a .deb and an .rpm: package.sh DIR ARCH, with Go's name of the architecture.
#
# The same commit makes the same bytes, wherever and whenever. $NFPM is nfpm. The files
# as they are laid out stay in DIR/ARCH. $PACKAGERS may choose one of "deb rpm".
# $NATIVE may be the program of the same commit for this machine.
set -euo pipefail
out=$(mkdir -p "$1" && realpath "$1") ARCH=$2
cd "$(dirname "$0")/.."
umask 022
VERSION=$(scripts/version.sh)
STAGE=$out/$ARCH
SOURCE_DATE_EPOCH=$(git show -s --format=%ct HEAD)
export ARCH VERSION STAGE SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C

build() { go build -trimpath -ldflags "-s -w -X main.linkedVersion=$VERSION" -o "$@" ./cmd/review-executor; }

# put MODE FILE... DIRECTORY of the package; no file is no error, as of a pattern without a match
put() {
	local mode=$1 to=$STAGE/${*: -1} file
	for file in "${@:2:$#-2}"; do
		[ ! -f "$file" ] || install -D -m "$mode" "$file" "$to/$(basename "$file")"
	done
}

shopt -s nullglob
rm -rf "$STAGE"
mkdir -p "$STAGE/work"
GOARCH=$ARCH GOOS=linux build "$STAGE/work/review-executor"
put 755 "$STAGE/work/review-executor" usr/bin

# Pages and completions come from the program, one that runs here.
native=${NATIVE-$STAGE/work/review-executor}
if [ -z "${NATIVE-}" ] && [ "$ARCH" != "$(go env GOHOSTARCH)" ]; then
	native=$STAGE/work/native
	GOARCH= build "$native"
fi
"$native" man "$STAGE/work/man"
gzip -9n "$STAGE"/work/man/*
put 644 "$STAGE"/work/man/* usr/share/man/man1
for shell in bash zsh fish; do "$native" completion "$shell" >"$STAGE/work/$shell"; done
install -D -m 644 "$STAGE/work/bash" "$STAGE/usr/share/bash-completion/completions/review-executor"
install -D -m 644 "$STAGE/work/zsh" "$STAGE/usr/share/zsh/vendor-completions/_review-executor"
install -D -m 644 "$STAGE/work/fish" "$STAGE/usr/share/fish/vendor_completions.d/review-executor.fish"

put 644 packaging/systemd/* usr/lib/systemd/system
put 644 packaging/polkit/* usr/share/polkit-1/rules.d
put 644 packaging/sysusers.d/* usr/lib/sysusers.d
put 644 packaging/tmpfiles.d/* usr/lib/tmpfiles.d

doc=usr/share/doc/review-executor
put 644 README.md docs/* packaging/copyright "$doc"
put 644 ci-templates/review-app.yml "$doc/ci-templates"
gzip -9n <CHANGELOG.md >"$STAGE/$doc/changelog.gz"
printf 'review-executor (%s-1) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- %s  %s\n' "$VERSION" \
	"$(sed -n 's/^maintainer: //p' packaging/nfpm.yaml)" "$(date -R -d "@$SOURCE_DATE_EPOCH")" |
	gzip -9n >"$STAGE/$doc/changelog.Debian.gz"
put 644 packaging/lintian/review-executor usr/share/lintian/overrides

# dpkg purges with a script, and for rpm there is a program.
sed -e '/^@PURGE@$/{' -e 'r packaging/scripts/purge.sh' -e 'd' -e '}' packaging/scripts/postrm >"$STAGE/work/postrm"
{ printf '#!/bin/sh\n'; cat packaging/scripts/purge.sh; printf '\npurge\n'; } >"$STAGE/work/purge"

find "$STAGE" -exec touch --no-dereference -d "@$SOURCE_DATE_EPOCH" {} +
sed "s|@STAGE@|$STAGE|" packaging/nfpm.yaml >"$STAGE/work/nfpm.yaml"
for packager in ${PACKAGERS-deb rpm}; do
	said=$("${NFPM-build/nfpm}" package --config "$STAGE/work/nfpm.yaml" --packager "$packager" --target "$out" 2>&1) || { echo "$said" >&2; exit 1; }
done
rm -rf "$STAGE/work"
