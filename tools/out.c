/* SPDX-License-Identifier: GPL-2.0-only */
/* out.c - tables, sizes and JSON on standard output, and reading values out of answers. */
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "tool.h"

#define COLUMNS_MAX 16

struct out_table {
	struct libscols_table *cols;
	int ncolumns;
};

void out_human(uint64_t bytes, char to[16])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	int u = 0;

	while (u < 6 && bytes >> (10 * (u + 1)))
		u++;
	if (bytes % (1ull << (10 * u)) == 0)
		snprintf(to, 16, "%" PRIu64 "%s", bytes >> (10 * u), units[u]);
	else
		snprintf(to, 16, "%.1f%s", (double)bytes / (double)(1ull << (10 * u)), units[u]);
}

void out_size(const struct tool *t, uint64_t bytes, char to[48])
{
	char human[16];

	out_human(bytes, human);
	if (t->bytes)
		snprintf(to, 48, "%" PRIu64, bytes);
	else
		snprintf(to, 48, "%s (%" PRIu64 ")", human, bytes);
}

void out_cell(const struct tool *t, uint64_t bytes, char to[48])
{
	if (t->bytes)
		out_size(t, bytes, to);
	else
		out_human(bytes, to);
}

void out_time(uint64_t seconds, char to[32])
{
	time_t s = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&s, &tm) || !strftime(to, 32, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(to, 32, "%" PRIu64, seconds);
}

void out_duration(uint64_t ns, char to[16])
{
	if (ns < 1000000)
		snprintf(to, 16, "%.1fus", (double)ns / 1e3);
	else if (ns < SEC_NS)
		snprintf(to, 16, "%.1fms", (double)ns / 1e6);
	else
		snprintf(to, 16, "%.2fs", (double)ns / 1e9);
}

int out_json(const json_t *result)
{
	if (json_dumpf(result, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF)
		return EXIT_OK;
	fprintf(stderr, "%s: the answer could not be written\n", program_invocation_short_name);
	return EXIT_FAILED;
}

/* ------------------------------------------------------------------ tables */
static void must(const void *p)
{
	if (p)
		return;
	fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
	exit(EXIT_FAILED);
}

struct out_table *out_table_new(const char *const *columns)
{
	struct out_table *table = calloc(1, sizeof(*table));

	must(table);
	table->cols = scols_new_table();
	must(table->cols);
	for (; columns[table->ncolumns]; table->ncolumns++) {
		const char *name = columns[table->ncolumns];
		int flags = name[0] == '>' ? SCOLS_FL_RIGHT : name[0] == '*' ? SCOLS_FL_TREE : 0;

		must(scols_table_new_column(table->cols, flags ? name + 1 : name, 0, flags));
	}
	return table;
}

struct out_row *out_table_row_below(struct out_table *table, const char *const *cells, struct out_row *parent)
{
	struct libscols_line *line = scols_table_new_line(table->cols, (struct libscols_line *)parent);

	must(line);
	for (int i = 0; i < table->ncolumns; i++)
		must(scols_line_set_data(line, (size_t)i, cells[i]) ? NULL : line);
	return (struct out_row *)line;
}

void out_table_row(struct out_table *table, const char *const *cells)
{
	out_table_row_below(table, cells, NULL);
}

int out_table_end(struct out_table *table)
{
	int rc = scols_print_table(table->cols);

	scols_unref_table(table->cols);
	free(table);
	if (rc == 0)
		return EXIT_OK;
	fprintf(stderr, "%s: the table could not be written\n", program_invocation_short_name);
	return EXIT_FAILED;
}

struct out_table *out_facts_new(void)
{
	static const char *const columns[] = {"NAME", "VALUE", NULL};
	struct out_table *table = out_table_new(columns);

	scols_table_enable_noheadings(table->cols, 1);
	return table;
}

void out_fact(struct out_table *table, const char *name, const char *fmt, ...)
{
	char value[512];
	const char *cells[] = {name, value};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	out_table_row(table, cells);
}

/* ------------------------------------------------------------------ answers */
const json_t *get_any(const json_t *o, const char *path)
{
	char key[64];

	while (o) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		o = json_object_get(o, key);
		if (!path[n])
			return o;
		path += n + 1;
	}
	return NULL;
}

uint64_t get_uint(const json_t *o, const char *path)
{
	return (uint64_t)json_integer_value(get_any(o, path));
}

const char *get_text(const json_t *o, const char *path)
{
	const char *s = json_string_value(get_any(o, path));

	return s ? s : "";
}

bool get_bool(const json_t *o, const char *path)
{
	return json_is_true(get_any(o, path));
}
