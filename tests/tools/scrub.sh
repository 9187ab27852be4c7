# SPDX-License-Identifier: GPL-2.0-only
# scrub.sh - part of run: scrubs of a closed pool and of one in use. Read in where a byte of volume `data` at `at` of
# ssd.img was just changed; the image before is ssd.save. Leaves both devices as they were before that.
# shellcheck shell=bash disable=SC2154

cp "$dir/hdd.img" "$dir/hdd.save"
# A scrub says the same, and marks the block as lost: nothing else has it. What is on the capacity device it heals.
expect 1 scrub --start --wait -o json
json 'j["state"] == "done" and j["found_blocks"] == j["lost_blocks"] == 1 and j["healed_blocks"] == 0'
expect 48 check --deep
says "is lost"
expect 0 scrub --start --wait # what is lost is found once
says "done"
cp "$dir/ssd.save" "$dir/ssd.img"
cp "$dir/hdd.save" "$dir/hdd.img"
expect 0 writeback
printf 'P' | dd of="$dir/ssd.img" bs=1 seek="$at" conv=notrunc status=none
expect 0 scrub main --start --wait --rate 0 --what all -o json
# (A clean block of a segment that was never full is not even looked for after opening.)
json 'j["found_blocks"] == j["healed_blocks"] and j["lost_blocks"] == j["unreadable_blocks"] == 0'
json 'j["what"] == "all" and j["rate_bytes_s"] == 0 and j["done_bytes"] == j["total_bytes"] > 65536'
json 'not j["running"] and j["tier"] is None and j["eta_s"] is None and j["finished_s"] >= j["started_s"]'
expect 0 scrub
says never
expect 0 scrub -o json
json 'j == {"state": "never", "running": False}'
expect 2 scrub --start
says "say --wait"
expect 2 scrub --start --stop
expect 2 scrub --rate 1MiB
says "goes with --start"
expect 2 scrub --start --wait --rate fast
expect 2 scrub --start --wait --what everything
says "expected fast, capacity or all"
expect 2 scrub --deep
expect 3 scrub nosuch
start_serving data
expect 0 scrub --start --rate 4KiB --what all -o json
json 'j["running"] and j["rate_bytes_s"] == 4096 and j["total_bytes"] > 0'
expect 4 scrub --start
says "already"
expect 0 scrub
says "running"
expect 0 scrub --stop --wait
says "stopped"
expect 0 scrub --start --what capacity --wait
says "done"
stop_serving
cp "$dir/ssd.save" "$dir/ssd.img"
cp "$dir/hdd.save" "$dir/hdd.img"
expect 0 check --deep
