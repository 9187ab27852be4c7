/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_stats.c - hybrid-pool stats: every counter of a pool, and how long requests took. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "live.h"

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

static void counters(const struct tool *t, struct out_table *table, const json_t *values, const char *section)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)values, key, v) {
		if (json_is_integer(v))
			counter(t, table, section, key, (uint64_t)json_integer_value(v));
	}
}

static void level_counters(const struct tool *t, struct out_table *table, const json_t *levels)
{
	char section[32];
	json_t *l;
	size_t i;

	json_array_foreach((json_t *)levels, i, l) {
		snprintf(section, sizeof(section), "level%" PRIu64, get_uint(l, "level"));
		counters(t, table, l, section);
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

static void cell(const json_t *tier, const char *key, char to[24])
{
	if (get_any(tier, key))
		snprintf(to, 24, "%" PRIu64, get_uint(tier, key));
	else
		snprintf(to, 24, "-");
}

static void show_tiers(const json_t *stats)
{
	static const char *const columns[] = {"TIER", "STATE", ">SIZE", ">USED", ">HITS", ">MISSES", ">ADMITTED",
					      ">AGAIN", ">RISEN", ">FALLEN", ">BAD", NULL};
	static const char *const keys[] = {"hit_blocks", "miss_blocks", "admitted_blocks", "again_blocks",
					   "risen_blocks", "fallen_blocks", "bad_blocks"};
	struct out_table *table = out_table_new(columns);
	char size[16], used[16], n[7][24];
	json_t *tier;
	size_t i;

	json_array_foreach((json_t *)get_any(stats, "tiers"), i, tier) {
		const char *cells[] = {get_text(tier, "tier"), get_text(tier, "state"), size, used, n[0], n[1], n[2],
				       n[3], n[4], n[5], n[6]};

		out_human(get_uint(tier, "size_bytes"), size);
		out_human(get_uint(tier, "used_bytes"), used);
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			cell(tier, keys[k], n[k]);
		out_table_row(table, cells);
	}
	out_table_end(table);
}

static void show_volumes(const json_t *stats)
{
	static const char *const columns[] = {"VOLUME", ">READS", ">READ", ">WRITES", ">WRITTEN", ">ERRORS", ">MEDIAN",
					      ">99%", NULL};
	struct out_table *table;
	char reads[24], read[16], writes[24], written[16], errors[24], p50[16], p99[16];
	json_t *v;
	size_t i;

	if (!json_array_size(get_any(stats, "volumes")))
		return;
	putchar('\n');
	table = out_table_new(columns);
	json_array_foreach((json_t *)get_any(stats, "volumes"), i, v) {
		const char *cells[] = {get_text(v, "name"), reads, read, writes, written, errors, p50, p99};

		cell(v, "requests.read.count", reads);
		out_human(get_uint(v, "requests.read.bytes"), read);
		cell(v, "requests.write.count", writes);
		out_human(get_uint(v, "requests.write.bytes"), written);
		snprintf(errors, sizeof(errors), "%" PRIu64,
			 get_uint(v, "requests.read.errors") + get_uint(v, "requests.write.errors"));
		out_duration(get_uint(v, "latency.read.p50_ns"), p50);
		out_duration(get_uint(v, "latency.read.p99_ns"), p99);
		out_table_row(table, cells);
	}
	out_table_end(table);
}

static int stats(struct tool *t, int argc, char **argv)
{
	static const char *const sections[] = {"space", "reads_blocks", "work", "write_back", "endurance", "recovery",
					       "memory"};
	struct err err = ERR_INIT, close_err = ERR_INIT;
	struct out_table *table;
	struct session *s;
	json_t *result;
	int rc = EXIT_OK;

	(void)argc;
	(void)argv;
	if (session_open(t, SESSION_READ, &s, &err))
		return tool_fail(&err);
	live_stats(s, &result, &err);
	session_close(s, &close_err);
	if (err.code)
		return tool_fail(&err);
	if (t->json) {
		rc = out_json(result);
	} else {
		table = out_facts_new();
		for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
			counters(t, table, get_any(result, sections[i]), sections[i]);
		level_counters(t, table, get_any(result, "levels"));
		rc = out_table_end(table);
		putchar('\n');
		show_tiers(result);
		putchar('\n');
		show_requests(result);
		putchar('\n');
		show_latency(result);
		show_volumes(result);
	}
	json_decref(result);
	return rc;
}

const struct command stats_commands[] = {
	{"stats", stats, 0, 0, "", TAKES_BYTES, "show all counters of a pool, its tiers and volumes",
	 "Tiers count blocks of 4 KiB. Volumes are listed when they are open or were asked for anything.\n"
	 "Counters begin at zero when the pool is opened, so those of a closed pool only tell about its recovery.\n"},
	{0},
};
