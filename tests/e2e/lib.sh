# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# lib.sh - a private tgtd, pools on files, and counting, for the end-to-end tests, the demo and the benchmark; sourced.
#
# WORK and STAGING are new directories (on disk, in memory) that disappear at the end, together with every process
# started here; KEEP=1 keeps them. B= chooses the build.
set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$TOP/build/${B:-opt}}
MODULE=$BUILD/bs_hybrid.so
IQN=iqn.2024-01.org.hybrid:test
# Ordinary disk by default: O_DIRECT works there, in every kernel's tmpfs it does not.
WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/hybrid.XXXXXX")
STAGING=$(mktemp -d /dev/shm/hybrid.XXXXXX)
TGT_PID=
TGT_PORT=
PORTAL=
PASSED=0
FAILED=0
SKIPPED=0
CHILDREN=()

clean_up() {
	local pid
	for pid in $TGT_PID "${CHILDREN[@]}"; do
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	if [ -n "${KEEP:-}" ]; then
		echo "kept: $WORK $STAGING" >&2
	else
		rm -rf "$WORK" "$STAGING"
	fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# ok WHAT / bad WHAT / skip WHAT WHY: one result each; summary prints the closing line and tells whether all is well.
ok() {
	PASSED=$((PASSED + 1))
	[ -n "${QUIET:-}" ] || echo "ok      $*"
}
bad() {
	FAILED=$((FAILED + 1))
	echo "FAILED  $*"
}
skip() {
	SKIPPED=$((SKIPPED + 1))
	echo "skipped $*"
}
summary() {
	local line="$PASSED passed, $FAILED failed"
	[ "$SKIPPED" -eq 0 ] || line+=", $SKIPPED skipped"
	echo "$line"
	[ "$FAILED" -eq 0 ]
}

# need PROGRAM...: ends the script, as skipped, where one is missing.
need() {
	local program
	for program; do
		command -v "$program" >/dev/null || [ -x "$program" ] || {
			skip "everything: $program is missing (make deps, make programs)"
			summary
			exit 0
		}
	done
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

tgtadm_() { TGT_IPC_SOCKET=$WORK/tgtd.sock tgtadm -C 1 --lld iscsi "$@"; }

# The process must be running and answering; $1 is the port it was told.
tgt_answers() {
	local i
	for ((i = 0; i < 200; i++)); do
		kill -0 "$TGT_PID" 2>/dev/null || return 1
		listening "$1" && tgtadm_ --op show --mode target >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	return 1
}

# tgt_start: starts a tgtd on a free port of the loopback, with the module loaded.
# Sets TGT_PID, TGT_PORT, PORTAL. A port that somebody else takes meanwhile is tried again.
# tgt_spawn: tgtd with the module, at PORTAL; does not wait.
tgt_spawn() {
	local preload=$MODULE
	[ "${B:-opt}" != asan ] || preload="$(gcc -print-file-name=libasan.so) $MODULE"
	[ -e "$MODULE" ] || preload=
	env TGT_IPC_SOCKET="$WORK/tgtd.sock" LD_PRELOAD="$preload" ASAN_OPTIONS=detect_leaks=0 \
		tgtd -f -C 1 --iscsi portal="$PORTAL" >>"$WORK/tgtd.log" 2>&1 &
	TGT_PID=$!
}
tgt_start() {
	local try
	for try in 1 2 3 4 5; do
		TGT_PORT=$((20000 + (RANDOM * 7 + try) % 12000))
		listening "$TGT_PORT" && continue
		PORTAL=127.0.0.1:$TGT_PORT
		tgt_spawn
		tgt_answers "$TGT_PORT" && return 0
		tgt_kill
	done
	tail -n 20 "$WORK/tgtd.log" >&2
	die "tgtd does not start"
}

# tgt_kill: SIGKILL, as a crash would be; returns when the process is gone.
tgt_kill() {
	[ -z "$TGT_PID" ] && return
	kill -9 "$TGT_PID" 2>/dev/null || true
	wait "$TGT_PID" 2>/dev/null || true
	TGT_PID=
}

# tgt_stop: the orderly end: targets are removed, pools closed.
tgt_stop() {
	local i
	tgtadm_ --op delete --mode target --tid 1 --force >/dev/null 2>&1 || true
	tgtadm_ --op delete --mode system >/dev/null 2>&1 || true
	for ((i = 0; i < 600; i++)); do
		kill -0 "$TGT_PID" 2>/dev/null || break
		sleep 0.05
	done
	tgt_kill
}

# tgt_target: target 1, open to everybody (it listens on the loopback).
tgt_target() {
	tgtadm_ --op new --mode target --tid 1 --targetname "$IQN"
	tgtadm_ --op bind --mode target --tid 1 --initiator-address ALL
}

# tgt_lun LUN BSTYPE STORE [BSOPTS]
tgt_lun() {
	tgtadm_ --op new --mode logicalunit --tid 1 --lun "$1" --bstype "$2" --backing-store "$3" ${4:+--bsopts "$4"}
}

# url LUN: for QEMU and libiscsi's own programs.
url() { echo "iscsi://$PORTAL/$IQN/$1"; }

# ------------------------------------------------------------------ pools on files
CONF=$WORK/hybrid.json
POOL_TOOL=$BUILD/hybrid-pool

# pool_make NAME CAPACITY_MB SSD_MB RAM_MB: two sparse files, a configuration with this one pool, formatted.
pool_make() {
	local dir=$WORK/$1
	mkdir -p "$dir"
	truncate -s "$2M" "$dir/hdd"
	truncate -s "$3M" "$dir/ssd"
	cat >"$CONF" <<-END
		{
		  "control": {"socket": "$CONF.sock"},
		  "pools": [
		    {
		      "name": "$1",
		      "staging": "$STAGING",
		      "tiers": [
		        {"type": "ram", "size": "$4MiB"},
		        {"type": "ssd", "path": "$dir/ssd"},
		        {"type": "capacity", "path": "$dir/hdd"}
		      ]
		    }
		  ]
		}
	END
	pool create >/dev/null
}

# pool COMMAND ARGUMENT...: hybrid-pool with this test's configuration.
pool() { "$POOL_TOOL" --config "$CONF" "$@"; }

# lun_hybrid LUN POOL/VOLUME: with the same configuration, in tgtd.
lun_hybrid() { tgt_lun "$1" hybrid "$2" "conf=$CONF"; }
