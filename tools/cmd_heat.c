/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_heat.c - hybrid-pool heat: a map of a volume: where it is hot, and where its blocks are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "heat.h"
#include "live.h"

/* On success *ret_id is the volume's number. */
static int ask(struct session *s, const char *name, uint32_t buckets, struct heat_map *m, uint64_t *ret_id,
	       struct err *err)
{
	json_t *args = json_pack("{s:s, s:I}", "name", name, "buckets", (json_int_t)buckets), *part, *heat = NULL;
	bool complete = false;

	if (!args)
		return err_set(err, -EINVAL, "heat: the name is no valid text");
	while (!complete) {
		if (session_call(s, "volume-heat", args, &part, err))
			break;
		complete = get_bool(part, "complete");
		snprintf(m->name, sizeof(m->name), "%s", get_text(part, "name"));
		*ret_id = get_uint(part, "id");
		heat_add(m, part);
		if (!heat)
			heat = json_incref((json_t *)get_any(part, "heat"));
		args = json_pack("{s:s, s:s}", "name", name, "cursor", get_text(part, "cursor"));
		json_decref(part);
	}
	if (complete) {
		json_decref(args);
		heat_add_counts(m, heat);
	}
	json_decref(heat);
	return err->code;
}

static int print_json(const struct heat_map *m, uint64_t id)
{
	json_t *o = json_pack("{s:s, s:I}", "name", m->name, "id", (json_int_t)id);
	int rc;

	heat_put(m, o);
	rc = out_json(o);
	json_decref(o);
	return rc;
}

static int heat(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT, close_err = ERR_INIT;
	struct heat_map *m = calloc(1, sizeof(*m));
	struct session *s;
	int rc = EXIT_OK;
	uint64_t id = 0;

	(void)argc;
	if (!m)
		err_set(&err, -ENOMEM, "out of memory");
	else if (session_open(t, SESSION_READ, &s, &err) == 0) {
		ask(s, argv[0], heat_buckets(t->json), m, &id, &err);
		session_close(s, &close_err);
	}
	if (err.code)
		rc = tool_fail(&err);
	else if (t->json)
		rc = print_json(m, id);
	else
		heat_print(m);
	free(m);
	return rc;
}

const struct command heat_commands[] = {
	{"heat", heat, 1, 1, "VOLUME", 0, "show a map of a volume: where it is hot, where its blocks are",
	 "From left to right the volume's range; a line for each place: how much of each part is in RAM, on the\n"
	 "write tier, on the cache levels, only on the capacity device, or not mapped. Without a terminal that\n"
	 "knows Unicode, digits are tenths and # is all. Of a large volume some chunks are looked at. The lines\n"
	 "of reads and writes, fading by time, are there when the pool counts them, and is in use.\n"},
	{0},
};
