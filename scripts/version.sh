#!/usr/bin/env bash
# Prints the version of this checkout as packages write it: 1.2.3 at the tag v1.2.3,
# 1.2.3+5.g3f2c1a9 five commits later, 0.0~git20260131.3f2c1a9 where there is no tag.
# What is not committed adds "+dirty". $VERSION overrides all.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -z "${VERSION-}" ] || { echo "$VERSION"; exit; }
git rev-parse --quiet --verify HEAD >/dev/null || { echo "error: this is no git checkout: set VERSION" >&2; exit 1; }

if tag=$(git describe --tags --match 'v[0-9]*' --abbrev=7 2>/dev/null); then
	version=$(sed -E 's/^v//; s/-([0-9]+)-g([0-9a-f]+)$/+\1.g\2/; s/-/~/g' <<<"$tag")
else
	version=0.0~git$(TZ=UTC git show -s --date=format-local:%Y%m%d --format=%cd HEAD).$(git rev-parse HEAD | cut -c1-7)
fi
case $version in *[!A-Za-z0-9.+~]*) echo "error: the tag $tag makes no version of a package" >&2; exit 1 ;; esac
[ -z "$(git status --porcelain)" ] || version+=+dirty
echo "$version"
