# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# tiers.sh - the part of tests/tools/run that is about tiers and cache levels; sourced by it.
# shellcheck disable=SC2154,SC2034 # dir, tool, HYBRID_CONF: its

# Cache levels: leaves the pool as it was.
tier_verbs() {
	expect 0 tier list
	says "capacity"
	expect 0 tier list -o json
	json '[t["tier"] for t in j["tiers"]] == ["ram", "ssd", "capacity"] and all(t["state"] == "on" for t in j["tiers"])'
	json 'all(t["used_bytes"] <= t["size_bytes"] and t["errors"] == 0 and t["hit_blocks"] >= 0 for t in j["tiers"])'
	expect 3 tier add "$dir/level.img"
	says 'level.img does not exist, expected a device, or "size" to make a file'
	expect 2 tier add "$dir/level.img" 1MiB
	says "too small for a cache level"
	if [ -e "$dir/level.img" ]; then fail "a refused add left a file behind"; else ok; fi
	expect 2 tier add "$dir/level.img" 16X
	expect 2 tier add ''
	expect 2 tier add $'\xff'
	expect 2 tier add
	expect 2 tier add a 1M b
	expect 4 tier add "$dir/hdd.img"
	says "in use by"
	expect 4 tier add "$dir/foreign.img"
	expect 2 tier add "$dir/foreign.img" --force
	says "--yes"
	(cd "$dir" && "$tool" tier add level.img 16MiB >out 2>err)
	says "added cache level 1, "
	says "{\"type\": \"ssd\", \"path\": \"$dir/level.img\"},"
	if [ "$(stat -c %s "$dir/level.img")" = $((16 << 20)) ]; then ok; else fail "the level's file"; fi
	if [ "$1" = True ]; then
		expect 0 tier list -o json
		json '[t["tier"] for t in j["tiers"]] == ["ram", "ssd", "level", "capacity"] and j["tiers"][2]["level"] == 1'
		json 'j["tiers"][2]["path"].endswith("/level.img") and j["tiers"][2]["loading_percent"] == 100'
		expect 0 show
		says "level.img"
		expect 0 show -o json
		json 'len(j["levels"]) == 1 and j["levels"][0]["state"] == "on"'
		expect 0 stats
		says "level1.hit_blocks"
		expect 4 tier add "$dir/level.img"
		expect 0 tier add "$dir/level2.img" 16MiB -o json
		json 'j["level"] == 2 and not j["configured"] and j["line"].startswith("{\"type\": \"ssd\"")'
		expect 0 tier remove 2 -o json
		json 'j["level"] == 2 and j["path"].endswith("/level2.img") and not j["configured"]'
		expect 0 tier remove 1
		says "removed cache level 1, $dir/level.img"
		says_not configuration
		for _ in {1..100}; do
			"$tool" tier list -o json | grep -q '"level"' || break
			sleep 0.1
		done
		expect 0 tier list
		says_not "level 1"
		expect 3 tier remove 1
	else
		expect 4 tier add "$dir/level.img"
		says 'belongs to pool "main"'
		expect 0 tier add "$dir/level.img" --force --yes
	fi
	rm -f "$dir/level.img" "$dir/level2.img"
	expect 3 tier remove 1
	says "pool main has no cache level 1"
	expect 3 tier remove 5
	expect 3 tier remove 2000000000
	for level in 0 -1 x 1x '' 99999999999999999999; do expect 2 tier remove -- "$level"; done
}

# A level that the configuration names.
configured_level() {
	sed 's/^\(.*\)"type": "capacity"/    { "type": "ssd", "path": "level.img", "size": "16MiB" },\n&/' "$dir/c.json" >"$dir/l.json"
	HYBRID_CONF=$dir/l.json
	expect 0 create --force --yes
	expect 0 dump superblocks -o json
	json '[s["role"] for s in j["superblocks"]] == ["capacity"] * 2 + ["ssd"] * 2 + ["level"] * 2'
	expect 0 tier list -o json
	json '[(t["tier"], t["state"]) for t in j["tiers"]][2] == ("level", "unused")'
	expect 0 volume create a 1MiB
	cp "$dir/l.json" "$dir/c.json"
	start_serving a
	expect 0 tier list -o json
	json '[(t["tier"], t["state"]) for t in j["tiers"]][2] == ("level", "on")'
	expect 0 tier remove 1
	says "still names it"
	stop_serving
	start_serving
	expect 0 tier list
	says missing
	expect 0 tier add "$dir/level.img"
	says_not configuration
	stop_serving
	rm "$dir/level.img"
	expect_left_out show
	expect 0 check --deep
	config c.json ssd.img hdd.img
	HYBRID_CONF=$dir/c.json
	expect 0 create --force --yes
}
# Looking only, the pool does not need its levels; changed without one, it says so.
expect_left_out() {
	expect 0 "$@"
	"$tool" flush >"$dir/out" 2>"$dir/err" || fail "flush without its level"
	says "cache level 1 is left out: "
}
