# SPDX-License-Identifier: GPL-2.0-only
# attr.sh - the attributes of volumes, for `run`, which sources this: what volume set takes, refuses and shows.
# shellcheck shell=bash

# Attributes: leaves the pool as it was.
attr_verbs() {
	expect 0 volume create a 64MiB
	expect 0 volume show a
	says "write-back"
	expect 0 volume set a --mode write-through --iops 500 --bandwidth 20MiB --burst 3 --share 300 --bypass never \
		--read-ahead 128K --pin 0+4MiB --pin 8MiB+4K
	says "set volume a"
	says "20MiB (20971520) a second"
	expect 0 volume set a --pin 60MiB+4MiB --unpin 1MiB+1MiB -o json
	json 'j["attributes"]["pins"][1] == {"offset_bytes": 2 << 20, "length_bytes": 2 << 20}'
	json 'len(j["attributes"]["pins"]) == 4 and j["attributes"]["read_ahead"] == 131072 and j["waits"]["limited"] == 0'
	json '[j["attributes"][k] for k in ("mode", "iops", "burst_s", "share")] == ["write-through", 500, 3, 300]'
	json 'j["attributes"]["bypass"] == "never"'
	json '"warning" not in j and "settling" in j and j["pinned_cached_bytes"] <= j["pinned_bytes"]'
	expect 0 volume set a --mode write-back -o json
	json '"without a mirror" in j["warning"]'
	expect 0 volume set a --mode write-through
	expect 0 volume list -o json
	json 'j["volumes"][0]["attributes"]["iops"] == 500'
	expect 0 volume show a
	says "2MiB+2MiB"
	expect 0 dump log
	says 'vol-attr   vol='
	expect 0 volume show a
	says "floor     none"
	expect 0 volume set a --cache-floor 1MiB
	says "1MiB (1048576)"
	says "ssd: "
	expect 0 volume set a --cache-floor 10% -o json
	json 'j["attributes"]["cache_floor_bytes"] % (1 << 20) == 0 and j["floor"]["ssd"]["cached_bytes"] >= 0'
	expect 1 volume set a --cache-floor 1TiB
	says "at most half of the write tier"
	expect 0 volume set a --cache-floor 0 -o json
	json 'j["attributes"]["cache_floor_bytes"] == 0 and j["floor"] is None'
	expect 0 volume snapshot a a.1
	expect 0 volume set a.1 --iops 10 --pin all
	says "all"
	expect 2 volume set a.1 --mode none
	says "'a.1' is a snapshot"
	expect 0 volume set a --unpin all --iops 0 --bandwidth 0 --bypass default --mode write-back
	says_not pinned
	says "ceiling   none"
	expect 2 volume set a
	says "nothing is to be set"
	expect 2 volume set
	expect 3 volume set nosuch --iops 10
	for wrong in --iops=9 --iops=x --iops=-1 --iops=4294967296 --bandwidth=1 --bandwidth=1K --burst=9999 --share=0 \
		--share=1001 --mode=fast --bypass=0 --bypass=3K --bypass=x --read-ahead=1B --cache-floor=4K --cache-floor=51% --cache-floor=% \
		--cache-floor=x --pin=x --pin=0 --pin=0+0B --pin=1B+4K \
		--pin=64MiB+4K --pin=0+65MiB --pin= --unpin=4K --mode= $'--mode=\xff'; do
		expect 2 volume set a "$wrong"
	done
	expect 2 volume set a --pin 0+4K --pin 8K+4K --pin 16K+4K --pin 24K+4K --pin 32K+4K --pin 40K+4K --pin 48K+4K \
		--pin 56K+4K --pin 64K+4K
	says "at most 8 ranges"
	expect 2 volume show a --iops 10
	says "takes no --iops"
	expect 0 volume delete --yes a.1
	expect 0 volume delete --yes a
}
