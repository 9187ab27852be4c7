/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_top.c - hybrid-pool top: what pools in use are doing now: pools, tiers, the busiest volumes. */
#include <errno.h>
#include <stdlib.h>

#include "live.h"
#include "top.h"

struct looking {
	struct tool *tool;
	struct live_pools pools;
	json_t **before;		/* of each pool; NULL: none */
};

/* Looks at every pool. */
static json_t *look(void *ctx, double seconds)
{
	struct looking *l = ctx;
	json_t *pools = json_array();

	for (size_t i = 0; i < l->pools.n; i++) {
		struct err why = ERR_INIT;
		json_t *now = live_look(l->tool, &l->pools.v[i], &why);

		json_array_append_new(pools, now ? rates_json(now, l->before[i], seconds) :
				      json_pack("{s:s, s:s, s:s}", "name", l->pools.v[i].name, "state",
						why.code == -ENODEV ? "not in use" : "no answer", "why", why.text));
		json_decref(l->before[i]);
		l->before[i] = now;
	}
	return pools;
}

static int top(struct tool *tool, int argc, char **argv)
{
	struct looking l = {.tool = tool};
	struct top t = {.title = "hybrid-pool top", .look = look, .ctx = &l};
	const struct top_option delay = {"delay", tool->delay}, count = {"count", tool->count};
	struct err err = ERR_INIT;
	int rc = EXIT_OK;

	if (top_set(&t, &delay, &count, tool->sort, &err))
		return tool_usage("%s", err.text);
	t.json = tool->json;
	t.batch = tool->batch || tool->json;
	if (live_pools_new(tool, argv, (size_t)argc, &l.pools, &err))
		return tool_fail(&err);
	l.before = calloc(l.pools.n + 1, sizeof(*l.before));
	if (l.before)
		rc = top_run(&t);
	if (rc == -ENOTTY)
		rc = tool_usage("top: this is no terminal: say --batch");
	for (size_t i = 0; l.before && i < l.pools.n; i++)
		json_decref(l.before[i]);
	free(l.before);
	live_pools_free(&l.pools);
	return rc;
}

const struct command top_commands[] = {
	{"top", top, 0, 64, "[POOL...]", TAKES_BATCH | TAKES_TIMES, "watch pools in use: tiers, the busiest volumes",
	 "Of all pools of the configuration without POOL. Keys: i n r w h l sort volumes by IOPS, name, bytes read,\n"
	 "bytes written, worst hit ratio, longest reads; space looks at once, q ends. A view shows what happened\n"
	 "since the one before; latencies are the ends of histogram buckets. With --output json each view is a\n"
	 "document in a line.\n"},
	{0},
};
