/* SPDX-License-Identifier: GPL-2.0-only */
/* status.c - whether volumes can be read and written, by asking the pools now: volume-status.
 *
 * "ok": the pool is open and healthy and has the volume. "impaired": it is not, or it has not; or reads of the volume
 * have failed, or a scrub has found blocks of the pool that are lost. "insufficient-data": the pools could not be
 * asked, or the volume is just being made or deleted. What costs speed or redundancy only is "degraded" performance,
 * and told.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "verbs/priv.h"

static json_t *ask(struct ebs *e, const char *pool, const char *verb)
{
	struct err err = ERR_INIT;

	return pool_call(e->pools, pool, verb, NULL, POOL_CALL_MS, &err);
}

static void tell(json_t *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void tell(json_t *o, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	text_vfmt(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(json_object_get(o, "details"), json_string(text));
}

/* ---------------------------------------------------------------- a pool */

static void look_at_health(json_t *p, const json_t *shown)
{
	const json_t *health = json_object_get(shown, "health");

	if (json_is_true(json_object_get(health, "failed")) || json_is_true(json_object_get(health, "read_only")))
		json_object_set_new(p, "io", json_false());
	if (text_of(health, "trouble") && *text_of(health, "trouble")) {
		json_object_set_new(p, "degraded", json_true());
		tell(p, "the pool: %s", text_of(health, "trouble"));
	}
}

static void look_at_tiers(json_t *p, const json_t *list)
{
	const json_t *t;
	size_t i;

	json_array_foreach(json_object_get(list, "tiers"), i, t)
	{
		const char *state = text_of(t, "state");

		if (!state || !strcmp(state, "on") || !strcmp(state, "unused"))
			continue;
		json_object_set_new(p, "degraded", json_true());
		if (!strcmp(state, "failed"))
			json_object_set_new(p, "bad", json_true());
		tell(p, "%s %s: %s", text_of(t, "tier"), text_of(t, "path") ? text_of(t, "path") : "", state);
	}
}

static void look_at_scrub(json_t *p, const json_t *scrub)
{
	json_int_t lost = number_of(scrub, "lost_blocks") + number_of(scrub, "unreadable_blocks");

	if (!lost)
		return;
	json_object_set_new(p, "bad", json_true());
	tell(p, "the last scrub found %lld blocks of the pool that cannot be read", (long long)lost);
}

/* {"NAME": reads that failed}, of the volumes that were asked for anything since the pool was opened. */
static json_t *failed_reads(struct ebs *e, const char *pool)
{
	struct err err = ERR_INIT;
	json_t *all = json_object(), *stats = pool_stats(e, pool, &err), *v;
	const char *name;

	json_object_foreach(json_object_get(stats, "volumes"), name, v)
	{
		const json_t *read = json_object_get(json_object_get(v, "requests"), "read");

		if (number_of(read, "errors") > 0)
			json_object_set(all, name, json_object_get(read, "errors"));
	}
	json_decref(stats);
	return all;
}

/* What is known of a pool; "asked": false: nothing. */
static json_t *look_at_pool(struct ebs *e, const char *pool)
{
	json_t *p = json_pack("{s:b, s:b, s:b, s:b, s:[]}", "asked", 1, "io", 1, "bad", 0, "degraded", 0, "details");
	json_t *shown, *tiers, *scrub;
	struct err err = ERR_INIT;

	shown = pool_call(e->pools, pool, "pool-show", NULL, POOL_CALL_MS, &err);
	if (!shown) {
		bool closed = err.code == -EAGAIN || err.code == -ENOENT;

		json_object_set_new(p, "io", json_false());
		json_object_set_new(p, "asked", json_boolean(closed));
		tell(p, "%s", err.text);
		return p;
	}
	tiers = ask(e, pool, "tier-list");
	scrub = ask(e, pool, "scrub-status");
	look_at_health(p, shown);
	look_at_tiers(p, tiers);
	look_at_scrub(p, scrub);
	json_object_set_new(p, "failed_reads", failed_reads(e, pool));
	json_decref(scrub);
	json_decref(tiers);
	json_decref(shown);
	return p;
}

/* ---------------------------------------------------------------- a volume */

json_t *volume_brief(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	static const char *const columns[] = {"id", "state", "pool", "pool_name", "zone"};
	json_t *o = json_object();

	(void)tx;
	(void)err;
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (json_object_get(row, columns[i]))
			json_object_set(o, columns[i], json_object_get(row, columns[i]));
	if (json_object_get(tags, "Name"))
		json_object_set(o, "name", json_object_get(tags, "Name"));
	return o;
}

static bool is_true(const json_t *o, const char *member)
{
	return json_is_true(json_object_get(o, member));
}

static void judge(struct ebs *e, json_t *v, json_t *p)
{
	const char *name = text_of(v, "pool_name"), *state = text_of(v, "state");
	json_int_t failed = number_of(json_object_get(p, "failed_reads"), name ? name : "");
	bool coming = !strcmp(state, "creating") || !strcmp(state, "deleting");
	const char *status = "ok", *io = is_true(p, "io") ? "passed" : "failed";
	struct err err = ERR_INIT;
	int there = 1;

	json_object_set_new(v, "details", json_deep_copy(json_object_get(p, "details")));
	if (is_true(p, "asked") && is_true(p, "io") && !coming)
		there = pool_has(e, text_of(v, "pool"), name, &err);
	/* It has stopped to answer: all others would wait for it as long again. */
	if (there == -ETIMEDOUT || there == -EPIPE || there == -ECONNREFUSED)
		json_object_set_new(p, "asked", json_false());
	if (!is_true(p, "asked") || coming || there < 0) {
		status = "insufficient-data";
		io = "unknown";
	} else if (!there) {
		status = "impaired";
		io = "failed";
		tell(v, "the pool does not have it");
	} else if (!is_true(p, "io") || is_true(p, "bad") || failed || !strcmp(state, "error")) {
		status = "impaired";
	}
	if (failed)
		tell(v, "%lld reads have failed since the pool was opened", (long long)failed);
	json_object_set_new(v, "status", json_string(status));
	json_object_set_new(v, "io_enabled", json_string(io));
	json_object_set_new(v, "io_performance", json_string(is_true(p, "degraded") ? "degraded" : "normal"));
	json_object_del(v, "pool_name");
}

/* The pools are asked when the catalogue has been read: no transaction waits for them. */
void run_volume_status(struct ebs_call *c)
{
	json_t *pools = json_object(), *v;
	size_t i;

	find_list(c, &kind_volume, "volumes", volume_brief);
	json_array_foreach(json_object_get(c->result, "volumes"), i, v)
	{
		const char *pool = text_of(v, "pool");

		if (!json_object_get(pools, pool))
			json_object_set_new(pools, pool, look_at_pool(c->ebs, pool));
		judge(c->ebs, v, json_object_get(pools, pool));
	}
	if (c->result) { /* its rows are not those of volume-describe */
		json_object_set(c->result, "statuses", json_object_get(c->result, "volumes"));
		json_object_del(c->result, "volumes");
	}
	json_decref(pools);
}
