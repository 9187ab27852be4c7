/* SPDX-License-Identifier: GPL-2.0-only */
/* live.c - the numbers of pools in use; see live.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live.h"

/* ------------------------------------------------------------------ one pool */
int live_stats(struct session *s, json_t **ret, struct err *err)
{
	json_t *all = NULL, *args = NULL, *part;
	const char *next;

	for (;;) {
		if (session_call(s, "stats", args, &part, err)) {
			json_decref(all);
			return err->code;
		}
		next = get_text(part, "next");
		args = next[0] ? json_pack("{s:s}", "after", next) : NULL;
		if (all) {
			json_array_extend(json_object_get(all, "volumes"), json_object_get(part, "volumes"));
			json_decref(part);
		} else {
			all = part;
		}
		if (!args)
			break;
	}
	json_object_del(all, "next");
	*ret = all;
	return 0;
}

/* ------------------------------------------------------------------ several */
struct naming {
	struct live_pools *pools;
	char *const *names;
	size_t n;
	bool *found;
};

static int enter(void *ctx, const char *name)
{
	struct naming *g = ctx;
	struct live_pool *bigger;
	bool wanted = !g->n;

	for (size_t i = 0; i < g->n; i++)
		if (!strcmp(g->names[i], name))
			wanted = g->found[i] = true;
	if (!wanted)
		return 0;
	bigger = realloc(g->pools->v, (g->pools->n + 1) * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	g->pools->v = bigger;
	bigger += g->pools->n++;
	*bigger = (struct live_pool){0};
	snprintf(bigger->name, sizeof(bigger->name), "%s", name);
	return 0;
}

int live_pools_new(const struct tool *t, char *const names[], size_t n, struct live_pools *ret, struct err *err)
{
	struct naming g = {.pools = ret, .names = names, .n = n};

	if (!n && t->pool) {
		g.names = (char *const *)&t->pool;
		g.n = n = 1;
	}
	*ret = (struct live_pools){0};
	g.found = calloc(n + 1, sizeof(*g.found));
	if (!g.found)
		return err_set(err, -ENOMEM, "out of memory");
	session_each_pool(t, enter, &g, err);
	for (size_t i = 0; i < n && !err->code; i++)
		if (!g.found[i])
			err_set(err, -ENOENT, "no pool of the configuration is named \"%.80s\"", g.names[i]);
	free(g.found);
	if (err->code)
		live_pools_free(ret);
	return err->code;
}

void live_pools_free(struct live_pools *p)
{
	for (size_t i = 0; i < p->n; i++)
		session_close(p->v[i].session, NULL);
	free(p->v);
	*p = (struct live_pools){0};
}

json_t *live_look(const struct tool *t, struct live_pool *p, struct err *err)
{
	struct tool one = *t;
	json_t *stats = NULL;

	/* Twice: the process behind an old connection may have been replaced. */
	for (int i = 0; i < 2; i++) {
		bool old = p->session != NULL;

		*err = ERR_INIT;
		one.pool = p->name;
		if (!old && session_open(&one, SESSION_SERVED, &p->session, err))
			return NULL;
		if (live_stats(p->session, &stats, err) == 0)
			return stats;
		session_close(p->session, NULL);
		p->session = NULL;
		if (!old)
			break;
	}
	return NULL;
}
