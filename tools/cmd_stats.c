/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_stats.c - hybrid-pool stats: every counter of a pool, and how long requests took. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

static void counter(const struct tool *t, struct out_table *table, const char *section, const char *name,
		    uint64_t value)
{
	char label[96], text[48];

	snprintf(label, sizeof(label), "%s.%s", section, name);
	if (!t->bytes && ends_with(name, "_ns"))
		out_duration(value, text);
	else if (ends_with(name, "_bytes"))
		out_size(t, value, text);
	else
		snprintf(text, sizeof(text), "%" PRIu64, value);
	out_fact(table, label, "%s", text);
}

static void counters(const struct tool *t, struct out_table *table, const json_t *stats, const char *section)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)get_any(stats, section), key, v) {
		if (json_is_integer(v))
			counter(t, table, section, key, (uint64_t)json_integer_value(v));
	}
}

static void show_requests(const json_t *stats)
{
	static const char *const columns[] = {"REQUEST", ">COUNT", ">BYTES", ">ERRORS", NULL};
	struct out_table *table = out_table_new(columns);
	char count[24], bytes[16], errors[24];
	const char *op;
	json_t *r;

	json_object_foreach((json_t *)get_any(stats, "requests"), op, r) {
		const char *cells[] = {op, count, bytes, errors};

		snprintf(count, sizeof(count), "%" PRIu64, get_uint(r, "count"));
		out_human(get_uint(r, "bytes"), bytes);
		snprintf(errors, sizeof(errors), "%" PRIu64, get_uint(r, "errors"));
		out_table_row(table, cells);
	}
	out_table_end(table);
}

static void show_latency(const json_t *stats)
{
	static const char *const columns[] = {"LATENCY", ">COUNT", ">MEDIAN", ">99%", ">99.9%", NULL};
	struct out_table *table = out_table_new(columns);
	char count[24], p50[16], p99[16], p999[16];
	const char *kind;
	json_t *l;

	json_object_foreach((json_t *)get_any(stats, "latency"), kind, l) {
		const char *cells[] = {kind, count, p50, p99, p999};

		snprintf(count, sizeof(count), "%" PRIu64, get_uint(l, "count"));
		out_duration(get_uint(l, "p50_ns"), p50);
		out_duration(get_uint(l, "p99_ns"), p99);
		out_duration(get_uint(l, "p999_ns"), p999);
		out_table_row(table, cells);
	}
	out_table_end(table);
}

static int stats(struct tool *t, int argc, char **argv)
{
	static const char *const sections[] = {"space", "reads_blocks", "work", "recovery", "memory"};
	struct err err = ERR_INIT;
	struct out_table *table;
	json_t *result;
	int rc = EXIT_OK;

	(void)argc;
	(void)argv;
	if (session_once(t, SESSION_READ, "stats", NULL, &result, &err))
		return tool_fail(&err);
	if (t->json) {
		rc = out_json(result);
	} else {
		table = out_facts_new();
		for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
			counters(t, table, result, sections[i]);
		rc = out_table_end(table);
		putchar('\n');
		show_requests(result);
		putchar('\n');
		show_latency(result);
	}
	json_decref(result);
	return rc;
}

const struct command stats_commands[] = {
	{"stats", stats, 0, 0, "", TAKES_BYTES, "show all counters of a pool",
	 "Counters begin at zero when the pool is opened, so those of a closed pool only tell about its recovery.\n"},
	{0},
};
