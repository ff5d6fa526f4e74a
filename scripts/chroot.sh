# Debian chroots, for the scripts that build or test where another release of Debian is needed. Sourced after lib.sh, never run.
# All of it needs root.
# shellcheck shell=bash

set -euo pipefail

# inside ROOT COMMAND...: runs it as root in the chroot, in mount and process namespaces that end with it, and with whatever it started.
# LENT names another directory that is seen there as /old, if any.
LENT=''
inside() {
	unshare --mount --propagation private --pid --fork --kill-child -- bash -euo pipefail -c '
		root=$1 lent=$2
		shift 2
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		if [ -n "$lent" ]; then
			mkdir -p "$root/old"
			mount --bind "$lent" "$root/old"
		fi
		exec chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' inside "$1" "$LENT" "${@:2}"
}

# debian_root ROOT LOG SUITE...: a minimal Debian of the first of these suites that the mirror has, with no service that starts by itself.
# One that is there stays as it is.
debian_root() {
	local root=$1 log=$2 suite script archive made=''
	shift 2
	if [ ! -f "$root/.base" ]; then
		command -v debootstrap >/dev/null || apt_install debootstrap
		archive=$(debian_mirror)
		for suite in "$@"; do
			rm -rf --one-file-system "$root"
			mkdir -p "$root"
			# a suite that this debootstrap has never heard of is made as sid is
			script=/usr/share/debootstrap/scripts/$suite
			[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
			if debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$archive" "$script" >"$log" 2>&1; then
				made=yes
				echo "$suite" >"$root/.base"
				break
			fi
		done
		[ -n "$made" ] || { tail -n 20 "$log" >&2; return 1; }
	fi
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
	# the apt configuration of a mirror that needs one; it may be some weeks behind, which a test suite can live with
	printf 'APT::Sandbox::User "root";\nAPT::Install-Recommends "false";\nAcquire::Retries "3";\nAcquire::Check-Valid-Until "false";\n' \
		>"$root/etc/apt/apt.conf.d/90auren"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	mkdir -p "$root/etc/postgresql-common"
	echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
}

# copy_sources DIRECTORY: what the project is made of, with the times of its files. What was compiled there before stays, so that only what
# changed is compiled again.
copy_sources() {
	mkdir -p "$1"
	find "$1" -path "$1/build" -prune -o -type f ! -name '*.o' ! -name '*.d' -exec rm -f {} +
	tar -C "$ROOT" --exclude=./.git --exclude=./run --exclude=./build --exclude=./results --exclude=./output_iso --exclude='./auren_events--*.sql' \
		--exclude='*.o' --exclude='*.d' --exclude='*.so' -cf - . | tar -C "$1" --no-same-owner -xf -
}
