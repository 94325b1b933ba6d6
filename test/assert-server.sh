#!/bin/bash
# test/assert-server.sh FOLDER [VERSION]
#
# Builds PostgreSQL VERSION (default: that of pg_config) with assertions in
# FOLDER, and prints the path of its pg_config.  This server overwrites freed
# memory, fills allocated memory with random bytes, copies, writes and reads each
# plan before it executes it, and releases cache entries as early as possible.
#
# Uses the source package of the distribution.  The package lists are fetched
# into FOLDER; those of the machine are not changed.  Does not run as root, so
# that nothing can be installed outside FOLDER.  Requires bison and flex.

set -euo pipefail

# shellcheck source=test/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -gt 0 ] || die 'usage: assert-server.sh FOLDER [VERSION]'
[ "$(id -u)" != 0 ] || die 'does not run as root'
version=${2:-$("${PG_CONFIG:-pg_config}" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')}
mkdir -p "$1"
folder=$(cd "$1" && pwd)

# Fetches the source package, with the machine's package sources.
fetch_source() {
	local file release
	local -a apt=(apt-get -q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$folder/sources"
		-o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o Debug::NoLocking=true)

	mkdir -p sources lists/partial cache/archives/partial
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		[ ! -r "$file" ] || sed -E 's/^deb([[:space:]])/deb-src\1/; s/^Types:.*/Types: deb-src/' \
			"$file" >"sources/${file##*/}"
	done
	"${apt[@]}" update || return 1
	# a mirror may list a version that it does not have
	for release in $("${apt[@]/apt-get/apt-cache}" showsrc "postgresql-$version" |
		sed -n 's/^Version: //p' | sort -rV); do
		"${apt[@]}" source --only-source --download-only "postgresql-$version=$release" && return 0
	done
	return 1
}

exec 3>&1 4>&2 >"$folder/log" 2>&1
trap '[ $? = 0 ] || tail -n 40 "$folder/log" >&4' EXIT
cd "$folder"
fetch_source || die "cannot fetch the source of PostgreSQL $version"
mkdir -p source build
tar -C source --strip-components=1 -xf postgresql-"$version"_*.orig.tar.*
cd build
flags='-O1 -DRANDOMIZE_ALLOCATED_MEMORY -DCOPY_PARSE_PLAN_TREES -DWRITE_READ_PARSE_PLAN_TREES'
flags+=' -DRAW_EXPRESSION_COVERAGE_TEST -DRELCACHE_FORCE_RELEASE -DCATCACHE_FORCE_RELEASE'
../source/configure --prefix="$folder/postgres" --enable-cassert --enable-debug --enable-tap-tests \
	--without-icu --without-readline --without-zlib CFLAGS="$flags"
make -s -j2 install
echo "$folder/postgres/bin/pg_config" >&3
