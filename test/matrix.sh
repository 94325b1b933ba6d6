#!/bin/bash
# bash test/matrix.sh [--help] [SUITE[/ARCHITECTURE]...] [-- PART...]
#
# Runs test/check.sh of the last commit in a bare root of each SUITE of Debian,
# one after another, and prints a table of PostgreSQL's version, part and result.
# The default is
#
#   bookworm trixie sid     PostgreSQL 15, 17, 18: all parts, and "compilers"
#   bookworm/i386           32 bits: the parts build and regress
#
# PART... are parts of test/check.sh.  The last line is "N passed, N failed".
#
# Runs as root on Debian or Ubuntu, with debootstrap.  The packages are from the
# mirror of Debian that apt uses.  The processor, or qemu-user, must be able to
# run the programs of the architecture.
#
#   MIRROR=   use this mirror
#   ROOTS=    make the roots in this folder, and keep them for the next run
#   LOGS=     write the output of each root to this folder (./build/matrix)

set -uo pipefail

# shellcheck source=test/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

root=
release_root() {
	[ -n "$root" ] || return
	umount -l "$root/dev/shm" "$root/proc" 2>/dev/null
	rm -rf --one-file-system "$root/srv/impilo_fdw"
	[ -n "${ROOTS:-}" ] || rm -rf --one-file-system "$root"
	root=
}

find_mirror() {
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

# make_root SUITE ARCHITECTURE: makes and prepares the folder $root
make_root() {
	root=$roots/$1-$2
	if [ ! -e "$root/.ready" ]; then
		rm -rf --one-file-system "$root"
		debootstrap --variant=minbase --arch="$2" "$1" "$root" "$MIRROR" || return 1
		# no package starts a service
		printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
		chmod +x "$root/usr/sbin/policy-rc.d"
		touch "$root/.ready"
	fi
	cp /etc/resolv.conf "$root/etc/"
	cp /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null
	mkdir -p "$root/proc" "$root/dev/shm" "$root/srv/impilo_fdw"
	mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/dev/shm" &&
		git clone -q --depth 1 "file://$top" "$root/srv/impilo_fdw"
}

# check_root PART...: runs test/check.sh in $root
check_root() {
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb SLOW="${SLOW:-}" \
		chroot "$root" bash /srv/impilo_fdw/test/check.sh "$@" </dev/null
}

# rows NAME LOG STATUS: prints "NAME POSTGRESQL PART PASSED FAILED" for each part,
# and a failure if STATUS is that of a script that ended before the last part
rows() {
	awk -v name="$1" -v status="$3" '
		/^PostgreSQL [0-9.]+/ { sub(/,.*/, "", $2); version = $2 }
		/^\[[ 0-9]+\/[0-9]+\] *[a-z]+ +[0-9]+ passed +[0-9]+ failed +[0-9]+ s$/ {
			sub(/^\[[^]]*\] */, "")
			print name, version, $1, $2, $4
			failed += $4
		}
		END { if (status && !failed) print name, (version == "" ? "-" : version), "stopped", 0, 1 }' "$2"
}

usage_error() {
	echo 'usage: bash test/matrix.sh [--help] [SUITE[/ARCHITECTURE]...] [-- PART...]' >&2
	exit 2
}

suites=()
parts=()
while [ $# -gt 0 ]; do
	case $1 in
		--help | -h) usage; exit ;;
		--) shift; parts=("$@"); break ;;
		-*) usage_error ;;
		*) suites+=("$1") ;;
	esac
	shift
done
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie sid bookworm/i386)

[ "$(id -u)" = 0 ] || die 'only root can make a root of Debian'
cd "$top" || exit 1
need debootstrap git
MIRROR=${MIRROR:-$(find_mirror)}
[ -n "$MIRROR" ] || die 'apt uses no mirror of Debian: set MIRROR'
roots=${ROOTS:-$(mktemp -d "${TMPDIR:-/tmp}/impilo-matrix.XXXXXX")}
logs=${LOGS:-$top/build/matrix}
mkdir -p "$roots" "$logs"
all=$logs/results
: >"$all"
trap 'release_root; [ -n "${ROOTS:-}" ] || rm -rf --one-file-system "$roots"' EXIT
trap 'exit 130' INT TERM

for suite in "${suites[@]}"; do
	architecture=$(dpkg --print-architecture)
	case $suite in */*) architecture=${suite#*/} ;; esac
	log=$logs/${suite%/*}-$architecture.log
	wanted=("${parts[@]}")
	if [ ${#parts[@]} = 0 ]; then
		case $architecture in
			i386 | armhf | armel) wanted=(build regress) ;;
			*) wanted=(build clang release style unit fuzz sandbox regress tap sanitize valgrind compilers) ;;
		esac
	fi
	say "$suite: ${wanted[*]}, output in $log"
	status=0
	make_root "${suite%/*}" "$architecture" >"$log" 2>&1 &&
		check_root "${wanted[@]}" >>"$log" 2>&1 || status=1
	rows "$suite" "$log" $status | tee -a "$all" | awk '{ printf "  %-10s %5d passed %4d failed\n", $3, $4, $5 }'
	release_root
done

# one line for each part, one column for each root
awk '
	!seen[$1]++ { column[++columns] = $1 }
	{ version[$1] = $2; result[$1, $3] = $5 ? $5 " FAILED" : $4 " passed" }
	!known[$3]++ { part[++parts] = $3 }
	{ passed += $4; failed += $5 }
	END {
		printf "\n%-12s", ""
		for (c = 1; c <= columns; c++) printf "%-15s", column[c]
		printf "\n%-12s", "PostgreSQL"
		for (c = 1; c <= columns; c++) printf "%-15s", version[column[c]]
		for (p = 1; p <= parts; p++) {
			printf "\n%-12s", part[p]
			for (c = 1; c <= columns; c++)
				printf "%-15s", ((column[c], part[p]) in result) ? result[column[c], part[p]] : "-"
		}
		printf "\n\n%d passed, %d failed\n", passed, failed
		exit failed > 0
	}' "$all"
