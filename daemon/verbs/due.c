/* SPDX-License-Identifier: GPL-2.0-only */
/* due.c - what is done because its time has come: schedules, the recycle bin empties,
 * snapshots that nobody completes go, old tokens, tasks and audit lines
 * go. */
#include <stdio.h>
#include <stdlib.h>

#include "verbs/priv.h"

#define DAY_MS 86400000ull
#define EVERY_MS 60000u
#define TOKENS_MS (7 * DAY_MS)
#define TASKS_MS (30 * DAY_MS)
#define AUDIT_MS (400 * DAY_MS)
#define AT_ONCE 200u /* rows a turn, so that nobody waits for it */

static json_t *find_older(struct store_tx *tx, enum store_table t, const char *column, uint64_t ms, struct err *err)
{
	char text[24];
	const char *values[] = {text};
	struct store_filter f = {.column = column, .values = values, .nvalues = 1, .how = FILTER_BELOW};
	struct store_query q = {.table = t, .filters = &f, .nfilters = 1, .limit = AT_ONCE};

	snprintf(text, sizeof(text), "%llu", (unsigned long long)ms);
	return store_find(tx, &q, NULL, err);
}

static void forget(struct store_tx *tx, enum store_table t, const char *column, uint64_t ms)
{
	struct err err = ERR_INIT;
	json_t *rows = find_older(tx, t, column, ms, &err), *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		char *key = store_key(t, row);

		if (key)
			store_delete(tx, t, key, &err);
		free(key);
	}
	json_decref(rows);
}

static int forget_old(struct store_tx *tx, void *arg, struct err *err)
{
	uint64_t now = ebs_now_ms(arg);

	(void)err;
	forget(tx, T_TOKEN, "created_ms", now - TOKENS_MS);
	forget(tx, T_TASK, "ended_ms", now - TASKS_MS);
	forget(tx, T_AUDIT, "at_ms", now - AUDIT_MS);
	forget(tx, T_KEY, "revoked_ms", now - AUDIT_MS);
	return 0;
}

struct binned {
	struct ebs *e;
	json_t *volumes, *snapshots, *fills; /* fills: snapshots that were not completed in time */
};

static int find_binned(struct store_tx *tx, void *arg, struct err *err)
{
	struct binned *b = arg;

	b->volumes = find_older(tx, T_VOLUME, "bin_until_ms", ebs_now_ms(b->e), err);
	b->snapshots = find_older(tx, T_SNAPSHOT, "bin_until_ms", ebs_now_ms(b->e), err);
	b->fills = find_older(tx, T_SNAPSHOT, "fill_until_ms", ebs_now_ms(b->e), err);
	return 0;
}

/* By the verb that a user would use: one way to delete. */
static void delete_all(struct ebs *e, const json_t *rows, const char *verb, const char *arg)
{
	json_t *row;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
	{
		/* Not waited for: who calls us looks for what is late, too. */
		json_t *args = json_pack("{s:O, s:b, s:i}", arg, json_object_get(row, "id"), "permanently", 1,
					 "wait_ms", 0);
		struct ebs_call c = {.who = "recycle bin", .rights = EBS_MAY_ALL, .args = args,
				     .from_bin = true};

		ebs_run(e, verb, &c);
		ebs_call_free(&c);
		json_decref(args);
	}
}

void due_run(struct ebs *e)
{
	struct binned b = {.e = e};
	struct err err = ERR_INIT;
	uint64_t now = ebs_now_ms(e);

	schedules_due(e);
	if (now - e->due_ms < EVERY_MS)
		return;
	e->due_ms = now;
	schedules_prune(e);
	store_read(e->store, find_binned, &b, &err);
	delete_all(e, b.volumes, "volume-delete", "volume");
	delete_all(e, b.snapshots, "snapshot-delete", "snapshot");
	delete_all(e, b.fills, "snapshot-delete", "snapshot");
	json_decref(b.fills);
	json_decref(b.volumes);
	json_decref(b.snapshots);
	store_write(e->store, forget_old, e, &err);
}
