# What the scripts share: packages, the build, private clusters, counting results. Sourced, never run.
# shellcheck shell=bash
# shellcheck disable=SC2034  # constants that only the sourcing scripts read

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
readonly ROOT

# The oldest major that META.json promises.
readonly OLDEST_MAJOR=15

# Every cluster has a socket directory of its own and no other address, so one port serves them all.
readonly CLUSTER_PORT=54329

# bind() takes 107 bytes of path on Linux.
readonly SOCKET_PATH_LIMIT=107

# What a build and a running server need beside PostgreSQL itself, and what the tests need beside that.
readonly BUILD_PACKAGES=(g++ make nlohmann-json3-dev libssl-dev zlib1g-dev perl procps)
readonly TEST_PACKAGES=(cmake libgtest-dev clang clang-format-14 libclang-rt-dev libipc-run-perl python3-asyncpg faketime pgbouncer)

# What the programs of test/drivers are written for, beside node-postgres.
readonly DRIVER_PACKAGES=(python3-asyncpg python3-psycopg libpostgresql-jdbc-java ecj default-jre-headless golang-go golang-github-lib-pq-dev ruby ruby-pg
	libpqxx-dev libdbd-pg-perl)

# What reads the figures of monitoring/.
readonly MONITORING_PACKAGES=(prometheus prometheus-postgres-exporter python3-yaml)
# What draws them.
readonly PLOT_PACKAGES=(gnuplot-nox fonts-dejavu-core)

# What the gateway is built with, beside the others.
readonly GATEWAY_PACKAGES=(libboost1.81-dev libpq-dev prometheus-cpp-dev)

# A server of one's own must not listen to settings meant for another one.
for variable in "${!PG@}"; do
	[ "$variable" = PG_CONFIG ] || unset "$variable"
done
unset variable
export LC_ALL=C.UTF-8

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
	BOLD='' DIM='' GREEN='' RED='' PLAIN=''
fi

say() {
	printf '%s\n' "$*"
}

die() {
	printf '%s%s: %s%s\n' "$RED" "$(basename "$0")" "$*" "$PLAIN" >&2
	exit 1
}

# A script's head comment is its manual.
usage() {
	sed -n '2,/^set -/{/^# shellcheck/d;/^#/s/^# \{0,1\}//p}' "$0"
}

# One line of a script's preparation: what, and how it stands.
step() {
	printf '  %s%-10s%s %s\n' "$BOLD" "$1" "$PLAIN" "$2"
}

indent() {
	sed 's/^/     /'
}

is_root() {
	[ "$(id -u)" = 0 ]
}

as_root() {
	if is_root; then
		"$@"
	else
		command -v sudo >/dev/null || die "'$*' needs root: run it as root, or install sudo"
		sudo "$@"
	fi
}

# PostgreSQL refuses to run as root: root hands its servers to the user that the Debian packages make.
SERVER_USER=$(id -un)
! is_root || SERVER_USER=${AUREN_SERVER_USER:-postgres}

# Runs a command as the server's user, in the present directory. setpriv keeps the environment and makes no
# session, so that a signal reaches the command itself.
as_server() {
	if is_root; then
		setpriv --reuid="$SERVER_USER" --regid="$(id -g "$SERVER_USER")" --init-groups \
			env HOME="${STATE:-/}" USER="$SERVER_USER" LOGNAME="$SERVER_USER" "$@"
	else
		"$@"
	fi
}

# ---- packages ------------------------------------------------------------------------------------------------------

package_version() {
	dpkg-query -W -f='${db:Status-Status} ${Version}' "$1" 2>/dev/null | sed -n 's/^installed //p' || true
}

# Newest major that can be built for here, if any.
installed_major() {
	local major
	major=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 'postgresql-server-dev-*' 2>/dev/null |
		sed -n 's/^installed postgresql-server-dev-\([0-9][0-9]\)$/\1/p' | sort -rn | head -n 1) || true
	if [ -n "$major" ] && [ "$major" -ge "$OLDEST_MAJOR" ]; then
		echo "$major"
	fi
}

# Installs a list of packages without a question, and without a cluster that nobody asked for.
apt_install() {
	local log quiet=/etc/postgresql-common/createcluster.d/auren_events.conf quieted='' failed='' policy=/usr/sbin/policy-rc.d policed=''
	log=$(mktemp)
	# Only the first installation of the server makes a cluster by itself; clusters that exist are not touched.
	if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
		as_root mkdir -p "$(dirname "$quiet")"
		echo 'create_main_cluster = false' | as_root tee "$quiet" >/dev/null
		quieted=yes
	fi
	# Prometheus and its exporters are installed for tests that start their own: none is to run as a service.
	if [[ " $*" == *" prometheus"* ]] && [ ! -e "$policy" ]; then
		printf '#!/bin/sh\ncase $1 in prometheus*) exit 101 ;; esac\nexit 0\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
		policed=yes
	fi
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@" </dev/null >"$log" 2>&1 || failed=yes
	if [ -n "$quieted" ]; then
		as_root rm -f "$quiet"
		as_root rmdir --ignore-fail-on-non-empty "$(dirname "$quiet")"
	fi
	[ -z "$policed" ] || as_root rm -f "$policy"
	if [ -n "$failed" ]; then
		tail -n 20 "$log" >&2
		rm -f "$log"
		die "these packages could not be installed: $*"
	fi
	rm -f "$log"
}

# ensure_packages PACKAGE...: what is missing of these, of PostgreSQL and of its server headers is installed,
# and PG_CONFIG, BINDIR and PG_MAJOR are set. A PG_CONFIG given by the caller stands for a PostgreSQL of its own.
# All of it must happen before the first server starts: an upgrade replaces the server's files under it.
ensure_packages() {
	local missing=() major='' package server headers
	for package in "$@"; do
		[ -n "$(package_version "$package")" ] || missing+=("$package")
	done
	if [ -z "${PG_CONFIG:-}" ]; then
		major=${AUREN_PG_MAJOR:-$(installed_major)}
		if [ -n "$major" ]; then
			server=$(package_version "postgresql-$major")
			headers=$(package_version "postgresql-server-dev-$major")
			# Of one version: a module built with headers of another minor version may not load.
			if [ -z "$server" ] || [ "$server" != "$headers" ]; then
				missing+=("postgresql-$major" "postgresql-server-dev-$major")
			fi
		fi
	fi

	if [ "${#missing[@]}" -gt 0 ] || { [ -z "${PG_CONFIG:-}" ] && [ -z "$major" ]; }; then
		command -v apt-get >/dev/null || die "not a Debian system: install ${missing[*]} by hand and set PG_CONFIG"
		# A repository that does not answer is no reason to stop when the others have what is needed.
		as_root apt-get update -q </dev/null >/dev/null 2>&1 || say "  apt-get update met an error; going on with what it has"
		if [ -z "${PG_CONFIG:-}" ] && [ -z "$major" ]; then
			major=$(apt-cache depends postgresql 2>/dev/null |
				sed -n 's/^ *Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1)
			[ -n "$major" ] || die "this distribution has no package postgresql; set PG_CONFIG"
			missing+=("postgresql-$major" "postgresql-server-dev-$major")
		fi
		step packages "installing ${missing[*]}"
		clusters_stop_all
		apt_install "${missing[@]}"
	fi

	find_postgres "$major"
	step packages "all there; PostgreSQL $(pg_version)"
}

# Sets PG_CONFIG, BINDIR and PG_MAJOR without installing anything.
find_postgres() {
	PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/${1:-$(installed_major)}/bin/pg_config}
	[ -x "$PG_CONFIG" ] || PG_CONFIG=$(command -v "$PG_CONFIG") || die "there is no pg_config to build with"
	export PG_CONFIG
	BINDIR=$("$PG_CONFIG" --bindir)
	PG_MAJOR=$(pg_version | sed 's/[^0-9].*//')
	[ "$PG_MAJOR" -ge "$OLDEST_MAJOR" ] || die "PostgreSQL $OLDEST_MAJOR or newer is needed, this is $(pg_version)"
	[ "$("$BINDIR/postgres" --version | awk '{print $3}')" = "$(pg_version)" ] ||
		die "server and server headers differ in version: install postgresql-$PG_MAJOR and postgresql-server-dev-$PG_MAJOR anew"
	id "$SERVER_USER" >/dev/null 2>&1 || die "there is no user $SERVER_USER to run servers as; set AUREN_SERVER_USER"
}

# ensure_server_package NAME: a package for the PostgreSQL that was chosen: cron (pg_cron) or wal2json. A server that the caller brought may have it or
# not; the tests say so.
ensure_server_package() {
	local package=postgresql-$PG_MAJOR-$1
	[ "$PG_CONFIG" = "/usr/lib/postgresql/$PG_MAJOR/bin/pg_config" ] || return 0
	[ -z "$(package_version "$package")" ] || return 0
	command -v apt-get >/dev/null || return 0
	as_root apt-get update -q </dev/null >/dev/null 2>&1 || true
	step packages "installing $package"
	apt_install "$package"
}

# The Debian package of node-postgres, which takes Debian's own Node.js. Where there is another one there is npm, and nothing is printed.
node_package() {
	command -v npm >/dev/null || echo node-pg
}

# What npm has of node-postgres, in the version that test/drivers names. STATE is set.
ensure_node_modules() {
	local folder=$STATE/drivers-node log
	command -v npm >/dev/null || return 0
	! cmp -s "$ROOT/test/drivers/package-lock.json" "$folder/package-lock.json" || [ ! -f "$folder/node_modules/pg/package.json" ] || return 0
	step packages "installing node-postgres"
	rm -rf --one-file-system "$folder"
	mkdir -p "$folder"
	cp "$ROOT"/test/drivers/package*.json "$folder/"
	log=$(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund 2>&1 </dev/null) || die "node-postgres could not be installed: $log"
}

pg_version() {
	"$PG_CONFIG" --version | awk '{print $2}'
}

# ---- Debian's archive --------------------------------------------------------------------------------------------------

# The Debian suites that have a major, the preferred one first.
debian_suites_of() {
	case $1 in
	15) echo bookworm ;;
	17) echo trixie ;;
	18) echo forky sid ;;
	*) echo "no Debian suite is known for PostgreSQL $1" >&2; return 1 ;;
	esac
}

# The mirror of Debian's main archive, as apt is configured here.
debian_mirror() {
	local found codename
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	found=$(apt-get indextargets --format '$(LABEL)|$(CODENAME)|$(REPO_URI)' 2>/dev/null |
		awk -F'|' -v codename="$codename" '$1 == "Debian" && $2 == codename { print $3; exit }')
	if [ -z "$found" ]; then
		found=$(sed -n 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p; s/^deb [^h]*\(http[^ ]*\).*/\1/p' \
			/etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
	fi
	[ -n "$found" ] || { echo "this machine's apt names no Debian mirror" >&2; return 1; }
	echo "$found"
}

# ---- where clusters and copies live ----------------------------------------------------------------------------------

# Sets STATE: run/ of the project, or a directory elsewhere when the server's user cannot reach that (a clone
# below a private home directory).
find_state() {
	local far
	[ -z "${STATE:-}" ] || return 0
	if mkdir -p "$ROOT/run" 2>/dev/null && [ -w "$ROOT/run" ] && as_server test -x "$ROOT/run" 2>/dev/null; then
		STATE=$ROOT/run
		return
	fi
	far=/var/tmp/auren_events-$(printf %s "$ROOT" | sha256sum | cut -c 1-12)
	# Others may write to the parent: only a directory that this user made is trusted.
	mkdir -m 755 "$far" 2>/dev/null || { [ -d "$far" ] && [ ! -L "$far" ] && [ -O "$far" ]; } ||
		die "$far belongs to somebody else"
	STATE=$far
	step state "$SERVER_USER cannot reach $ROOT/run: clusters live in $STATE"
}

# Makes a directory that the server's user owns and nobody else enters.
server_directory() {
	mkdir -p "$1"
	! is_root || chown "$SERVER_USER": "$1"
	chmod 700 "$1"
}

# ---- private clusters --------------------------------------------------------------------------------------------------
# A cluster is STATE/NAME: data/, log, the socket, and a marker that says it is ours. Whoever reaches the socket is
# superuser, so the directory is closed to everybody but the server's user (and root).

cluster_marker() {
	echo "$STATE/$1/auren_events.cluster"
}

cluster_socket() {
	if [ -f "$STATE/$1/socket_dir" ]; then
		cat "$STATE/$1/socket_dir"
	else
		echo "$STATE/$1"
	fi
}

# The cluster's own pg_ctl: the one that started it, which need not be of the PostgreSQL that is chosen now.
cluster_ctl() {
	local name=$1 bindir
	shift
	bindir=$(sed -n 's/^bindir=//p' "$(cluster_marker "$name")")
	[ -x "$bindir/pg_ctl" ] || bindir=${BINDIR:-$bindir}
	(cd "$STATE/$name" && as_server env "${SERVER_ENVIRONMENT[@]}" "$bindir/pg_ctl" -D "$STATE/$name/data" -s "$@") 9>&-
}

# Variables for the servers alone, set by scripts that run them under a sanitizer.
SERVER_ENVIRONMENT=()

cluster_exists() {
	[ -f "$(cluster_marker "$1")" ]
}

cluster_running() {
	cluster_exists "$1" && cluster_ctl "$1" status >/dev/null 2>&1
}

# cluster_start NAME [SETTING...]: makes the cluster when there is none and (re)starts it with these settings.
cluster_start() {
	local name=$1 dir=$STATE/$1 socket
	shift
	if [ -e "$dir" ] && ! cluster_exists "$name"; then
		die "$dir is not a cluster of ours; move it away"
	fi
	cluster_stop "$name"
	server_directory "$dir"
	printf 'A private cluster of %s; scripts of the project start, stop and remove it.\nbindir=%s\n' "$ROOT" "$BINDIR" \
		>"$(cluster_marker "$name")"

	# A socket path that is too long goes to a short directory, which is remembered.
	socket=$(cluster_socket "$name")
	if [ $((${#socket} + ${#CLUSTER_PORT} + 10)) -gt "$SOCKET_PATH_LIMIT" ] || [ ! -d "$socket" ]; then
		socket=$(mktemp -d /tmp/auren_events.XXXXXX)
		server_directory "$socket"
		echo "$socket" >"$dir/socket_dir"
	fi

	if [ -f "$dir/data/PG_VERSION" ] && [ "$(cat "$dir/data/PG_VERSION")" != "$PG_MAJOR" ]; then
		rm -rf --one-file-system "$dir/data"
	fi
	if [ ! -f "$dir/initialized" ] || [ ! -d "$dir/data" ]; then
		rm -rf --one-file-system "$dir/data" "$dir/initialized"
		(cd "$dir" && as_server "$BINDIR/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync) \
			>"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "initdb failed"; }
		echo "include 'auren.conf'" >>"$dir/data/postgresql.conf"
		touch "$dir/initialized"
	fi
	{
		echo "listen_addresses = ''"
		echo "port = $CLUSTER_PORT"
		echo "unix_socket_directories = '\"${socket//\'/\'\'}\"'"
		echo "unix_socket_permissions = 0700"
		echo "timezone = 'UTC'"
		echo "log_timezone = 'UTC'"
		echo "log_line_prefix = '%m [%p] %a '"
		[ $# = 0 ] || printf '%s\n' "$@"
	} >"$dir/data/auren.conf"
	! is_root || chown "$SERVER_USER": "$dir/data/auren.conf"
	if ! cluster_ctl "$name" -w -t 60 -l "$dir/log" start; then
		tail -n 20 "$dir/log" >&2
		die "the cluster $name does not start"
	fi
}

# cluster_checksums NAME [SETTING...]: a running cluster has checksums from then on; it is started again where it had none.
cluster_checksums() {
	[ "$(cluster_psql "$1" -d postgres -At -c 'SHOW data_checksums')" = off ] || return 0
	cluster_stop "$1"
	(cd "$STATE/$1" && as_server "$BINDIR/pg_checksums" --enable --no-sync -D "$STATE/$1/data") >"$STATE/$1/checksums.log" 2>&1 ||
		die "checksums cannot be switched on: $(cat "$STATE/$1/checksums.log")"
	cluster_start "$@"
}

cluster_stop() {
	if cluster_running "$1"; then
		cluster_ctl "$1" -w -t 60 -m "${2:-fast}" stop || cluster_ctl "$1" -w -t 20 -m immediate stop
	fi
}

# For clusters that only a test needs.
cluster_remove() {
	local socket
	cluster_exists "$1" || return 0
	cluster_stop "$1" immediate
	socket=$(cluster_socket "$1")
	case $socket in
	/tmp/auren_events.??????) rm -rf --one-file-system "$socket" ;;
	esac
	rm -rf --one-file-system "${STATE:?}/$1"
}

clusters_stop_all() {
	local marker
	# Without the servers' user nothing of ours can be running.
	id "$SERVER_USER" >/dev/null 2>&1 || return 0
	find_state
	for marker in "$STATE"/*/auren_events.cluster; do
		[ ! -f "$marker" ] || cluster_stop "$(basename "$(dirname "$marker")")"
	done
}

# Points libpq at a cluster, for programs that take the environment.
cluster_env() {
	PGHOST=$(cluster_socket "$1")
	PGPORT=$CLUSTER_PORT PGUSER=postgres
	export PGHOST PGPORT PGUSER
}

# cluster_psql NAME [ARGUMENT...]
cluster_psql() {
	local socket
	socket=$(cluster_socket "$1")
	shift
	"$BINDIR/psql" -X -q -v ON_ERROR_STOP=1 -h "$socket" -p "$CLUSTER_PORT" -U postgres "$@"
}

# A throw-away cluster's settings, for tests: the features that tests use on, durability off.
readonly TEST_SETTINGS=(
	'wal_level = logical'
	'max_prepared_transactions = 20'
	'fsync = off'
	'shared_buffers = 256MB'
	'max_wal_size = 2GB'
	"lc_messages = 'C'"
)

# stop_leftovers DIRECTORY: ends the servers whose data lies below it, that a test which was itself ended left behind.
stop_leftovers() {
	local pid_file
	[ -d "$1" ] || return 0
	while IFS= read -r pid_file; do
		(cd / && as_server "$BINDIR/pg_ctl" -D "$(dirname "$pid_file")" -s -m immediate -w -t 20 stop) 2>/dev/null || true
	done < <(find "$1" -name postmaster.pid -type f)
}

# ---- building --------------------------------------------------------------------------------------------------------

# run_make DIRECTORY ARGUMENT...: make for the PostgreSQL chosen, with all cores.
run_make() {
	local directory=$1
	shift
	make -s -C "$directory" -j "$(nproc)" PG_CONFIG="$PG_CONFIG" "$@"
}

# Builds in the project itself. Objects of another PostgreSQL, or of unknown origin, are thrown away first.
build_extension() {
	local stamp=$ROOT/build/built-for
	mkdir -p "$ROOT/build"
	if [ "$(cat "$stamp" 2>/dev/null)" != "$(pg_version)" ]; then
		run_make "$ROOT" clean >/dev/null
		pg_version >"$stamp"
	fi
	run_make "$ROOT"
}

# install_extension DIRECTORY: installs what was built there. Files that are installed already are left alone, so
# that a second run asks for no password.
install_extension() {
	local directory=$1 library shared file same=yes
	library=$("$PG_CONFIG" --pkglibdir)
	shared=$("$PG_CONFIG" --sharedir)/extension
	cmp -s "$directory/auren_events.so" "$library/auren_events.so" || same=''
	for file in "$directory/auren_events.control" "$directory"/auren_events--*.sql "$directory"/sql/updates/*.sql; do
		[ ! -f "$file" ] || cmp -s "$file" "$shared/$(basename "$file")" || same=''
	done
	[ -n "$same" ] || as_root make -s -C "$directory" PG_CONFIG="$PG_CONFIG" install >/dev/null
}

# ---- counting --------------------------------------------------------------------------------------------------------
# Each sets PASSED and FAILED from the log of a run. A run that failed without naming a test counts as one failure.

count_lines() {
	grep -cE "$1" "$2" || true
}

# count_regress LOG STATUS: pg_regress and pg_isolation_regress, whose lines are TAP since 16.
count_regress() {
	PASSED=$(count_lines '^(test +|     +)[^ ]+ +\.\.\. ok |^ok [0-9]+ ' "$1")
	FAILED=$(count_lines '^(test +|     +)[^ ]+ +\.\.\. FAILED|^not ok [0-9]+ ' "$1")
	count_status "$2"
}

# count_tap LOG STATUS: a test that was skipped is no test passed.
count_tap() {
	PASSED=$(grep -E '^ok [0-9]+' "$1" | grep -ciEv '# *skip' || true)
	FAILED=$(count_lines '^not ok [0-9]+' "$1")
	count_status "$2"
}

# count_ctest LOG STATUS
count_ctest() {
	local total
	total=$(sed -n 's/.*tests passed, [0-9]* tests failed out of \([0-9]*\).*/\1/p' "$1" | tail -n 1)
	FAILED=$(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of.*/\1/p' "$1" | tail -n 1)
	FAILED=${FAILED:-0}
	PASSED=$((${total:-0} - FAILED))
	count_status "$2"
}

count_status() {
	if [ "$1" != 0 ] && [ "$FAILED" = 0 ]; then
		FAILED=1
	fi
}
