# shellcheck shell=bash disable=SC2034 # who sources it uses what is not used here
# SPDX-License-Identifier: GPL-2.0-only
# manager.sh - a box and a host, private: tgtd with a pool, hybridd, hybrid-agent with the delegate "dry"; for the tests
# of the manager; sourced, after lib.sh.
#
# The dry delegate changes nothing on the host; here its guest can be busy: as long as the file "$BUSY" says so.
STATE=$WORK/state
PREFIX=iqn.2024-01.org.hybrid:e2e
BUSY=$WORK/busy
AGENT_PORT=
HYBRIDD=${HYBRIDD:-$BUILD/hybridd}
AGENT=$BUILD/hybrid-agent
VOLUME=$BUILD/hybrid-volume
HYBRIDD_PID=
AGENT_PID=
export HYBRIDD_SOCKET=$WORK/hybridd.sock HYBRID_CONF=$CONF

end_manager() {
	local pid
	for pid in $HYBRIDD_PID $AGENT_PID; do
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	clean_up
}
trap end_manager EXIT

need_root() {
	[ "$(id -u)" -eq 0 ] && return
	skip "everything: hybridd answers root only"
	summary
	exit 0
}

# poll SECONDS COMMAND...: until it is true, or so long; false then.
poll() {
	local end=$((SECONDS + $1))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

hv() { "$VOLUME" "$@"; }
# j FILTER COMMAND...: of what the manager answers
j() {
	local filter=$1
	shift
	"$VOLUME" -o json "$@" | jq -r "$filter"
}

# is WHAT EXPECTED GOT
is() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: expected '$2', got '${3:0:300}'"; fi; }
# does WHAT COMMAND...
does() {
	local what=$1 said
	shift
	if said=$("$@" 2>&1); then ok "$what"; else bad "$what: ${said:0:300}"; fi
}
# refused WHAT STATUS TEXT ARGUMENT...: hybrid-volume (or ASK) ends with that status, and what it says has that text
refused() {
	local what=$1 status=$2 text=$3 said got=0
	shift 3
	said=$("${ASK:-hv}" "$@" 2>&1) || got=$?
	if [ $got -ne "$status" ]; then
		bad "$what: expected status $status, got $got: ${said:0:300}"
	elif [[ $said != *"$text"* ]]; then
		bad "$what: expected '$text', got '${said:0:300}'"
	else
		ok "$what"
	fi
}

answers() { hv quota describe; }
agent_answers() { listening "$AGENT_PORT"; }

# hybridd_start [VARIABLE=VALUE...]: does not wait; hybridd_up does.
hybridd_start() {
	env "$@" "$HYBRIDD" --config "$WORK/hybridd.json" >>"$WORK/hybridd.log" 2>&1 &
	HYBRIDD_PID=$!
	disown	# else the shell says of each death that it was one
}
# shellcheck disable=SC2120 # arguments are for who wants them
hybridd_up() {
	hybridd_start "$@"
	poll 20 answers || die "hybridd does not answer: $(tail -n 5 "$WORK/hybridd.log")"
}
hybridd_dead() { [ -z "$HYBRIDD_PID" ] || ! kill -0 "$HYBRIDD_PID" 2>/dev/null; }
hybridd_kill() {
	[ -z "$HYBRIDD_PID" ] || kill -9 "$HYBRIDD_PID" 2>/dev/null || true
	poll 20 hybridd_dead || die "hybridd does not die"
	HYBRIDD_PID=
}

# make_key NAME RIGHTS [OPTION...]: by root, into its file
make_key() {
	(
		umask 077
		hv -o json key create "$@" >"$WORK/$1.key"
	)
}
# port N: of the listener of that line
port() { sed -n 's/^hybridd: listening on 127.0.0.1, port \([0-9]*\), .*/\1/p' "$WORK/hybridd.log" | sed -n "$1p"; }

# use_key NAME: for clients of EC2 that are started from here on
use_key() {
	AWS_ACCESS_KEY_ID=$(jq -r .id "$WORK/$1.key")
	AWS_SECRET_ACCESS_KEY=$(jq -r .secret "$WORK/$1.key")
	export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
}

all_listen() {
	[ "$(grep -c '^hybridd: listening on 127' "$WORK/hybridd.log")" -ge "$(jq '.listen | length' "$WORK/hybridd.json")" ]
}
# configure FILTER [JQ-ARGUMENT...]: hybridd anew, its configuration changed by that filter of jq.
configure() {
	local filter=$1
	shift
	hybridd_kill
	: >"$WORK/hybridd.log"
	jq "$@" "$filter" "$WORK/hybridd.json" >"$WORK/hybridd.json.new"
	mv "$WORK/hybridd.json.new" "$WORK/hybridd.json"
	hybridd_up
	poll 20 all_listen || die "hybridd does not listen: $(cat "$WORK/hybridd.log")"
}
# listen JSON: hybridd anew, listening there.
# shellcheck disable=SC2016 # jq's variable
listen() { configure '.listen = $listen' --argjson listen "$1"; }
# listen_plain [FILTER]: on a port of the loopback without TLS, its first one, with no limit of requests a second; FILTER
# changes more. Sets URL.
# shellcheck disable=SC2120 # the argument is for who wants it
listen_plain() {
	configure '.listen = [{address: "127.0.0.1", port: 0, plain: "loopback"}] | .requests_s = 1000000 | '"${1:-.}"
	URL=http://127.0.0.1:$(port 1)
}

agent_start() {
	"$AGENT" --config "$WORK/agent.json" >>"$WORK/agent.log" 2>&1 &
	AGENT_PID=$!
}
agent_up() {
	agent_start
	poll 20 agent_answers || die "hybrid-agent does not listen: $(tail -n 5 "$WORK/agent.log")"
}
agent_kill() {
	[ -z "$AGENT_PID" ] && return
	kill -9 "$AGENT_PID" 2>/dev/null || true
	wait "$AGENT_PID" 2>/dev/null || true
	AGENT_PID=
}

# box_serve POOL: serves this one; tgtd, the manager and an agent.
box_serve() {
	local pin
	jq '.pools[].open = "start"' "$CONF" >"$CONF.new"
	mv "$CONF.new" "$CONF"
	tgt_start
	AGENT_PORT=$((32000 + RANDOM % 700))
	while listening "$AGENT_PORT"; do AGENT_PORT=$((AGENT_PORT + 1)); done
	: >"$BUSY"
	jq --arg busy "$BUSY" --arg seen "$WORK/rescanned" '.rescan = [{run: ["touch", $seen]}] |
		.detach = [{run: ["cat", $busy], busy: "^in use"}] + .detach' \
		"$TOP/etc/delegates/dry.json" >"$WORK/dry.json"
	jq -n --arg state "$STATE" --arg socket "$HYBRIDD_SOCKET" --arg pools "$CONF.sock" \
		--arg portal "${GUEST_SEES:-127.0.0.1}:$TGT_PORT" --arg tgt "$WORK/tgtd.sock.1" \
		--arg prefix "$PREFIX" --arg pool "$1" '{state: $state, socket: $socket, pools: $pools,
		tgt: $tgt, prefix: $prefix, portals: [$portal], pool: $pool, zone: "here"}' >"$WORK/hybridd.json"
	pin=$("$HYBRIDD" --config "$WORK/hybridd.json" --pin)
	jq -n --arg work "$WORK" --arg port "127.0.0.1:$AGENT_PORT" --arg pin "$pin" '{listen: $port, manager_pin: $pin,
		delegate: "\($work)/dry.json", key: "\($work)/agent.key", certificate: "\($work)/agent.crt",
		state: "\($work)/agent-state.json", initiator: "iqn.2024-01.org.hybrid:host-one"}' >"$WORK/agent.json"
	AGENT_PIN=$("$AGENT" --config "$WORK/agent.json" --init | sed -n 's/^pin: //p')
	agent_up
	hybridd_up
}
# box_up: a pool of 2 GiB, served.
box_up() {
	pool_make main 2048 64 16
	box_serve main
}
host_up() { hv host add one "https://127.0.0.1:$AGENT_PORT" "$AGENT_PIN" >/dev/null; }

in_accord() { is "$1: catalogue, pool, tgtd and host agree" '' "$(agree)"; }
volume() { j ".volumes[0].$1" describe "$2"; }

# Nothing is under way.
idle() { [ "$(j '.tasks | length' task describe --filter state=running,undoing)" = 0 ]; }

# What lies beside each other: volumes and snapshots in the pool and in the catalogue, targets and attachments.
pool_names() { pool --output json volume list | jq -r '.volumes[].name' | sort; }
catalogue_names() {
	{
		j '.volumes[] | select(.state != "error") | .pool_name' describe
		j '.snapshots[] | select(.state != "error") | .pool_name' snapshot describe
	} | sort
}
target_names() { tgtadm_ --op show --mode target | sed -n "s/^Target [0-9]*: $PREFIX://p" | sort; }
target_wanted() {
	{
		j '.volumes[] | select(.attachments | length > 0) | .id' describe
		sqlite3 -readonly "$STATE/catalogue.db" "select id from volume where exported like '%exp-%'"
	} | sort -u
}
agent_has() { jq -r '.attachments | keys[]' "$WORK/agent-state.json" 2>/dev/null | sort; }
catalogue_has() { j '.volumes[].attachments[].id' describe | sort; }

# agree: says what differs, nothing if all is in accord.
agree() {
	local findings
	findings=$(j '.findings[] | "doctor: \(.what): \(.text)"' doctor 2>&1) || findings="doctor: $findings"
	[ -z "$findings" ] || echo "$findings"
	diff <(pool_names) <(catalogue_names) | sed -n 's/^[<>]/pool < > catalogue: &/p'
	diff <(target_names) <(target_wanted) | sed -n 's/^[<>]/targets: has < > should: &/p'
	diff <(agent_has) <(catalogue_has) | sed -n 's/^[<>]/attachments: agent < > catalogue: &/p'
}
