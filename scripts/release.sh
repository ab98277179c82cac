#!/usr/bin/env bash
# Makes everything of a release in an empty directory: release.sh DIR ARCH...
#
# For each architecture: a .deb, an .rpm, an archive with the same files, and what the
# program was built from as CycloneDX. SHA256SUMS has the hashes of all. The same
# commit makes the same bytes, wherever and whenever.
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && realpath "$1")
cd "$scripts/.."
umask 022
rm -rf "${out:?}"/*
version=$(scripts/version.sh)
SOURCE_DATE_EPOCH=$(git show -s --format=%ct HEAD)
export SOURCE_DATE_EPOCH LC_ALL=C

for arch in "${@:2}"; do
	scripts/package.sh "$out" "$arch"
	[ "$arch" != "$(go env GOHOSTARCH)" ] || export NATIVE=$out/$arch/usr/bin/review-executor
	name=review-executor-$version-linux-$arch
	go run ./internal/sbom -version "$version" "$out/$arch/usr/bin/review-executor" >"$out/$name.cdx.json"
	install -D -m 644 packaging/config.toml "$out/$arch/etc/review-executor/config.toml"
	install -D -m 644 packaging/logrotate.d/review-executor "$out/$arch/etc/logrotate.d/review-executor"
	tar -C "$out/$arch" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - etc usr |
		gzip -n >"$out/$name.tar.gz"
done
for arch in "${@:2}"; do rm -r "${out:?}/$arch"; done
cd "$out"
sha256sum -- * >"$out/../SHA256SUMS.new"
mv "$out/../SHA256SUMS.new" SHA256SUMS
