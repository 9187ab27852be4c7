/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs_scrub.c - the verbs that begin, end and look at a scrub: scrub-start, scrub-stop, scrub-status. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/verbs.h"

static const struct { enum hb_scrub_what what; const char *name; } parts[] = {
	{HB_SCRUB_FAST, "fast"}, {HB_SCRUB_CAPACITY, "capacity"}, {HB_SCRUB_ALL, "all"}};

static const char *const states[] = {
	[HB_SCRUB_NEVER] = "never", [HB_SCRUB_RUNNING] = "running", [HB_SCRUB_STOPPING] = "stopping",
	[HB_SCRUB_STOPPED] = "stopped", [HB_SCRUB_DONE] = "done"};

static json_t *part_json(enum hb_scrub_what what)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (parts[i].what == what)
			return json_string(parts[i].name);
	return json_null();
}

/* Where it is, as the tiers are called elsewhere. */
static json_t *tier_json(unsigned tier)
{
	char name[32];

	snprintf(name, sizeof(name), "level%u", tier);
	return json_string(!tier ? "ssd" : tier > HB_LEVELS_MAX ? "capacity" : name);
}

static json_t *count_json(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *unreadable_json(const struct hb_scrub_status *st)
{
	json_t *list = json_array();

	for (uint64_t i = 0; i < MIN(st->unreadable_blocks, HB_SCRUB_LISTED); i++)
		verb_append(&list, json_pack("{s:I}", "offset_bytes", (json_int_t)(st->unreadable[i] * BLK_BYTES)));
	return list;
}

bool verb_scrub_status(struct verb_call *call)
{
	struct hb_scrub_status st;
	bool running;
	json_t *o;

	hb_scrub_status(call->pool, &st);
	running = st.state == HB_SCRUB_RUNNING || st.state == HB_SCRUB_STOPPING;
	o = json_pack("{s:s, s:b}", "state", states[st.state], "running", running);
	if (st.state == HB_SCRUB_NEVER)
		return verb_done(call, o);
	verb_put(&o, "what", part_json(st.how.what));
	verb_put(&o, "rate_bytes_s", count_json(st.how.rate_bytes_s));
	verb_put(&o, "tier", running ? tier_json(st.tier) : json_null());
	verb_put(&o, "done_bytes", count_json(st.done_bytes));
	verb_put(&o, "total_bytes", count_json(st.total_bytes));
	verb_put(&o, "skipped_bytes", count_json(st.skipped_bytes));
	verb_put(&o, "found_blocks", count_json(st.found_blocks));
	verb_put(&o, "healed_blocks", count_json(st.healed_blocks));
	verb_put(&o, "lost_blocks", count_json(st.lost_blocks));
	verb_put(&o, "unreadable_blocks", count_json(st.unreadable_blocks));
	verb_put(&o, "unreadable", unreadable_json(&st));
	verb_put(&o, "started_s", count_json(st.started_s));
	verb_put(&o, "finished_s", running ? json_null() : count_json(st.finished_s));
	verb_put(&o, "eta_s", running && st.eta_s != UINT64_MAX ? count_json(st.eta_s) : json_null());
	return verb_done(call, o);
}

bool verb_scrub_start(struct verb_call *call)
{
	const char *what = verb_arg_name(call, "what");
	struct hb_scrub how = {.what = what ? 0 : HB_SCRUB_FAST,
			       .rate_bytes_s = verb_arg_uint(call, "rate_bytes_s", HB_SCRUB_RATE_BYTES_S)};

	for (size_t i = 0; what && i < ARRAY_LEN(parts); i++)
		if (!strcmp(parts[i].name, what))
			how.what = parts[i].what;
	if (!how.what)
		return verb_fail(call, -EINVAL, "scrub-start: args.what: expected fast, capacity or all, not \"%.80s\"",
				 what);
	if (hb_scrub_start(call->pool, &how, &call->err))
		return true;
	return verb_scrub_status(call);
}

bool verb_scrub_stop(struct verb_call *call)
{
	hb_scrub_stop(call->pool);
	return verb_scrub_status(call);
}
