/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs_lineage.c - the verbs on families of volumes: snapshot, clone, revert, groups; usage and diff, part by part.
 *
 * Usage and diff may take long on a large volume, and the loop that runs them serves initiators. So one call does a
 * bounded part and says where the next one goes on: the state between two calls is the client's to keep.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "control/verbs.h"

#define USAGE_STEPS 4u		/* of hb_volume_usage() in one call, where others wait: 4 GiB of a full volume */
#define DIFF_WORK 2048u		/* calls of hb_volume_diff() in one call */
#define DIFF_EMPTY 128u		/* a call that looked at many leaves in vain counts as so many */

static bool find(struct verb_call *call, const char *name, struct hb_volume_info *ret)
{
	if (hb_volume_find(call->pool, name, ret))
		return true;
	verb_fail(call, -ENOENT, "no volume '%s' in pool %s", name, hb_pool_name(call->pool));
	return false;
}

/* ------------------------------------------------------------------ snapshot, clone */
static bool make_one(struct verb_call *call, const char *name, bool writable)
{
	const struct hb_snap what = {.source = verb_arg_name(call, "name"), .name = name, .writable = writable};

	if (hb_volume_snapshot(call->pool, &what, 1, &call->err))
		return true;
	return verb_volume_changed(call, name);
}

bool verb_volume_snapshot(struct verb_call *call)
{
	return make_one(call, verb_arg_name(call, "snapshot"), false);
}

bool verb_volume_clone(struct verb_call *call)
{
	return make_one(call, verb_arg_name(call, "clone"), true);
}

static const char *member_name(const json_t *list, size_t i, const char *key)
{
	return json_string_value(json_object_get(json_array_get(list, i), key));
}

bool verb_snapshot_group(struct verb_call *call)
{
	const json_t *members = verb_arg_group(call, "members");
	uint32_t n = (uint32_t)json_array_size(members);
	struct hb_snap what[HB_GROUP_MAX];
	json_t *list;

	for (uint32_t i = 0; i < n; i++)
		what[i] = (struct hb_snap){.source = member_name(members, i, "volume"),
					   .name = member_name(members, i, "snapshot")};
	if (hb_volume_snapshot(call->pool, what, n, &call->err))
		return true;
	list = json_array();
	for (uint32_t i = 0; i < n; i++)
		verb_append(&list, verb_volume_json(call, what[i].name));
	if (!list)
		return verb_fail(call, -ENOMEM, "out of memory");
	return verb_done_durable(call, json_pack("{s:o}", "snapshots", list));
}

/* ------------------------------------------------------------------ revert */
struct reverting {
	struct hb_revert what[HB_GROUP_MAX];
	char keep[HB_GROUP_MAX][HB_NAME_MAX + 1];
};

/* Whether the name exists, or another member keeps its volume under it. */
static bool is_taken(struct hb_pool *pool, const struct hb_revert *what, uint32_t n, const char *name)
{
	struct hb_volume_info info;

	for (uint32_t i = 0; i < n; i++)
		if (what[i].keep && !strcmp(what[i].keep, name))
			return true;
	return hb_volume_find(pool, name, &info);
}

/* "VOLUME.before-20240131-120000", with a number if that is taken; a long name loses its end. Some name is free: there
 * are fewer volumes than numbers. */
static void name_keep(struct hb_pool *pool, struct reverting *r, uint32_t n, uint32_t i)
{
	char end[40], *to = r->keep[i];
	time_t now = time(NULL);
	size_t len = 0;
	struct tm tm;

	if (gmtime_r(&now, &tm))
		len = strftime(end, sizeof(end), ".before-%Y%m%d-%H%M%S", &tm);
	if (!len)
		len = (size_t)snprintf(end, sizeof(end), ".before");
	for (unsigned k = 1; k == 1 || is_taken(pool, r->what, n, to); k++) {
		if (k > 1)
			snprintf(end + len, sizeof(end) - len, "-%u", k);
		snprintf(to, sizeof(r->keep[i]), "%.*s%s", (int)(HB_NAME_MAX - strlen(end)), r->what[i].volume, end);
	}
	r->what[i].keep = to;
}

static json_t *reverted_json(struct verb_call *call, const struct hb_revert *what)
{
	json_t *v = verb_volume_json(call, what->volume);

	verb_put(&v, "kept", json_string(what->keep));
	return v;
}

/* Reverts, tells the host, and finishes with the one volume, or with the list of a group. */
static bool revert(struct verb_call *call, struct reverting *r, uint32_t n, bool group)
{
	const struct verb_host *host = call->host;
	json_t *list;

	for (uint32_t i = 0; i < n; i++)
		if (!r->what[i].keep)
			name_keep(call->pool, r, n, i);
	if (hb_volume_revert(call->pool, r->what, n, verb_arg_bool(call, "in_use"), &call->err))
		return true;
	for (uint32_t i = 0; host->volume_reverted && i < n; i++)
		host->volume_reverted(host->ctx, call->pool, r->what[i].volume);
	if (!group)
		return verb_done_durable(call, reverted_json(call, &r->what[0]));
	list = json_array();
	for (uint32_t i = 0; i < n; i++)
		verb_append(&list, reverted_json(call, &r->what[i]));
	if (!list)
		return verb_fail(call, -ENOMEM, "out of memory");
	return verb_done_durable(call, json_pack("{s:o}", "reverted", list));
}

bool verb_volume_revert(struct verb_call *call)
{
	struct reverting *r = mem_zalloc(sizeof(*r));
	bool done;

	if (!r)
		return verb_fail(call, -ENOMEM, "out of memory");
	r->what[0] = (struct hb_revert){.volume = verb_arg_name(call, "name"),
					.snapshot = verb_arg_name(call, "snapshot"),
					.keep = verb_arg_name(call, "keep")};
	done = revert(call, r, 1, false);
	mem_free(r);
	return done;
}

bool verb_revert_group(struct verb_call *call)
{
	const json_t *members = verb_arg_group(call, "members");
	uint32_t n = (uint32_t)json_array_size(members);
	struct reverting *r = mem_zalloc(sizeof(*r));
	bool done;

	if (!r)
		return verb_fail(call, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < n; i++)
		r->what[i] = (struct hb_revert){.volume = member_name(members, i, "volume"),
						.snapshot = member_name(members, i, "snapshot"),
						.keep = member_name(members, i, "keep")};
	done = revert(call, r, n, true);
	mem_free(r);
	return done;
}

/* ------------------------------------------------------------------ usage */
/* A cursor is the volume's id and the engine's sums so far. A client that makes one up deceives only itself. */
static void cursor_write(char to[VERB_CURSOR_MAX], uint32_t id, const struct hb_usage *u)
{
	snprintf(to, VERB_CURSOR_MAX, "%" PRIx32 ".%" PRIx64 ".%" PRIx64 ".%" PRIx64, id, u->next_leaf,
		 u->exclusive_blk, u->exclusive_bytes);
}

static bool cursor_read(struct verb_call *call, uint32_t id, struct hb_usage *u)
{
	const char *cursor = verb_arg_name(call, "cursor");
	char again[VERB_CURSOR_MAX];
	uint32_t of;

	if (!cursor)
		return true;
	if (sscanf(cursor, "%" SCNx32 ".%" SCNx64 ".%" SCNx64 ".%" SCNx64, &of, &u->next_leaf, &u->exclusive_blk,
		   &u->exclusive_bytes) == 4) {
		cursor_write(again, of, u);	/* only as it was written, or it is none */
		if (!strcmp(again, cursor) && of == id)
			return true;
	}
	verb_fail(call, -EINVAL, "volume-usage: args.cursor is none of an earlier answer for this volume");
	return false;
}

bool verb_volume_usage(struct verb_call *call)
{
	char cursor[VERB_CURSOR_MAX];
	struct hb_volume_info info;
	struct hb_usage u = {0};
	int rc = 0;

	if (!find(call, verb_arg_name(call, "name"), &info) || !cursor_read(call, info.id, &u))
		return true;
	for (unsigned i = 0; rc == 0 && (call->host->may_wait || i < USAGE_STEPS); i++)
		rc = hb_volume_usage(call->pool, info.id, &u);
	if (rc < 0)
		return verb_fail(call, rc, "volume-usage: '%s': %s", info.name, strerror(-rc));
	cursor_write(cursor, info.id, &u);
	return verb_done(call, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:o}", "name", info.name, "id",
					 (json_int_t)info.id, "size_bytes", (json_int_t)info.size_bytes, "mapped_bytes",
					 (json_int_t)u.mapped_bytes, "exclusive_bytes", (json_int_t)u.exclusive_bytes,
					 "shared_bytes", (json_int_t)u.shared_bytes, "complete", rc == 1, "cursor",
					 rc == 1 ? json_null() : json_string(cursor)));
}

/* ------------------------------------------------------------------ diff */
/* Both sides, checked; from->id is 0 for nothing. */
static bool diff_sides(struct verb_call *call, struct hb_volume_info *from, struct hb_volume_info *to)
{
	const char *name = verb_arg_name(call, "from");

	*from = (struct hb_volume_info){0};
	if ((name && !find(call, name, from)) || !find(call, verb_arg_name(call, "to"), to))
		return false;
	if ((name && !from->snapshot) || !to->snapshot)
		verb_fail(call, -EINVAL, "volume-diff: '%s' is no snapshot, and only those can be compared",
			  to->snapshot ? from->name : to->name);
	else if (name && from->family_id != to->family_id)
		verb_fail(call, -EINVAL, "volume-diff: snapshots '%s' and '%s' are not of one family", from->name,
			  to->name);
	return !call->err.code;
}

static void append_run(json_t **runs, const struct hb_diff_run *run)
{
	if (run->len_bytes)
		verb_append(runs, json_pack("{s:I, s:I, s:b}", "offset_bytes", (json_int_t)run->off_bytes,
					    "length_bytes", (json_int_t)run->len_bytes, "mapped", run->mapped));
}

/* The runs from *at on, at most `limit` of them; *at becomes where to go on. Returns 0 at the end, 1 when there may be
 * more, or -errno. */
static int collect_runs(struct verb_call *call, uint32_t from, uint32_t to, uint64_t *at, uint64_t limit, json_t **runs)
{
	struct hb_diff_run last = {0}, run;
	int rc = 1;

	for (unsigned work = 0; rc == 1 && work < DIFF_WORK; work++) {
		rc = hb_volume_diff(call->pool, from, to, *at, &run);
		if (rc == -EAGAIN) {
			*at = run.off_bytes;
			work += DIFF_EMPTY;
			rc = 1;
			continue;
		}
		if (rc < 1)
			break;
		if (last.len_bytes && last.mapped == run.mapped && run.off_bytes == last.off_bytes + last.len_bytes) {
			last.len_bytes += run.len_bytes;
		} else {
			/* The last one of an answer may grow; it is appended below. */
			if (last.len_bytes && json_array_size(*runs) + 1 >= limit)
				break;
			append_run(runs, &last);
			last = run;
		}
		*at = run.off_bytes + run.len_bytes;
	}
	append_run(runs, &last);
	return rc;
}

bool verb_volume_diff(struct verb_call *call)
{
	uint64_t limit = MIN(verb_arg_uint(call, "limit", VERB_RUNS_MAX), VERB_RUNS_MAX);
	uint64_t at = verb_arg_uint(call, "offset_bytes", 0);
	struct hb_volume_info from, to;
	json_t *runs;
	int rc;

	if (at % 4096)
		return verb_fail(call, -EINVAL, "volume-diff: args.offset_bytes: expected a multiple of 4096");
	if (!diff_sides(call, &from, &to))
		return true;
	runs = json_array();
	rc = collect_runs(call, from.id, to.id, &at, limit, &runs);
	if (rc < 0) {
		json_decref(runs);
		return verb_fail(call, rc, "volume-diff: '%s': %s", to.name, strerror(-rc));
	}
	return verb_done(call, json_pack("{s:o, s:I, s:s, s:I, s:I, s:o, s:o}", "from",
					 from.id ? json_string(from.name) : json_null(), "from_id", (json_int_t)from.id,
					 "to", to.name, "to_id", (json_int_t)to.id, "size_bytes",
					 (json_int_t)to.size_bytes, "runs", runs, "next",
					 rc ? json_integer((json_int_t)at) : json_null()));
}
