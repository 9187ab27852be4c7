/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs_tier.c - the verbs on tiers: tier-list, tier-add, tier-remove, tier-replace; and cache levels as other verbs
 * show them. */
#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "control/verbs.h"
#include "host/host.h"

/* NULL: the pool is on no real devices (tests). */
static struct host_pool *real_pool(const struct verb_call *call)
{
	return call->host->real ? call->host->real(call->host->ctx, call->pool) : NULL;
}

/* ------------------------------------------------------------------ showing */
static const char *state_word(enum hb_tier_state state)
{
	return state == HB_TIER_ON ? "on" : "out";
}

/* One that is out has no name of its own any more; the host knows it still. */
static const char *level_name(const struct host_pool *real, const struct hb_tier_stats *l)
{
	return l->name[0] || !real ? l->name : host_level_name(real, l->level);
}

static json_t *level_json(const struct host_pool *real, const struct hb_tier_stats *l)
{
	json_t *o = json_pack("{s:s, s:i, s:o, s:s}", "tier", "level", "level", (int)l->level, "path",
			      verb_text_json(level_name(real, l)), "state", state_word(l->state));

#define PUT(key, field) verb_put(&o, key, json_integer((json_int_t)l->field))
	PUT("size_bytes", bytes);
	PUT("used_bytes", used_bytes);
	PUT("hit_blocks", hit_blocks);
	PUT("errors", errors);
	PUT("loading_percent", loading_pct);
	PUT("memory_bytes", memory_bytes);
	PUT("read_blocks", read_blocks);
	PUT("bad_blocks", bad_blocks);
	PUT("admitted_blocks", admitted_blocks);
	PUT("again_blocks", again_blocks);
	PUT("fallen_blocks", fallen_blocks);
	PUT("risen_blocks", risen_blocks);
	PUT("written_bytes", written_bytes);
	PUT("emptied_segments", emptied_segments);
#undef PUT
	return o;
}

static void append_levels(const struct host_pool *real, const struct hb_stats *st, json_t **list)
{
	for (uint32_t i = 0; i < st->nlevels; i++)
		if (st->levels[i].state != HB_TIER_NONE)
			verb_append(list, level_json(real, &st->levels[i]));
}

json_t *verb_levels_json(const struct verb_call *call, const struct hb_stats *st)
{
	json_t *list = json_array();

	append_levels(real_pool(call), st, &list);
	return list;
}

static json_t *tier_json(const char *tier, const char *path, const char *kind, const char *state, uint64_t size,
			 uint64_t used, uint64_t hits, uint64_t errors)
{
	return json_pack("{s:s, s:o, s:s, s:s, s:I, s:I, s:I, s:I}", "tier", tier, "path", verb_text_json(path),
			 "kind", kind, "state", state, "size_bytes", (json_int_t)size, "used_bytes", (json_int_t)used,
			 "hit_blocks", (json_int_t)hits, "errors", (json_int_t)errors);
}

static json_t *device_tier_json(const char *tier, const struct dev *dev, uint64_t size, uint64_t used, uint64_t hits)
{
	return tier_json(tier, dev->name, dev->ops->kind, dev->failed ? "failed" : "on", size, used, hits,
			 dev->stats.errors + dev->stats.timeouts);
}

/* What the configuration names and the pool does without. */
static void append_absent(const struct host_pool *real, json_t **list)
{
	const char *name;
	bool unused;

	for (unsigned n = 0; real && (name = host_level_absent(real, n, &unused)); n++)
		verb_append(list, json_pack("{s:s, s:n, s:o, s:s, s:i, s:i, s:i, s:i}", "tier", "level", "level",
					    "path", verb_text_json(name), "state", unused ? "unused" : "missing",
					    "size_bytes", 0, "used_bytes", 0, "hit_blocks", 0, "errors", 0));
}

/* The two devices of a mirrored write tier. */
static void append_halves(const struct hb_pool *pool, json_t **list)
{
	static const char *const states[] = {"on", "out", "syncing"};
	struct hb_mirror_status m;

	hb_mirror_status(pool, &m);
	for (int i = 0; m.mirrored && i < 2; i++) {
		json_t *o = json_pack("{s:s, s:i, s:o, s:s, s:i, s:i, s:i, s:i}", "tier", "half", "half", i, "path",
				      verb_text_json(m.name[i]), "state", states[m.half[i]], "size_bytes", 0,
				      "used_bytes", 0, "hit_blocks", 0, "errors", 0);

		if (m.half[i] == HB_HALF_SYNCING) {
			verb_put(&o, "done_bytes", json_integer((json_int_t)m.done_bytes));
			verb_put(&o, "total_bytes", json_integer((json_int_t)m.total_bytes));
		}
		verb_append(list, o);
	}
}

bool verb_tier_list(struct verb_call *call)
{
	const struct host_pool *real = real_pool(call);
	json_t *list = json_array();
	struct hb_stats st;

	hb_pool_stats(call->pool, &st);
	verb_append(&list, tier_json("ram", "", "ram", "on", st.ram_bytes, st.ram_used_bytes, st.read_ram, 0));
	verb_append(&list, device_tier_json("ssd", hb_pool_dev(call->pool, HB_ROLE_WRITE), st.log_bytes,
					    st.dirty_bytes + st.clean_bytes, st.read_ssd + st.read_staging));
	append_halves(call->pool, &list);
	append_levels(real, &st, &list);
	append_absent(real, &list);
	verb_append(&list, device_tier_json("capacity", hb_pool_dev(call->pool, HB_ROLE_CAPACITY), st.capacity_bytes,
					    st.capacity_bytes - st.free_bytes, st.read_capacity));
	return verb_done(call, json_pack("{s:o}", "tiers", list));
}

/* ------------------------------------------------------------------ changing */
/* Both change nothing that would have to be durable first: a level that was formatted and is not in the configuration
 * is nobody's, and one whose superblock is still there holds no block that the next open would take for current (its
 * table lacks the checkpoints made meanwhile). */

/* The line that the configuration has, or should have, for this device. */
static json_t *line_json(const char *path)
{
	json_t *o = json_pack("{s:s, s:s}", "type", "ssd", "path", path), *line;
	char *text = o ? json_dumps(o, 0) : NULL;

	line = text ? json_string(text) : NULL;
	free(text);
	json_decref(o);
	return line;
}

static void changed(const struct verb_call *call)
{
	if (call->host->descriptors_changed)
		call->host->descriptors_changed(call->host->ctx, call->pool);
}

bool verb_tier_add(struct verb_call *call)
{
	struct host_pool *real = real_pool(call);
	const char *path = verb_arg_name(call, "path");
	struct hb_stats st;
	unsigned level;
	bool known;

	if (!real)
		return verb_fail(call, -EOPNOTSUPP, "tier-add: this pool has no real devices");
	if (host_level_add(real, path, verb_arg_uint(call, "size_bytes", 0), verb_arg_bool(call, "force"), &level,
			   &known, &call->err))
		return true;
	changed(call);
	hb_pool_stats(call->pool, &st);
	return verb_done(call, json_pack("{s:i, s:s, s:I, s:b, s:o}", "level", (int)level, "path", path, "size_bytes",
					 (json_int_t)st.levels[level - 1].bytes, "configured", known, "line",
					 line_json(path)));
}

bool verb_tier_remove(struct verb_call *call)
{
	struct host_pool *real = real_pool(call);
	uint64_t level = verb_arg_uint(call, "level", 0);
	char path[256];
	bool known;

	if (!real)
		return verb_fail(call, -EOPNOTSUPP, "tier-remove: this pool has no real devices");
	level = MIN(level, HB_LEVELS_MAX + 1u);		/* one that there never is */
	text_fmt(path, sizeof(path), "%s", host_level_name(real, (unsigned)level));
	if (host_level_remove(real, (unsigned)level, &known, &call->err))
		return true;
	changed(call);
	return verb_done(call, json_pack("{s:I, s:o, s:b, s:o}", "level", (json_int_t)level, "path",
					 verb_text_json(path), "configured", known, "line", line_json(path)));
}

/* The half is trusted, and the membership recorded, when it is as good as the other: see tier-list. */
bool verb_tier_replace(struct verb_call *call)
{
	struct host_pool *real = real_pool(call);
	const char *path = verb_arg_name(call, "path");

	if (!real)
		return verb_fail(call, -EOPNOTSUPP, "tier-replace: this pool has no real devices");
	if (host_mirror_replace(real, path, verb_arg_bool(call, "force"), &call->err))
		return true;
	changed(call);
	return verb_done(call, json_pack("{s:s}", "path", path));
}
