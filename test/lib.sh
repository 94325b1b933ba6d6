# shellcheck shell=bash
#
# Functions for demo.sh, check.sh and bench/run: packages, a private copy of
# PostgreSQL, a private folder that is removed at the end.  This file is
# sourced.
#
# The caller is root, a user with sudo, or any user if no package is missing.
# Only apt-get runs as root.  PostgreSQL refuses to run as root, so if the
# caller is root everything else runs as the user postgres (or nobody).

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
	printf '%s\n' "$*"
}

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# Prints the comment at the head of the script.
usage() {
	sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}

#----------------------------------------------------------------------
# Packages
#----------------------------------------------------------------------

# need_is_met PACKAGE: whether what the package provides is present.  The check
# is not for the package itself: another package can provide the same, and some
# of these exclude each other.
need_is_met() {
	case $1 in
		libc6-dev) [ -e /usr/include/stdio.h ] ;;
		libcurl4-openssl-dev) has_library libcurl ;;
		libjson-c-dev) has_library json-c ;;
		libmicrohttpd-dev) has_library libmicrohttpd ;;
		zlib1g-dev) has_library zlib ;;
		libipc-run-perl) perl -MIPC::Run -e 1 2>/dev/null ;;
		perl) perl -MTest::More -MJSON::PP -e 1 2>/dev/null ;;
		util-linux) command -v runuser >/dev/null ;;
		libclang-rt-dev) echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }' |
			clang -xc - -fsanitize=fuzzer,address,undefined -o /dev/null 2>/dev/null ;;
		pg-bsd-indent) command -v pg_bsd_indent >/dev/null ;;
		ca-certificates) [ -e /etc/ssl/certs/ca-certificates.crt ] ;;
		postgresql-server-dev-*) [ -e "/usr/include/postgresql/${1##*-}/server/postgres.h" ] ;;
		postgresql-[0-9]*) [ -x "/usr/lib/postgresql/${1##*-}/bin/initdb" ] &&
			[ -x "/usr/lib/postgresql/${1##*-}/bin/postgres" ] ;;
		*) command -v "$1" >/dev/null || is_installed "$1" ;;
	esac
}

has_library() {
	command -v pkg-config >/dev/null && pkg-config --exists "$1"
}

is_installed() {
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		command -v sudo >/dev/null ||
			die "root is needed for: $*; run it as root, or install sudo"
		sudo "$@"
	fi
}

apt_ready=

# apt_get ARGUMENT...: prints apt-get's output only if it fails, and a line
# every 15 seconds while it runs
apt_get() {
	local log progress status=0 start=$SECONDS
	log=$(mktemp)
	while sleep 15 >/dev/null 2>&1; do
		say "  apt-get $1 is running, $((SECONDS - start)) s"
	done &
	progress=$!
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get -q -y -o Dpkg::Options::=--force-confold \
		-o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 </dev/null || status=1
	kill "$progress"
	[ $status = 0 ] || cat "$log" >&2
	rm -f "$log"
	return $status
}

# Fetches the package lists once: a bare machine has none, others may be old.
# apt-get does not wait for another program that fetches them.
apt_lists() {
	local try=1

	[ -z "$apt_ready" ] || return 0
	command -v apt-get >/dev/null ||
		die 'there is no apt-get: install the packages that docs/install.md lists'
	say 'fetching the package lists'
	until apt_get update; do
		[ $((try++)) -lt 6 ] || die 'apt-get update failed'
		sleep 10
	done
	apt_ready=yes
}

# need PACKAGE...: installs the missing ones
need() {
	local package
	local -a missing=()

	for package in "$@"; do
		need_is_met "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	apt_lists
	say "installing ${missing[*]}"
	apt_get install --no-install-recommends "${missing[@]}" ||
		die "could not install ${missing[*]}"
}

# may_need PACKAGE: as need, but fails if the distribution has no such package
may_need() {
	need_is_met "$1" && return 0
	command -v apt-get >/dev/null || return 1
	apt_lists
	apt-cache show "$1" >/dev/null 2>&1 || return 1
	need "$1"
}

# may_need_all PACKAGE...: installs those that the distribution has.  Fails if one
# is still missing; the others are installed nevertheless.
may_need_all() {
	local package status=0
	local -a available=()

	for package in "$@"; do
		need_is_met "$package" || available+=("$package")
	done
	[ ${#available[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null || return 1
	apt_lists
	set -- "${available[@]}"
	available=()
	for package in "$@"; do
		if apt-cache show "$package" >/dev/null 2>&1 &&
			apt-get -q -s install --no-install-recommends "$package" >/dev/null 2>&1; then
			available+=("$package")
		else
			status=1
		fi
	done
	[ ${#available[@]} = 0 ] || (need "${available[@]}") || status=1
	return $status
}

# borrow PROGRAM: unpacks the package of a server program into the private
# folder.  Installing the package would start a service.  Fails if the package
# is not available.
borrow() {
	local program=$1 folder=$private_folder/borrowed

	PATH=$PATH:/usr/sbin command -v "$program" >/dev/null && return 0
	command -v apt-get >/dev/null || return 1
	mkdir -p "$folder"
	(
		cd "$folder" || exit 1
		apt-get -q download "$program" >/dev/null 2>&1 ||
			{ apt_lists && apt-get -q download "$program" >/dev/null 2>&1; } &&
			dpkg-deb -x "$program"_*.deb . &&
			[ -x "usr/sbin/$program" ]
	)
}

#----------------------------------------------------------------------
# PostgreSQL
#----------------------------------------------------------------------

create_main=/etc/postgresql-common/createcluster.conf

# Debian's server package creates and starts a cluster "main", unless
# createcluster.conf says otherwise while the package is installed.
need_server() {
	local version=$1 status=0

	if ! need_is_met "postgresql-$version"; then
		if ! is_installed postgresql-common; then
			need postgresql-common
		fi
		as_root cp -p "$create_main" "$create_main.saved"
		echo 'create_main_cluster = false' | as_root tee -a "$create_main" >/dev/null
		(need "postgresql-$version") || status=1
		as_root mv "$create_main.saved" "$create_main"
		[ $status = 0 ] || exit 1
	fi
	need "postgresql-server-dev-$version"
}

# Sets PG_CONFIG to what the caller named, else to the newest supported server
# that is installed, else to the distribution's default.
choose_postgres() {
	local version found=

	if [ -n "${PG_CONFIG:-}" ]; then
		PG_CONFIG=$(command -v "$PG_CONFIG") || die 'PG_CONFIG is not a program'
		[ -x "$("$PG_CONFIG" --bindir)/initdb" ] ||
			die "this PostgreSQL has no server: $PG_CONFIG"
		return
	fi
	for version in 18 17 16 15; do
		if need_is_met "postgresql-$version"; then
			found=$version
			break
		fi
	done
	if [ -z "$found" ]; then
		apt_lists
		found=$(apt-cache depends postgresql 2>/dev/null |
			sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
		case $found in
			15 | 16 | 17 | 18) ;;
			*) die "PostgreSQL 15 to 18 is needed; this distribution has ${found:-none}" ;;
		esac
	fi
	need_server "$found"
	PG_CONFIG=/usr/lib/postgresql/$found/bin/pg_config
}

# private_postgres FOLDER: copies the installation of PG_CONFIG, so that the
# extension can be installed without touching the original.  Sets PG_CONFIG
# and BINDIR to those of the copy.
#
# PostgreSQL finds its libraries and scripts relative to its program.  The
# programs are copied, the folders that "make install" writes to are created,
# and everything else is a link.
private_postgres() {
	local root=$1 from=$PG_CONFIG share lib include folder entry

	BINDIR=$("$from" --bindir)
	share=$("$from" --sharedir)
	lib=$("$from" --pkglibdir)

	mkdir -p "$root$BINDIR"
	cp "$BINDIR"/* "$root$BINDIR/"
	[ -e "$root$BINDIR/pg_config" ] || cp "$from" "$root$BINDIR/pg_config"
	for folder in "$lib" "$share" "$share/extension"; do
		mkdir -p "$root$folder"
		for entry in "$folder"/*; do
			case ${entry##*/} in
				extension | bitcode | impilo_fdw*) ;;
				*) ln -s "$entry" "$root$folder/" ;;
			esac
		done
	done
	for include in "$("$from" --includedir-server)" "$("$from" --pkgincludedir)"; do
		[ -e "$root$include" ] && continue
		mkdir -p "$(dirname "$root$include")"
		ln -s "$include" "$root$include"
	done
	BINDIR=$root$BINDIR
	PG_CONFIG=$BINDIR/pg_config
	[ "$("$PG_CONFIG" --sharedir)" = "$root$share" ] ||
		die "this PostgreSQL cannot be copied: $from"
}

# start_postgres FOLDER: starts a server with its data, socket and log in
# FOLDER, without TCP
start_postgres() {
	local home=$1

	"$BINDIR/initdb" -D "$home/data" -U postgres -A trust -E UTF8 \
		--locale=C.UTF-8 --no-sync >"$home/initdb.log" 2>&1 ||
		{ cat "$home/initdb.log" >&2; die 'initdb failed'; }
	cat >>"$home/data/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$home'
		port = 5432
		fsync = off
		max_connections = 30
		shared_buffers = 16MB
	END
	"$BINDIR/pg_ctl" -D "$home/data" -l "$home/server.log" -w -t 60 start >/dev/null ||
		{ cat "$home/server.log" >&2; die 'the server did not start'; }
	export PGHOST=$home PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

#----------------------------------------------------------------------
# The private folder, and the unprivileged half of a script
#----------------------------------------------------------------------

# Prints the user that runs everything except apt-get.
worker() {
	if [ "$(id -u)" != 0 ]; then
		id -un
	elif id postgres >/dev/null 2>&1; then
		echo postgres
	else
		echo nobody
	fi
}

# copy_checkout FOLDER: copies the checkout without .git and built files
copy_checkout() {
	local to=$1

	mkdir -p "$to"
	tar -C "$top" --warning=no-file-changed --exclude=./.git --exclude='*.o' --exclude='*.so' \
		--exclude='*.bc' --exclude='*.a' --exclude='impilo_sandbox' \
		--exclude='impilo_sandbox_*' --exclude=./results --exclude=./log \
		--exclude=./build --exclude=./test/fuzz/build \
		--exclude=tmp_check --exclude=__pycache__ -cf - . | tar -C "$to" -xf - --no-same-owner
}

# sweep FOLDER: stops the PostgreSQL servers in FOLDER and removes it
sweep() {
	local folder=$1 file pid

	[ -n "$folder" ] && [ -d "$folder" ] || return 0
	find "$folder" -name postmaster.pid 2>/dev/null | while read -r file; do
		pid=$(head -n 1 "$file")
		kill -INT "$pid" 2>/dev/null || continue
		for _ in $(seq 50); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -QUIT "$pid" 2>/dev/null || true
	done
	rm -rf "$folder"
}

# in_private_folder SCRIPT [ARGUMENT...]: copies the checkout into a new folder,
# runs SCRIPT of the copy as the worker with HOME_FOLDER set to the folder, and
# returns its exit code.  At the end all its processes are stopped and the
# folder is removed, unless the script created the file "keep" in it.  The
# function prepare_private_folder is called before if it is defined.
in_private_folder() {
	local script=$1 user status=0
	local -a run=()
	shift

	umask 022
	user=$(worker)
	private_folder=$(mktemp -d "${TMPDIR:-/tmp}/impilo.XXXXXX")
	# a socket's path has at most 107 bytes
	if [ ${#private_folder} -gt 60 ]; then
		rmdir "$private_folder"
		private_folder=$(mktemp -d /tmp/impilo.XXXXXX)
	fi
	child=
	trap 'end_private_folder' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM

	copy_checkout "$private_folder/source"
	if declare -F prepare_private_folder >/dev/null; then
		prepare_private_folder
	fi
	if [ "$user" != "$(id -un)" ]; then
		chown -R "$user" "$private_folder"
		run=(runuser -u "$user" --)
	fi

	# A separate session, so that all its processes can be stopped.
	cd "$private_folder" || exit 1
	setsid "${run[@]}" env -u CDPATH HOME="$private_folder" TMPDIR="$private_folder" \
		HOME_FOLDER="$private_folder" PG_CONFIG="$PG_CONFIG" \
		LC_ALL=C.UTF-8 TZ=UTC \
		bash "$private_folder/source/$script" "$@" </dev/null &
	child=$!
	wait "$child" || status=$?
	return $status
}

# end_session ID SIGNAL: signals every process of a session that we started;
# fails if there is none
end_session() {
	local file line found=1
	local -a field

	for file in /proc/[0-9]*/stat; do
		read -r line 2>/dev/null <"$file" || continue
		# after the name: state, parent, group, session
		read -r -a field <<<"${line##*) }"
		if [ "${field[3]:-}" = "$1" ]; then
			file=${file#/proc/}
			kill "-$2" "${file%/stat}" 2>/dev/null && found=0
		fi
	done
	return $found
}

end_private_folder() {
	trap '' HUP INT TERM
	if [ -n "$child" ] && [ ! -e "$private_folder/keep" ]; then
		end_session "$child" TERM && sleep 0.5
		end_session "$child" KILL
	fi
	cd / || true
	[ -e "$private_folder/keep" ] || sweep "$private_folder"
}
