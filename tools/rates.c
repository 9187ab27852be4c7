/* SPDX-License-Identifier: GPL-2.0-only */
/* rates.c - what happened between two looks at a pool: per second, in per cent, and how long requests took. */
#include <string.h>

#include "live.h"

/* Two looks; was NULL: nothing is known of the time before. */
struct two {
	const json_t *now, *was;
	double seconds;
};

/* How much a counter went up. One that went down began anew with the pool. */
static uint64_t since(const struct two *t, const char *path)
{
	uint64_t now = get_uint(t->now, path), was = get_uint(t->was, path);

	if (!t->was)
		return 0;
	return now >= was ? now - was : now;
}

static double rate(const struct two *t, const char *path)
{
	return t->seconds > 0 ? (double)since(t, path) / t->seconds : 0;
}

static void put(json_t *o, const char *key, json_t *v)
{
	json_object_set_new(o, key, v);
}

static void put_rate(json_t *o, const char *key, double v)
{
	put(o, key, json_real(v));
}

/* Part of a whole, in per cent; null: of nothing. */
static void put_percent(json_t *o, const char *key, uint64_t part, uint64_t whole)
{
	put(o, key, whole ? json_real(100.0 * (double)part / (double)whole) : json_null());
}

static void put_latency(json_t *o, const struct two *t, const char *path, const char *p50, const char *p99)
{
	struct live_hist now, was = {.total = 0};

	live_hist_read(get_any(t->now, path), &now);
	if (!t->was)
		now = (struct live_hist){.total = 0};
	live_hist_read(get_any(t->was, path), &was);
	live_hist_since(&now, &was);
	put(o, p50, now.total ? json_integer((json_int_t)live_hist_percentile(&now, 500)) : json_null());
	put(o, p99, now.total ? json_integer((json_int_t)live_hist_percentile(&now, 990)) : json_null());
}

static void put_latencies(json_t *o, const struct two *t)
{
	put_latency(o, t, "latency.read", "read_p50_ns", "read_p99_ns");
	put_latency(o, t, "latency.write", "write_p50_ns", "write_p99_ns");
}

static void put_requests(json_t *o, const struct two *t)
{
	put_rate(o, "reads", rate(t, "requests.read.count"));
	put_rate(o, "writes", rate(t, "requests.write.count"));
	put_rate(o, "read_bytes", rate(t, "requests.read.bytes"));
	put_rate(o, "write_bytes", rate(t, "requests.write.bytes"));
}

/* The element of before's list that is the same tier, device or volume. */
static const json_t *same(const json_t *list, const json_t *e, const char *key)
{
	const json_t *want = get_any(e, key);
	json_t *other;
	size_t i;

	json_array_foreach((json_t *)list, i, other) {
		if (json_equal((json_t *)want, (json_t *)get_any(other, key)))
			return other;
	}
	return NULL;
}

/* ------------------------------------------------------------------ parts */
static json_t *tier_json(const struct two *pool, const json_t *now)
{
	struct two t = {now, same(get_any(pool->was, "tiers"), now, "tier"), pool->seconds};
	struct two d = {.seconds = pool->seconds};
	uint64_t hits = since(&t, "hit_blocks"), misses = since(&t, "miss_blocks");
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I}", "tier", get_text(now, "tier"), "state",
			      get_text(now, "state"), "size_bytes", (json_int_t)get_uint(now, "size_bytes"),
			      "used_bytes", (json_int_t)get_uint(now, "used_bytes"), "dirty_bytes",
			      (json_int_t)get_uint(now, "dirty_bytes"));
	uint64_t ios, ns;

	put_percent(o, "hit_percent", hits, hits + misses);
	put_rate(o, "hit_bytes", rate(&t, "hit_blocks") * BLK_BYTES);
	put_rate(o, "admitted_bytes", rate(&t, "admitted_blocks") * BLK_BYTES);
	d.now = same(get_any(pool->now, "devices"), now, "tier");
	d.was = same(get_any(pool->was, "devices"), now, "tier");
	if (!d.now)
		return o;
	put_rate(o, "device_read_bytes", rate(&d, "read.bytes"));
	put_rate(o, "device_write_bytes", rate(&d, "write.bytes"));
	ios = since(&d, "read.count") + since(&d, "write.count");
	ns = since(&d, "read.busy_ns") + since(&d, "write.busy_ns");
	put_rate(o, "device_ios", pool->seconds > 0 ? (double)ios / pool->seconds : 0);
	put_rate(o, "device_queue", pool->seconds > 0 ? (double)ns / 1e9 / pool->seconds : 0);
	put(o, "device_mean_ns", ios ? json_integer((json_int_t)(ns / ios)) : json_null());
	return o;
}

static json_t *volume_json(const struct two *pool, const json_t *now, const json_t *was)
{
	static const char *const places[] = {"read_blocks.ram", "read_blocks.staging", "read_blocks.ssd",
					     "read_blocks.cache1", "read_blocks.cache2", "read_blocks.cache3",
					     "read_blocks.cache4"};
	struct two t = {now, was, pool->seconds};
	uint64_t hits = 0, missed = since(&t, "read_blocks.capacity");
	json_t *o = json_pack("{s:s, s:O*}", "name", get_text(now, "name"), "id", get_any(now, "id"));

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		hits += since(&t, places[i]);
	put_requests(o, &t);
	put_percent(o, "hit_percent", hits, hits + missed);
	put_latencies(o, &t);
	return o;
}

/* What a volume is known by: of the manager's its id, which is a text; else its name. */
static const char *key_of(const json_t *v)
{
	const char *id = get_text(v, "id");

	return *id ? id : get_text(v, "name");
}

static json_t *volumes_json(const struct two *pool)
{
	const json_t *list = get_any(pool->now, "volumes"), *was;
	static const json_t *const nothing;
	json_t *out = json_array(), *empty = json_object(), *before = json_object(), *v;
	size_t i;

	json_array_foreach((json_t *)get_any(pool->was, "volumes"), i, v)
		json_object_set(before, key_of(v), v);
	json_array_foreach((json_t *)list, i, v) {
		was = json_object_get(before, key_of(v));
		if (!was || !json_equal((json_t *)get_any(was, "id"), (json_t *)get_any(v, "id")))
			was = pool->was ? empty : nothing;	/* nobody had asked it for anything: it was at zero */
		json_array_append_new(out, volume_json(pool, v, was));
	}
	json_decref(before);
	json_decref(empty);
	return out;
}

json_t *rates_json(const json_t *now, const json_t *before, double seconds)
{
	struct two t = {now, before, seconds};
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "name", get_text(now, "name"), "state",
			      get_text(now, "health.state"), "capacity_bytes",
			      (json_int_t)get_uint(now, "space.capacity_bytes"), "free_bytes",
			      (json_int_t)get_uint(now, "space.free_bytes"), "dirty_bytes",
			      (json_int_t)get_uint(now, "write_back.dirty_bytes"), "lag_ns",
			      (json_int_t)get_uint(now, "write_back.lag_ns"), "ram_bytes",
			      (json_int_t)get_uint(now, "space.ram_bytes"));
	json_t *tiers = json_array(), *e;
	uint64_t hits, missed;
	size_t i;

	put_requests(o, &t);
	hits = since(&t, "reads_blocks.read_ram") + since(&t, "reads_blocks.read_staging") +
	       since(&t, "reads_blocks.read_ssd") + since(&t, "reads_blocks.read_levels");
	missed = since(&t, "reads_blocks.read_capacity");
	put_percent(o, "hit_percent", hits, hits + missed);
	put_latencies(o, &t);
	put_rate(o, "writeback_bytes", rate(&t, "write_back.blocks") * BLK_BYTES);
	json_array_foreach((json_t *)get_any(now, "tiers"), i, e)
		json_array_append_new(tiers, tier_json(&t, e));
	put(o, "tiers", tiers);
	put(o, "volumes", volumes_json(&t));
	return o;
}
