/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs_stats.c - what the stats verb says of each tier and each volume, latency, and what the SSDs have to bear. */
#include <stdio.h>
#include <string.h>

#include "control/verbs.h"

static json_t *count_json(uint64_t n)
{
	return json_integer((json_int_t)n);
}

void verb_level_name(unsigned level, char to[VERB_TIER_MAX])
{
	snprintf(to, VERB_TIER_MAX, "cache%u", level % 1000);
}

void verb_place_name(enum hb_place place, char to[VERB_TIER_MAX])
{
	static const char *const names[HB_PLACES] = {
		[HB_PLACE_ZERO] = "unmapped", [HB_PLACE_RAM] = "ram", [HB_PLACE_STAGING] = "staging",
		[HB_PLACE_WRITE] = "ssd", [HB_PLACE_CAPACITY] = "capacity"};

	if (names[place])
		snprintf(to, VERB_TIER_MAX, "%s", names[place]);
	else
		verb_level_name(1 + (unsigned)place - HB_PLACE_LEVEL1, to);
}

/* ------------------------------------------------------------------ latency */
/* The end of the bucket that holds the given part of all requests; the last full one's when it lies above. */
static uint64_t percentile_ns(const uint64_t *hist, unsigned n, unsigned per, uint64_t total, unsigned permille)
{
	uint64_t want = DIV_UP(total * permille, 1000), seen = 0;

	for (unsigned i = 0; i < n - 1; i++) {
		seen += hist[i];
		if (seen >= want)
			return hb_hist_end_ns((i + 1) * per - 1);
	}
	return hb_hist_end_ns((n - 1) * per - 1);
}

json_t *verb_latency_json(const uint64_t *hist, unsigned per, uint64_t sum_ns)
{
	json_t *buckets = json_array(), *o;
	unsigned n = HB_HIST_BUCKETS / per;
	uint64_t total = 0;

	for (unsigned i = 0; i < n; i++) {
		if (hist[i])
			verb_append(&buckets, json_pack("{s:I, s:I}", "below_ns",
							(json_int_t)hb_hist_end_ns((i + 1) * per - 1), "count",
							(json_int_t)hist[i]));
		total += hist[i];
	}
	o = json_pack("{s:I, s:I, s:o}", "count", (json_int_t)total, "sum_ns", (json_int_t)sum_ns, "buckets", buckets);
	if (!total)
		return o;
	verb_put(&o, "p50_ns", count_json(percentile_ns(hist, n, per, total, 500)));
	verb_put(&o, "p99_ns", count_json(percentile_ns(hist, n, per, total, 990)));
	verb_put(&o, "p999_ns", count_json(percentile_ns(hist, n, per, total, 999)));
	return o;
}

/* ------------------------------------------------------------------ tiers */
static json_t *tier_json(const char *name, const char *state, uint64_t bytes, uint64_t used_bytes, uint64_t hits,
			 uint64_t misses)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "tier", name, "state", state, "size_bytes",
			 (json_int_t)bytes, "used_bytes", (json_int_t)used_bytes, "hit_blocks", (json_int_t)hits,
			 "miss_blocks", (json_int_t)misses);
}

static json_t *ram_json(const struct hb_stats *st)
{
	json_t *o = tier_json("ram", "on", st->ram_bytes, st->ram_used_bytes, st->read_ram,
			      st->read_staging + st->read_ssd + st->read_levels + st->read_capacity);

	verb_put(&o, "memory_bytes", count_json(st->mem_ram_meta));
	verb_put(&o, "fallen_blocks", count_json(st->admitted_blocks));
	verb_put(&o, "filled_blocks", count_json(st->filled_blocks));
	verb_put(&o, "read_ahead_blocks", count_json(st->read_ahead));
	verb_put(&o, "ahead_used_blocks", count_json(st->ahead_used));
	verb_put(&o, "bypassed_blocks", count_json(st->bypassed_blocks));
	return o;
}

static json_t *write_tier_json(const struct hb_stats *st)
{
	json_t *o = tier_json("ssd", "on", st->log_bytes, st->dirty_bytes + st->clean_bytes,
			      st->read_staging + st->read_ssd, st->read_levels + st->read_capacity);

	verb_put(&o, "memory_bytes", count_json(st->mem_index));
	verb_put(&o, "dirty_bytes", count_json(st->dirty_bytes));
	verb_put(&o, "loading_percent", count_json(st->loading_pct));
	verb_put(&o, "admitted_blocks", count_json(st->admitted_blocks));
	verb_put(&o, "again_blocks", count_json(st->blocks_moved));
	verb_put(&o, "fallen_blocks", count_json(st->fallen_blocks));
	verb_put(&o, "healed_blocks", count_json(st->healed_blocks));
	verb_put(&o, "bypassed_blocks", count_json(st->past_blocks));
	verb_put(&o, "bad_blocks", count_json(st->checksum_errors));
	verb_put(&o, "emptied_segments", count_json(st->segments_cleaned));
	return o;
}

static json_t *level_json(const struct hb_tier_stats *l, unsigned level)
{
	char name[VERB_TIER_MAX];
	json_t *o;

	verb_level_name(level, name);
	o = tier_json(name, l->state == HB_TIER_ON ? "on" : "out", l->bytes, l->used_bytes, l->hit_blocks,
		      l->miss_blocks);
	verb_put(&o, "memory_bytes", count_json(l->memory_bytes));
	verb_put(&o, "loading_percent", count_json(l->state == HB_TIER_ON ? l->loading_pct : 0));
	verb_put(&o, "admitted_blocks", count_json(l->admitted_blocks));
	verb_put(&o, "again_blocks", count_json(l->again_blocks));
	verb_put(&o, "fallen_blocks", count_json(l->fallen_blocks));
	verb_put(&o, "risen_blocks", count_json(l->risen_blocks));
	verb_put(&o, "bad_blocks", count_json(l->bad_blocks));
	verb_put(&o, "errors", count_json(l->errors));
	verb_put(&o, "written_bytes", count_json(l->written_bytes));
	verb_put(&o, "emptied_segments", count_json(l->emptied_segments));
	return o;
}

static json_t *tiers_json(const struct hb_stats *st)
{
	json_t *list = json_array();

	verb_append(&list, ram_json(st));
	verb_append(&list, write_tier_json(st));
	for (unsigned i = 0; i < st->nlevels; i++)
		if (st->levels[i].state != HB_TIER_NONE)
			verb_append(&list, level_json(&st->levels[i], i + 1));
	verb_append(&list, tier_json("capacity", "on", st->capacity_bytes, st->capacity_bytes - st->free_bytes,
				     st->read_capacity, 0));
	return list;
}

/* ------------------------------------------------------------------ write-back, endurance */
static json_t *writeback_json(const struct hb_stats *st)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "dirty_bytes", (json_int_t)st->dirty_bytes, "lag_ns",
			 (json_int_t)st->wb_lag_ns, "blocks", (json_int_t)st->wb_blocks, "runs",
			 (json_int_t)st->wb_runs, "flushes", (json_int_t)st->wb_flushes);
}

static json_t *ratio_json(uint64_t a, uint64_t b)
{
	return b ? json_real((double)a / (double)b) : json_null();
}

/* What initiators wrote: not what they unmapped, nor the patterns they had laid out, of which one may cover all. */
static json_t *endurance_json(struct hb_pool *pool, const struct hb_stats *st)
{
	uint64_t theirs = st->req_bytes[HB_WRITE] + st->req_bytes[HB_COMPARE_WRITE] + st->req_bytes[HB_OR_WRITE];
	uint64_t missed = st->read_capacity * BLK_BYTES, ssd = 0;
	const struct dev *dev = hb_pool_dev(pool, HB_ROLE_WRITE);

	ssd = dev ? dev->stats.bytes[DEV_WRITE] : 0;
	for (unsigned i = 0; i < HB_LEVELS_MAX; i++) {
		dev = hb_pool_level_dev(pool, i);
		ssd += dev ? dev->stats.bytes[DEV_WRITE] : 0;
	}
	return json_pack("{s:I, s:I, s:I, s:o, s:o}", "ssd_written_bytes", (json_int_t)ssd, "initiator_written_bytes",
			 (json_int_t)theirs, "read_missed_bytes", (json_int_t)missed, "per_initiator_byte",
			 ratio_json(ssd, theirs), "per_missed_byte", ratio_json(ssd, missed));
}

/* ------------------------------------------------------------------ volumes */
static json_t *places_json(const uint64_t blocks[HB_PLACES], unsigned nlevels)
{
	json_t *o = json_object();
	char name[VERB_TIER_MAX];

	for (unsigned i = 0; i < HB_PLACES; i++) {
		if (i >= HB_PLACE_LEVEL1 + nlevels && i < HB_PLACE_CAPACITY)
			continue;
		verb_place_name((enum hb_place)i, name);
		verb_put(&o, name, count_json(blocks[i]));
	}
	return o;
}

static json_t *volume_json(const struct hb_volume_info *info, const struct hb_volume_stats *vs, unsigned nlevels)
{
	static const char *const asks[HB_ASKS] = {
		[HB_ASK_READ] = "read", [HB_ASK_WRITE] = "write", [HB_ASK_UNMAP] = "unmap", [HB_ASK_FLUSH] = "flush",
		[HB_ASK_OTHER] = "other"};
	json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I}", "name", info->name, "id", (json_int_t)info->id, "opens",
			      (json_int_t)info->opens, "size_bytes", (json_int_t)info->size_bytes, "mapped_bytes",
			      (json_int_t)info->mapped_bytes), *requests = json_object();

	for (int i = 0; i < HB_ASKS; i++)
		verb_put(&requests, asks[i], json_pack("{s:I, s:I, s:I}", "count", (json_int_t)vs->reqs[i], "bytes",
						       (json_int_t)vs->bytes[i], "errors",
						       (json_int_t)vs->errors[i]));
	verb_put(&o, "requests", requests);
	verb_put(&o, "read_blocks", places_json(vs->read_blocks, nlevels));
	verb_put(&o, "floor", verb_floor_json(info));
	verb_put(&o, "waits", verb_waits_json(info));
	verb_put(&o, "latency", json_pack("{s:o, s:o}", "read", verb_latency_json(vs->lat_read, 2, vs->lat_read_ns),
					  "write", verb_latency_json(vs->lat_write, 2, vs->lat_write_ns)));
	return o;
}

static bool was_asked(const struct hb_volume_stats *vs)
{
	uint64_t n = 0;

	for (int i = 0; i < HB_ASKS; i++)
		n += vs->reqs[i];
	return n != 0;
}

/* Volumes that are open or were asked for anything; of thousands of snapshots nobody reads there is nothing to tell.
 * Looks at a bounded number of volumes, too: this runs on the loop that serves initiators. */
#define LOOK_MAX (32u * VERB_STATS_MAX)

static void volumes_json(struct verb_call *call, const struct hb_stats *st, json_t **o)
{
	uint64_t limit = MIN(verb_arg_uint(call, "limit", VERB_STATS_MAX), VERB_STATS_MAX);
	const char *after = verb_arg_name(call, "after");
	char cursor[HB_NAME_MAX + 1] = "", last[HB_NAME_MAX + 1] = "";
	struct hb_volume_stats vs;
	struct hb_volume_info info;
	json_t *list = json_array();
	bool more = true;

	if (after)
		snprintf(cursor, sizeof(cursor), "%s", after);
	for (unsigned i = 0; list && i < LOOK_MAX && json_array_size(list) < limit; i++) {
		more = hb_volume_next(call->pool, cursor, &info);
		if (!more)
			break;
		memcpy(last, info.name, sizeof(last));
		if (hb_volume_stats(call->pool, info.id, &vs) && (info.opens || was_asked(&vs)))
			verb_append(&list, volume_json(&info, &vs, st->nlevels));
	}
	verb_put(o, "volumes", list);
	verb_put(o, "next", more ? json_string(last) : json_null());
}

void verb_stats_parts(struct verb_call *call, const struct hb_stats *st, json_t **o)
{
	verb_put(o, "tiers", tiers_json(st));
	verb_put(o, "write_back", writeback_json(st));
	verb_put(o, "endurance", endurance_json(call->pool, st));
	volumes_json(call, st, o);
}
