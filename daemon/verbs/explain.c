/* SPDX-License-Identifier: GPL-2.0-only */
/* explain.c - all that is known of one volume at once: volume-explain.
 *
 * The catalogue is read first, then its pool and tgtd are asked: no transaction waits for them. What cannot be asked is
 * null, but for a pool that does not answer, which is the one finding then. Bytes by place are of what the volume has
 * mapped; of a large one the pool looks at some chunks only ("sampled_one_in"), so they are about right.
 */
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "verbs/priv.h"

#define SNAPSHOTS_MAX 20u /* the newest; each costs a walk over its map */

static const json_t *in(const json_t *o, const char *member)
{
	return json_object_get(o, member);
}

static void put(json_t *o, const char *member, json_t *v)
{
	json_object_set_new(o, member, v ? v : json_null());
}

/* Members of one object, those that are there, into another. */
static void copy(json_t *to, const json_t *from, const char *const *members)
{
	for (; *members; members++)
		if (in(from, *members))
			json_object_set(to, *members, json_object_get(from, *members));
}

static json_t *share(json_int_t part, json_int_t whole)
{
	return whole > 0 ? json_real((double)(1000 * part / whole) / 10) : json_null();
}

/* ---------------------------------------------------------------- from the catalogue */

/* As volume-describe, and who may log in without an agent; their secrets stay where they are. */
static json_t *explain_row(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	json_t *v = volume_shown(tx, row, tags, err), *names = json_array(), *login;
	size_t i;

	json_array_foreach(json_object_get(row, "exported"), i, login)
		json_array_append(names, json_object_get(login, "initiator"));
	json_object_set_new(v, "initiators", names);
	return v;
}

struct reading {
	struct ebs_call *c;
	const char *id;
	json_t *snapshots;
};

/* The caller's own of that volume, the newest first. */
static int read_snapshots(struct store_tx *tx, void *arg, struct err *err)
{
	struct reading *r = arg;
	struct store_filter f[1 + EBS_KEY_TAGS_MAX] = {{.column = "volume_id", .values = &r->id, .nvalues = 1}};
	struct store_query q = {.table = T_SNAPSHOT, .filters = f, .nfilters = 1, .order = "created_ms",
				.descending = true, .limit = SNAPSHOTS_MAX};
	struct rights_filters own;
	json_t *rows, *tags, *row;
	size_t i;
	int rc = rights_filters(tx, r->c, T_SNAPSHOT, &own, err);

	for (unsigned k = 0; k < own.n; k++)
		f[q.nfilters++] = own.filters[k];
	rows = rc ? NULL : store_find(tx, &q, NULL, err);
	tags = rows ? store_tags(tx, rows, err) : NULL;
	rights_filters_free(&own);
	r->snapshots = tags ? json_array() : NULL;
	json_array_foreach(rows, i, row)
	{
		json_t *s = json_pack("{s:O, s:O*, s:O*, s:O*}", "id", in(row, "id"), "name",
				      in(in(tags, text_of(row, "id")), "Name"), "state", in(row, "state"), "pool_name",
				      in(row, "pool_name"));

		put(s, "created", time_shown(in(row, "created_ms")));
		json_array_append_new(r->snapshots, s);
	}
	json_decref(tags);
	json_decref(rows);
	return r->snapshots ? 0 : err->code;
}

/* ---------------------------------------------------------------- from the pool */

struct asked {
	struct ebs *e;
	const char *pool, *name; /* of the volume there */
	json_t *shown, *stats, *tiers, *scrub, *heat, *usage; /* NULL: it did not say */
};

static json_t *ask(const struct asked *a, const char *verb, bool named, struct err *err)
{
	json_t *args = named ? json_pack("{s:s}", "name", a->name) : NULL;
	json_t *answer = pool_call(a->e->pools, a->pool, verb, args, POOL_CALL_MS, err);

	json_decref(args);
	return answer;
}

/* The first two must be there; the rest is worth having. */
static int ask_all(struct asked *a, struct err *err)
{
	struct err any = ERR_INIT;

	a->shown = ask(a, "volume-show", true, err);
	a->stats = a->shown ? pool_stats(a->e, a->pool, err) : NULL;
	if (!a->stats)
		return err->code;
	a->tiers = ask(a, "tier-list", false, &any);
	a->scrub = ask(a, "scrub-status", false, &any);
	a->heat = pool_heat(a->e, a->pool, a->name, 1, &any);
	a->usage = pool_usage(a->e, a->pool, a->name, &any);
	return 0;
}

static void forget(struct asked *a)
{
	json_t *const all[] = {a->shown, a->stats, a->tiers, a->scrub, a->heat, a->usage};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		json_decref(all[i]);
}

static bool is_mirrored(const json_t *tiers)
{
	unsigned on = 0;
	const json_t *t;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)in(tiers, "tiers"), i, t)
		on += text_of(t, "tier") && text_of(t, "state") && !strcmp(text_of(t, "tier"), "half") &&
		      !strcmp(text_of(t, "state"), "on");
	return on == 2;
}

/* "ram": {"bytes", "percent"}, ...: of what is mapped; *ret_dirty: bytes that the disk does not have. */
static json_t *places_shown(const json_t *heat, json_int_t *ret_dirty)
{
	json_int_t each = 4096 * (in(heat, "sampled_one_in") ? number_of(heat, "sampled_one_in") : 1), mapped = 0;
	json_t *sums = json_object(), *o, *b, *n;
	const char *place;
	size_t i;

	*ret_dirty = 0;
	if (!heat) {
		json_decref(sums);
		return NULL;
	}
	json_array_foreach(json_object_get(heat, "buckets"), i, b) json_object_foreach(b, place, n)
	{
		json_int_t bytes = json_integer_value(n) * each;

		if (!strcmp(place, "dirty"))
			*ret_dirty += bytes;
		if (!strcmp(place, "dirty") || !strcmp(place, "bucket") || !strcmp(place, "unmapped"))
			continue;
		mapped += bytes;
		put(sums, place, json_integer(number_of(sums, place) + bytes));
	}
	o = json_object();
	json_object_foreach(sums, place, n)
		put(o, place, json_pack("{s:O, s:o}", "bytes", n, "percent", share(json_integer_value(n), mapped)));
	json_decref(sums);
	return o;
}

/* By place, in per cent of the blocks that were read and are mapped. */
static json_t *hits_shown(const struct explained *x)
{
	json_int_t disk, all = explained_reads(x, &disk);
	json_t *o = json_pack("{s:I}", "blocks", all), *by, *n;
	const char *place;

	by = json_object();
	json_object_foreach((json_t *)(uintptr_t)in(x->mine, "read_blocks"), place, n)
	{
		if (strcmp(place, "unmapped") && all)
			put(by, place, share(json_integer_value(n), all));
	}
	put(o, "percent", by);
	return o;
}

static json_t *latency_shown(const json_t *latency)
{
	static const char *const members[] = {"count", "p50_ns", "p99_ns", "p999_ns", NULL};
	json_t *o = json_object();

	copy(o, latency, members);
	if (number_of(latency, "count"))
		put(o, "mean_ns", json_integer(number_of(latency, "sum_ns") / number_of(latency, "count")));
	return o;
}

/* Flushes are counted for the pool as a whole only. */
static json_t *latencies_shown(const struct explained *x)
{
	return json_pack("{s:o, s:o, s:o}", "read", latency_shown(in(in(x->mine, "latency"), "read")), "write",
			 latency_shown(in(in(x->mine, "latency"), "write")), "flush_of_pool",
			 latency_shown(in(in(x->stats, "latency"), "flush")));
}

static json_t *tiers_shown(const json_t *tiers)
{
	static const char *const members[] = {"tier", "level", "half", "path", "state", "size_bytes", "used_bytes",
					      NULL};
	json_t *list = json_array(), *t;
	size_t i;

	json_array_foreach(json_object_get(tiers, "tiers"), i, t)
	{
		json_t *o = json_object();

		copy(o, t, members);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *pool_shown(const struct asked *a)
{
	static const char *const sizes[] = {"capacity_bytes", "free_bytes", "log_bytes", "dirty_bytes", NULL};
	static const char *const slowed[] = {"throttled", "throttled_ns", NULL};
	static const char *const scrub[] = {"state", "lost_blocks", "unreadable_blocks", "healed_blocks", NULL};
	json_t *o = json_pack("{s:s, s:O*, s:o}", "name", a->pool, "health", in(a->stats, "health"), "tiers",
			      tiers_shown(a->tiers)), *s = json_object();

	copy(o, in(a->stats, "space"), sizes);
	copy(o, in(a->stats, "work"), slowed);
	copy(s, a->scrub, scrub);
	put(o, "scrub", s);
	return o;
}

static void put_pool(json_t *v, const struct asked *a)
{
	static const char *const sums[] = {"mapped_bytes", "exclusive_bytes", "shared_bytes", NULL};
	static const char *const counted[] = {"mapped_bytes", NULL};
	struct explained x = {.shown = a->shown, .stats = a->stats, .tiers = a->tiers, .scrub = a->scrub,
			      .mine = in(in(a->stats, "volumes"), a->name), .mirrored = is_mirrored(a->tiers)};
	const json_t *attr = in(a->shown, "attributes");
	json_t *places = places_shown(a->heat, &x.dirty_bytes);

	if (json_is_true(in(a->usage, "complete")))
		copy(v, a->usage, sums);
	else
		copy(v, a->shown, counted);
	put(v, "mode", json_incref(json_object_get(attr, "mode")));
	put(v, "ceilings", json_pack("{s:O*, s:O*, s:O*}", "iops", in(attr, "iops"), "bandwidth_bytes_s",
				     in(attr, "bandwidth_bytes"), "burst_s", in(attr, "burst_s")));
	put(v, "waits", json_incref(json_object_get(a->shown, "waits")));
	put(v, "places", places);
	put(v, "sampled_one_in", json_incref(json_object_get(a->heat, "sampled_one_in")));
	put(v, "dirty", json_pack("{s:I, s:b, s:b}", "bytes", x.dirty_bytes, "mirrored", x.mirrored,
				  "lost_if_ssd_dies", x.dirty_bytes > 0 && !x.mirrored));
	put(v, "requests", json_incref(json_object_get(x.mine, "requests")));
	put(v, "reads_from", hits_shown(&x));
	put(v, "latency", latencies_shown(&x));
	put(v, "pool_state", pool_shown(a));
	put(v, "opens", json_incref(json_object_get(a->shown, "opens")));
	put(v, "findings", findings_of(&x));
}

/* What deleting one alone would give back: the blocks that only it keeps. */
static void put_kept(const struct asked *a, json_t *snapshots)
{
	json_t *s;
	size_t i;

	json_array_foreach(snapshots, i, s)
	{
		struct err any = ERR_INIT;
		json_t *usage = a->stats ? pool_usage(a->e, a->pool, text_of(s, "pool_name"), &any) : NULL;

		if (json_is_true(in(usage, "complete")))
			json_object_set(s, "exclusive_bytes", json_object_get(usage, "exclusive_bytes"));
		json_object_del(s, "pool_name");
		json_decref(usage);
	}
}

/* ---------------------------------------------------------------- from tgtd */

/* Who is logged in now: [{"initiator", "addresses"}]; NULL: nobody can say. */
static json_t *sessions_shown(struct ebs *e, const char *id)
{
	char *iqn = target_name(e, id);
	struct err any = ERR_INIT;
	json_t *targets = e->tgt && iqn ? tgt_show(e->tgt, iqn, &any) : NULL, *list = NULL, *s;
	size_t i;

	if (targets)
		list = json_array();
	json_array_foreach(json_object_get(json_object_get(targets, iqn ? iqn : ""), "sessions"), i, s)
		json_array_append_new(list, json_pack("{s:O*, s:O*}", "initiator", in(s, "initiator"), "addresses",
						      in(s, "addresses")));
	json_decref(targets);
	free(iqn);
	return list;
}

void run_volume_explain(struct ebs_call *c)
{
	char *id = find_id(c, &kind_volume, arg_text(c, "volume"));
	struct reading r = {.c = c, .id = id};
	struct err err = ERR_INIT, why = ERR_INIT;
	json_t *v = id ? find_shown(c->ebs, &kind_volume, id, explain_row, &err) : NULL;
	struct asked a = {.e = c->ebs};

	if (!v || store_read(c->ebs->store, read_snapshots, &r, &err)) {
		if (id)
			ebs_fail_err(c, &err);
		json_decref(v);
		free(id);
		return;
	}
	a.pool = text_of(v, "pool");
	a.name = text_of(v, "pool_name");
	if (ask_all(&a, &why))
		put(v, "findings", json_pack("[{s:s, s:s}]", "severity", "error", "text", why.text));
	put_kept(&a, r.snapshots);
	put(v, "snapshots", r.snapshots);
	put(v, "sessions", sessions_shown(c->ebs, id));
	if (a.stats)
		put_pool(v, &a);
	forget(&a);
	c->result = v;
	free(id);
}
