/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs_pool.c - the verbs on a pool as a whole: pools, pool-show, stats, flush, writeback, check. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/verbs.h"

/* ------------------------------------------------------------------ counters */
struct counter {
	const char *name;
	size_t at;
};

#define C(field) {#field, offsetof(struct hb_stats, field)}
static const struct counter space_counters[] = {
	C(capacity_bytes), C(free_bytes), C(limbo_bytes), C(log_bytes), C(log_free_bytes), C(dirty_bytes),
	C(clean_bytes), C(ram_bytes), C(ram_used_bytes), C(meta_pages), C(meta_free_pages), {0}};
static const struct counter read_counters[] = {
	C(read_zero), C(read_ram), C(read_staging), C(read_ssd), C(read_levels), C(read_capacity), {0}};
static const struct counter work_counters[] = {
	C(units), C(unit_blocks), C(flushes), C(checkpoints), C(segments_cleaned), C(blocks_moved), C(wb_blocks),
	C(wb_runs), C(wb_flushes), C(admitted_blocks), C(checksum_errors), C(throttled), C(throttled_ns), C(limited),
	C(limited_ns), C(queued), C(queued_ns), {0}};
static const struct counter recovery_counters[] = {
	C(replayed_units), C(replayed_blocks), C(staged_units), C(recovery_ns), {0}};
static const struct counter memory_counters[] = {
	C(mem_index), C(mem_map), C(mem_ram_meta), C(mem_other), {0}};
#undef C

static json_t *counters_json(const struct hb_stats *st, const struct counter *list)
{
	json_t *o = json_object();
	uint64_t v;

	for (; list->name; list++) {
		memcpy(&v, (const char *)st + list->at, sizeof(v));
		verb_put(&o, list->name, json_integer((json_int_t)v));
	}
	return o;
}

static json_t *recovery_json(const struct hb_stats *st)
{
	json_t *o = counters_json(st, recovery_counters);

	verb_put(&o, "was_clean", json_boolean(st->was_clean));
	return o;
}

static json_t *requests_json(const struct hb_stats *st)
{
	static const char *const ops[HB_OPS] = {
		[HB_READ] = "read", [HB_WRITE] = "write", [HB_WRITE_SAME] = "write_same", [HB_COMPARE] = "compare",
		[HB_COMPARE_WRITE] = "compare_write", [HB_OR_WRITE] = "or_write", [HB_UNMAP] = "unmap",
		[HB_PREFETCH] = "prefetch", [HB_COPY] = "copy", [HB_FLUSH] = "flush"};
	json_t *o = json_object();

	for (int i = 0; i < HB_OPS; i++)
		verb_put(&o, ops[i], json_pack("{s:I, s:I, s:I}", "count", (json_int_t)st->reqs[i], "bytes",
					       (json_int_t)st->req_bytes[i], "errors", (json_int_t)st->req_errors[i]));
	return o;
}

/* ------------------------------------------------------------------ show and stats */
static const char *health(const struct hb_stats *st)
{
	if (st->failed)
		return "failed";
	return st->trouble[0] ? "trouble" : "ok";
}

static json_t *health_json(const struct hb_stats *st)
{
	return json_pack("{s:s, s:b, s:b, s:o}", "state", health(st), "failed", st->failed, "read_only", st->read_only,
			 "trouble", verb_text_json(st->trouble));
}

static json_t *io_json(const struct dev *dev, enum dev_op op)
{
	uint64_t n = dev->stats.ios[op], ns = dev->stats.busy_ns[op];

	return json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)n, "bytes", (json_int_t)dev->stats.bytes[op],
			 "busy_ns", (json_int_t)ns, "mean_ns", (json_int_t)(ns / MAX(n, 1)));
}

static json_t *device_json(const char *tier, const struct dev *dev)
{
	return json_pack("{s:s, s:o, s:s, s:I, s:i, s:b, s:i, s:b, s:I, s:I, s:i, s:o, s:o, s:o, s:o}",
			 "tier", tier, "path", verb_text_json(dev->name), "kind", dev->ops->kind,
			 "size_bytes", (json_int_t)dev->geom.size_bytes, "logical_bytes", (int)dev->geom.logical_bytes,
			 "rotational", dev->geom.rotational, "discard_bytes", (int)dev->geom.discard_bytes,
			 "failed", dev->failed, "errors", (json_int_t)dev->stats.errors,
			 "timeouts", (json_int_t)dev->stats.timeouts, "inflight", (int)dev->inflight,
			 "read", io_json(dev, DEV_READ), "write", io_json(dev, DEV_WRITE),
			 "flush", io_json(dev, DEV_FLUSH), "discard", io_json(dev, DEV_DISCARD));
}

static json_t *devices_json(struct hb_pool *pool)
{
	static const struct { enum hb_role role; const char *tier; } roles[] = {
		{HB_ROLE_WRITE, "ssd"}, {HB_ROLE_CAPACITY, "capacity"}};
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		const struct dev *dev = hb_pool_dev(pool, roles[i].role);

		if (dev)
			verb_append(&list, device_json(roles[i].tier, dev));
	}
	for (unsigned i = 0; i < HB_LEVELS_MAX; i++) {
		const struct dev *dev = hb_pool_level_dev(pool, i);
		char tier[VERB_TIER_MAX];

		verb_level_name(i + 1, tier);
		if (dev)
			verb_append(&list, device_json(tier, dev));
	}
	return list;
}

static json_t *pool_json(struct hb_pool *pool, const struct hb_stats *st)
{
	return json_pack("{s:s, s:o, s:o, s:o}", "name", hb_pool_name(pool), "uuid",
			 verb_uuid_json(hb_pool_uuid(pool)), "health", health_json(st), "space",
			 counters_json(st, space_counters));
}

bool verb_pools(struct verb_call *call)
{
	const struct verb_host *host = call->host;
	json_t *list = json_array();
	struct hb_stats st;

	for (struct hb_pool *p = host->next(host->ctx, NULL); p; p = host->next(host->ctx, p)) {
		hb_pool_stats(p, &st);
		verb_append(&list, pool_json(p, &st));
	}
	return verb_done(call, json_pack("{s:o}", "pools", list));
}

static uint64_t count_volumes(struct hb_pool *pool)
{
	char cursor[HB_NAME_MAX + 1] = "";
	struct hb_volume_info info;
	uint64_t n = 0;

	while (hb_volume_next(pool, cursor, &info))
		n++;
	return n;
}

bool verb_pool_show(struct verb_call *call)
{
	char warning[160];
	struct hb_stats st;
	bool risk;
	json_t *o;

	hb_pool_stats(call->pool, &st);
	o = pool_json(call->pool, &st);
	verb_put(&o, "volumes", json_integer((json_int_t)count_volumes(call->pool)));
	verb_put(&o, "devices", devices_json(call->pool));
	verb_put(&o, "levels", verb_levels_json(call, &st));
	verb_put(&o, "recovery", recovery_json(&st));
	verb_put(&o, "memory", counters_json(&st, memory_counters));
	risk = hb_pool_warning(call->pool, warning, sizeof(warning));
	verb_put(&o, "warning", risk ? json_string(warning) : json_null());
	return verb_done(call, o);
}

bool verb_stats(struct verb_call *call)
{
	struct hb_stats st;
	json_t *o;

	hb_pool_stats(call->pool, &st);
	o = pool_json(call->pool, &st);
	verb_put(&o, "reads_blocks", counters_json(&st, read_counters));
	verb_put(&o, "requests", requests_json(&st));
	verb_put(&o, "latency", json_pack("{s:o, s:o, s:o}", "read", verb_latency_json(st.lat_read, 1, st.lat_read_ns),
					  "write", verb_latency_json(st.lat_write, 1, st.lat_write_ns), "flush",
					  verb_latency_json(st.lat_flush, 1, st.lat_flush_ns)));
	verb_put(&o, "work", counters_json(&st, work_counters));
	verb_put(&o, "recovery", recovery_json(&st));
	verb_put(&o, "memory", counters_json(&st, memory_counters));
	verb_put(&o, "devices", devices_json(call->pool));
	verb_stats_parts(call, &st, &o);
	verb_put(&o, "levels", verb_levels_json(call, &st));
	return verb_done(call, o);
}

/* ------------------------------------------------------------------ flush and writeback */
bool verb_flush(struct verb_call *call)
{
	return verb_done_durable(call, json_object());
}

/* The root that knows the new size has to become durable, which takes a few turns. */
bool verb_pool_grow(struct verb_call *call)
{
	struct hb_stats st;
	int rc = hb_pool_grow(call->pool, &call->err);

	if (rc < 0)
		return true;
	hb_pool_stats(call->pool, &st);
	while (call->host->may_wait && hb_pool_growing(call->pool) && !st.failed) {
		hb_pool_run(call->pool);
		hb_pool_stats(call->pool, &st);
	}
	if (st.failed)
		return verb_fail(call, -EIO, "pool-grow: %s", st.trouble);
	return verb_done(call, json_pack("{s:b, s:b, s:I}", "begun", rc == 0, "growing",
					 hb_pool_growing(call->pool), "capacity_bytes",
					 (json_int_t)st.capacity_bytes));
}

bool verb_writeback(struct verb_call *call)
{
	struct hb_stats st;
	int rc;

	if (!call->host->may_wait)
		return verb_fail(call, -EOPNOTSUPP, "writeback: waits for the capacity device, so it is not done "
				 "while the pool serves initiators");
	rc = hb_pool_writeback(call->pool);
	if (rc)
		return verb_fail(call, rc, "writeback: %s", strerror(-rc));
	hb_pool_stats(call->pool, &st);
	return verb_done_durable(call, json_pack("{s:I}", "dirty_bytes", (json_int_t)st.dirty_bytes));
}

/* ------------------------------------------------------------------ check */
struct findings {
	const struct verb_host *host;
	json_t *list;
	unsigned classes;		/* of enum hb_check_class */
};

static const struct { enum hb_check_class bit; const char *name; } check_classes[] = {
	{HB_CHECK_SPACE, "space"}, {HB_CHECK_MAP, "map"}, {HB_CHECK_INDEX, "index"},
	{HB_CHECK_LOG, "log"}, {HB_CHECK_DATA, "data"}};

static void check_report(void *ctx, enum hb_check_class c, const char *text)
{
	struct findings *f = ctx;

	f->classes |= c;
	if (json_array_size(f->list) >= VERB_FINDINGS_MAX)
		return;
	for (size_t i = 0; i < ARRAY_LEN(check_classes); i++)
		if (check_classes[i].bit == c)
			verb_append(&f->list, json_pack("{s:s, s:o}", "class", check_classes[i].name, "text",
							verb_text_json(text)));
}

static void check_progress(void *ctx, uint64_t done, uint64_t total)
{
	const struct verb_host *host = ((struct findings *)ctx)->host;

	if (host->progress)
		host->progress(host->ctx, done, total);
}

static json_t *class_names(unsigned classes)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(check_classes); i++)
		if (classes & check_classes[i].bit)
			verb_append(&list, json_string(check_classes[i].name));
	return list;
}

bool verb_check(struct verb_call *call)
{
	struct findings f = {.host = call->host, .list = json_array()};
	bool deep = verb_arg_bool(call, "deep");
	int n;

	if (!f.list)
		return verb_fail(call, -ENOMEM, "out of memory");
	if (deep && !call->host->may_wait) {
		json_decref(f.list);
		return verb_fail(call, -EOPNOTSUPP,
				 "check: a deep check reads the whole pool, so it is only done on a closed pool");
	}
	n = hb_pool_check(call->pool, deep, check_report, check_progress, &f);
	if (n < 0) {
		json_decref(f.list);
		return verb_fail(call, n, "check: could not be finished: %s", strerror(-n));
	}
	return verb_done(call, json_pack("{s:b, s:b, s:i, s:i, s:o, s:o}", "clean", n == 0, "deep", deep, "findings", n,
					 "class_bits", (int)f.classes, "classes", class_names(f.classes), "list",
					 f.list));
}
