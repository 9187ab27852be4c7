/* SPDX-License-Identifier: GPL-2.0-only */
/* top.c - what the manager's volumes are doing now: rates between two answers of volume-stats, by the live view that
 * hybrid-pool has, too (tools/top.h).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/live.h"
#include "tools/top.h"
#include "tools/volume/cli.h"

const struct ebs_verb cli_top_verb = {
	"top",
	0,
	{{"volumes", EBS_TEXTS, false, 0, 0, "volume", "these ones"},
	 {"filters", EBS_FILTERS, false, 0, 0, NULL, "columns, tag:KEY, tag-key"},
	 {"once", EBS_BOOL, false, 0, 0, NULL, "one view as plain text, after one interval"},
	 {"interval", EBS_TEXT, false, 1, 32, NULL, "seconds between two looks (2)"},
	 {"count", EBS_NUMBER, false, 1, 0, NULL, "ends after so many views"},
	 {"sort", EBS_WORD, false, 0, 0, "iops|name|read|write|hit|latency", "which volumes come first"},
	 {NULL, EBS_TEXT, false, 0, 0, NULL, NULL}},
	"Shows what volumes are doing, again and again; q ends.",
};

struct looking {
	const struct cli *c;
	json_t *args; /* of volume-stats */
	json_t *before; /* {"POOL": as the pool's own stats, with our volumes}; NULL: this is the first look */
	struct err err;
	char code[64];
};

/* Pools of one page, their volumes with them, into what was there of earlier pages. */
static void take(json_t *now, const json_t *page)
{
	json_t *p, *v;
	size_t i;

	json_array_foreach((json_t *)get_any(page, "pools"), i, p)
	{
		if (json_object_get(now, get_text(p, "name")))
			continue;
		json_object_set(now, get_text(p, "name"), p);
		json_object_set_new(p, "volumes", json_array());
	}
	json_array_foreach((json_t *)get_any(page, "stats"), i, v)
		json_array_append(json_object_get(json_object_get(now, get_text(v, "pool")), "volumes"), v);
}

/* All pages; NULL with l->err. */
static json_t *ask(struct looking *l)
{
	json_t *now = json_object(), *args = json_copy(l->args), *page;
	bool more = true;

	while (more) {
		page = NULL;
		if (cli_ask(l->c, "volume-stats", args, &page, l->code, &l->err)) {
			json_decref(now);
			now = NULL;
			break;
		}
		take(now, page);
		more = json_object_get(page, "cursor") != NULL;
		if (more)
			json_object_set(args, "cursor", json_object_get(page, "cursor"));
		json_decref(page);
	}
	json_decref(args);
	return now;
}

/* The manager may come back: only the first look must succeed. */
static json_t *look(void *ctx, double seconds)
{
	struct looking *l = ctx;
	json_t *pools = json_array(), *now, *p;
	const char *name;

	l->err = ERR_INIT;
	now = ask(l);
	if (!now && !l->before) {
		json_decref(pools);
		return NULL;
	}
	if (!now)
		json_array_append_new(pools, json_pack("{s:s, s:s, s:s}", "name", "hybridd", "state", "no answer",
						       "why", l->err.text));
	json_object_foreach(now, name, p)
		json_array_append_new(pools, get_any(p, "error") ?
				      json_pack("{s:s, s:s, s:s}", "name", name, "state", "no answer", "why",
						get_text(p, "error")) :
				      rates_json(p, json_object_get(l->before, name), seconds));
	json_decref(l->before);
	l->before = now ? now : json_object();
	return pools;
}

int cli_top(const struct cli *c, char ret_code[64], struct err *err)
{
	struct looking l = {.c = c, .args = json_object(), .err = ERR_INIT};
	struct top t = {.title = "hybrid-volume top", .look = look, .ctx = &l};
	static const char *const passed[] = {"volumes", "filters"};
	char many[32];
	struct top_option interval = {"interval", NULL}, count = {"count", NULL};
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(passed); i++)
		if (json_object_get(c->args, passed[i]))
			json_object_set(l.args, passed[i], json_object_get(c->args, passed[i]));
	interval.value = json_string_value(json_object_get(c->args, "interval"));
	if (json_object_get(c->args, "count") || get_bool(c->args, "once")) {
		snprintf(many, sizeof(many), "%lld", get_bool(c->args, "once") ? 1ll :
			 (long long)json_integer_value(json_object_get(c->args, "count")));
		count.value = many;
	}
	rc = top_set(&t, &interval, &count, json_string_value(json_object_get(c->args, "sort")), err);
	ret_code[0] = '\0';
	if (!rc) {
		t.json = c->output == OUTPUT_JSON;
		t.batch = t.json || get_bool(c->args, "once") || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO);
		rc = top_run(&t);
		if (rc && l.err.code) {
			*err = l.err;
			memcpy(ret_code, l.code, sizeof(l.code));
		} else if (rc) {
			err_set(err, rc < 0 ? rc : -EIO, "the view could not be shown");
		}
	}
	json_decref(l.before);
	json_decref(l.args);
	return err->code;
}
