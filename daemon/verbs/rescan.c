/* SPDX-License-Identifier: GPL-2.0-only */
/* rescan.c - after a volume has grown, the hosts that have it look at its size again, so that guests see it.
 *
 * tgtd tells every session that the capacity has changed, but Linux only writes that into its log. A host that does not
 * answer keeps nobody waiting: it sees the size when it is told again, or logs in anew.
 *
 * Crash story: killed in between, all are asked again; looking twice does no harm.
 */
#include <stdio.h>

#include "verbs/priv.h"

#define RESCAN_MS 10000u

struct seen_by {
	const char *volume_id;
	json_t *hosts; /* [{"id" of the attachment, "name", "url", "pin" of its host}] */
};

static int read_hosts(struct store_tx *tx, void *arg, struct err *err)
{
	struct seen_by *s = arg;
	json_t *rows = attachments_of(tx, "volume_id", s->volume_id, err), *row, *host;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		host = store_get(tx, T_HOST, text_of(row, "host_id"), err);
		if (host)
			json_array_append_new(s->hosts, json_pack("{s:O, s:O, s:O, s:O}", "id",
								  json_object_get(row, "id"), "name",
								  json_object_get(host, "name"), "url",
								  json_object_get(host, "url"), "pin",
								  json_object_get(host, "pin")));
		json_decref(host);
	}
	json_decref(rows);
	return err->code;
}

int rescan_hosts(struct ebs *e, const char *volume_id, struct err *err)
{
	struct seen_by s = {volume_id, json_array()};
	int rc = store_read(e->store, read_hosts, &s, err);
	json_t *host;
	size_t i;

	json_array_foreach(s.hosts, i, host)
	{
		struct err why = ERR_INIT;
		json_t *args = json_pack("{s:O}", "attachment", json_object_get(host, "id"));
		json_t *done = agent_call(e->agents, text_of(host, "url"), text_of(host, "pin"), "rescan", args,
					  RESCAN_MS, &why);

		if (!done)
			fprintf(stderr, "hybridd: %s has grown; host %s has not looked at its size again: %s\n",
				volume_id, text_of(host, "name"), why.text);
		json_decref(done);
		json_decref(args);
	}
	json_decref(s.hosts);
	return rc;
}
