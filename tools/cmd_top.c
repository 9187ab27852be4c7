/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_top.c - hybrid-pool top: what pools in use are doing now: pools, tiers, the busiest volumes.
 *
 * Each view is first a JSON object (rates.c), then text: so that what a script reads is what is seen.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "live.h"

#define DELAY_MIN 0.1
#define DELAY_MAX 3600.0
#define LINES_BATCH 40u		/* volumes of one view where no screen ends */

static const struct sorting { const char *name; char key; const char *path; } sortings[] = {
	{"iops", 'i', NULL}, {"name", 'n', NULL}, {"read", 'r', "read_bytes"}, {"write", 'w', "write_bytes"},
	{"hit", 'h', "hit_percent"}, {"latency", 'l', "read_p99_ns"}};

struct top {
	struct tool *tool;
	struct live_pools pools;
	json_t **before;		/* of each pool; NULL: none */
	double before_s, delay_s;
	unsigned long count;		/* views still to come; 0: no end */
	const struct sorting *by;
	json_t *view;			/* the last one */
};

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ------------------------------------------------------------------ looking */
/* Looks at every pool; the view of what happened since the last time replaces the former one. */
static void look(struct top *t)
{
	double at = now_s(), seconds = at - t->before_s;
	json_t *pools = json_array();

	for (size_t i = 0; i < t->pools.n; i++) {
		struct err why = ERR_INIT;
		json_t *now = live_look(t->tool, &t->pools.v[i], &why);

		json_array_append_new(pools, now ? rates_json(now, t->before[i], seconds) :
				      json_pack("{s:s, s:s, s:s}", "name", t->pools.v[i].name, "state",
						why.code == -ENODEV ? "not in use" : "no answer", "why", why.text));
		json_decref(t->before[i]);
		t->before[i] = now;
	}
	t->before_s = at;
	json_decref(t->view);
	t->view = json_pack("{s:I, s:f, s:o}", "time_s", (json_int_t)time(NULL), "seconds", seconds, "pools", pools);
}

/* ------------------------------------------------------------------ cells */
static double number(const json_t *o, const char *key)
{
	return json_number_value(get_any(o, key));
}

static void cell_bytes(const json_t *o, const char *key, char to[16])
{
	double v = number(o, key);

	out_human(v > 0 ? (uint64_t)v & (v < 1024 ? ~0ull : ~0ull << 2) : 0, to);
}

static void cell_percent(const json_t *o, const char *key, char to[16])
{
	if (json_is_number(get_any(o, key)))
		snprintf(to, 16, "%.1f", number(o, key));
	else
		snprintf(to, 16, "-");
}

static void cell_time(const json_t *o, const char *key, char to[16])
{
	if (json_is_integer(get_any(o, key)))
		out_duration(get_uint(o, key), to);
	else
		snprintf(to, 16, "-");
}

/* What pools and volumes have alike: eight columns. */
static void add_common(struct text_buf *b, const json_t *o)
{
	char read[16], write[16], hit[16], r50[16], r99[16], w50[16], w99[16];

	cell_bytes(o, "read_bytes", read);
	cell_bytes(o, "write_bytes", write);
	cell_percent(o, "hit_percent", hit);
	cell_time(o, "read_p50_ns", r50);
	cell_time(o, "read_p99_ns", r99);
	cell_time(o, "write_p50_ns", w50);
	cell_time(o, "write_p99_ns", w99);
	text_add(b, " %8.0f %9s %9s %6s %8s %8s %8s %8s", number(o, "reads") + number(o, "writes"), read, write, hit,
		 r50, r99, w50, w99);
}

/* ------------------------------------------------------------------ the view as text */
/* A text of several lines, of which no more are kept than fit. */
struct screen {
	struct text_buf *out;
	unsigned columns, lines;	/* what is left of the lines */
	const char *end;		/* of a line */
	bool full;			/* the last line is used */
};

static void add_line(struct screen *s, const char *style, const struct text_buf *line)
{
	int n = (int)MIN(line->len, (size_t)s->columns);

	if (!s->lines)
		return;
	s->lines--;
	text_add(s->out, "%s%.*s%s%s", style, n, line->text, style[0] ? "\033[0m" : "", s->end);
}

static const char *style_of(const struct top *t, const char *style)
{
	return t->tool->batch ? "" : style;
}

static void heading(struct top *t, struct screen *s, const char *text)
{
	struct text_buf line = {0};

	text_add(&line, "%s", text);
	add_line(s, style_of(t, "\033[7m"), &line);
	free(line.text);
}

static void add_pool(struct top *t, struct screen *s, const json_t *p)
{
	struct text_buf line = {0};
	char dirty[16], lag[16], wb[16];

	text_add(&line, "%-20.20s %-10.10s", get_text(p, "name"), get_text(p, "state"));
	if (get_any(p, "reads")) {
		cell_bytes(p, "dirty_bytes", dirty);
		cell_bytes(p, "writeback_bytes", wb);
		cell_time(p, "lag_ns", lag);
		add_common(&line, p);
		text_add(&line, " %9s %8s %9s", dirty, lag, wb);
	}
	add_line(s, style_of(t, strcmp(get_text(p, "state"), "ok") ? "\033[31m" : ""), &line);
	free(line.text);
}

static void add_tier(struct top *t, struct screen *s, const json_t *p, const json_t *tier)
{
	char size[16], used[16], hit[16], hits[16], read[16], write[16], mean[16], name[40];
	struct text_buf line = {0};

	cell_bytes(tier, "size_bytes", size);
	cell_bytes(tier, "used_bytes", used);
	cell_percent(tier, "hit_percent", hit);
	cell_bytes(tier, "hit_bytes", hits);
	snprintf(name, sizeof(name), "%s%s%s", t->pools.n > 1 ? get_text(p, "name") : "", t->pools.n > 1 ? "/" : "",
		 get_text(tier, "tier"));
	text_add(&line, "%-20.20s %-10.10s %8s %9s %9s %6s", name, get_text(tier, "state"), size, used, hits, hit);
	if (get_any(tier, "device_ios")) {
		cell_bytes(tier, "device_read_bytes", read);
		cell_bytes(tier, "device_write_bytes", write);
		cell_time(tier, "device_mean_ns", mean);
		text_add(&line, " %8.0f %8s %8s %8.1f %9s", number(tier, "device_ios"), read, write,
			 number(tier, "device_queue"), mean);
	}
	add_line(s, "", &line);
	free(line.text);
}

/* ------------------------------------------------------------------ volumes */
struct volume_row {
	const json_t *pool, *v;
	double key;
};

static int by_key(const void *a, const void *b)
{
	const struct volume_row *x = a, *y = b;
	int order;

	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	order = strcmp(get_text(x->pool, "name"), get_text(y->pool, "name"));
	return order ? order : strcmp(get_text(x->v, "name"), get_text(y->v, "name"));
}

static double key_of(const struct sorting *by, const json_t *v)
{
	if (!strcmp(by->name, "iops"))
		return number(v, "reads") + number(v, "writes");
	if (!by->path)
		return 0;
	/* Of hits the worst come first; those without reads last. */
	if (!strcmp(by->name, "hit"))
		return json_is_number(get_any(v, by->path)) ? 100 - number(v, by->path) : -1;
	return number(v, by->path);
}

/* All volumes, sorted; owned. */
static struct volume_row *sorted_volumes(const struct top *t, size_t *ret_n)
{
	struct volume_row *rows = NULL;
	json_t *p, *v;
	size_t i, k, n = 0;

	json_array_foreach(json_object_get(t->view, "pools"), i, p)
		n += json_array_size(get_any(p, "volumes"));
	rows = calloc(n + 1, sizeof(*rows));
	*ret_n = n = 0;
	if (!rows)
		return NULL;
	json_array_foreach(json_object_get(t->view, "pools"), i, p)
		json_array_foreach((json_t *)get_any(p, "volumes"), k, v)
			rows[n++] = (struct volume_row){p, v, key_of(t->by, v)};
	qsort(rows, n, sizeof(*rows), by_key);
	*ret_n = n;
	return rows;
}

static void add_volumes(struct top *t, struct screen *s)
{
	struct volume_row *rows;
	char name[2 * HB_NAME_MAX + 2];
	size_t n;

	heading(t, s, "VOLUME                             IOPS    READ/s   WRITE/s   HIT%    R MED    R 99%    "
		"W MED    W 99%");
	rows = sorted_volumes(t, &n);
	for (size_t i = 0; i < n && s->lines; i++) {
		struct text_buf line = {0};

		snprintf(name, sizeof(name), "%s%s%s", t->pools.n > 1 ? get_text(rows[i].pool, "name") : "",
			 t->pools.n > 1 ? "/" : "", get_text(rows[i].v, "name"));
		text_add(&line, "%-30.30s", name);
		if (strlen(name) > 30)
			line.text[29] = '~';
		add_common(&line, rows[i].v);
		add_line(s, "", &line);
		free(line.text);
	}
	free(rows);
}

static void add_view(struct top *t, struct screen *s)
{
	struct text_buf line = {0};
	time_t now = (time_t)get_uint(t->view, "time_s");
	struct tm tm;
	char clock[32] = "";
	json_t *p, *tier;
	size_t i, k;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	text_add(&line, "hybrid-pool top, %s, last %.1f s, volumes by %s%s", clock, number(t->view, "seconds"),
		 t->by->name, t->tool->batch ? "" : " (i n r w h l to sort, q to end)");
	add_line(s, "", &line);
	free(line.text);
	heading(t, s, "POOL                 STATE          IOPS    READ/s   WRITE/s   HIT%    R MED    R 99%    "
		"W MED    W 99%     DIRTY      LAG WRITEBACK");
	json_array_foreach(json_object_get(t->view, "pools"), i, p)
		add_pool(t, s, p);
	heading(t, s, "TIER                 STATE          SIZE      USED    HITS/s   HIT%   D IOPS   READ/s  "
		"WRITE/s    QUEUE      MEAN");
	json_array_foreach(json_object_get(t->view, "pools"), i, p)
		json_array_foreach((json_t *)get_any(p, "tiers"), k, tier)
			add_tier(t, s, p, tier);
	add_volumes(t, s);
}

/* ------------------------------------------------------------------ two ways to show it */
static int batch(struct top *t)
{
	struct text_buf text;

	look(t);	/* rates are between two looks: the first shows nothing */
	do {
		usleep((useconds_t)(t->delay_s * 1e6));
		look(t);
		if (t->tool->json) {
			json_dumpf(t->view, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
			putchar('\n');
		} else {
			text = (struct text_buf){0};
			add_view(t, &(struct screen){&text, 1000, LINES_BATCH, "\n", false});
			printf("%s\n", text.text);
			free(text.text);
		}
		if (fflush(stdout))
			return EXIT_FAILED;
	} while (t->count != 1 && (t->count == 0 || t->count--));
	return EXIT_OK;
}

static void draw(struct top *t)
{
	struct screen s = {.end = "\033[K\r\n"};
	struct text_buf text = {0};

	term_size(&s.columns, &s.lines);
	s.out = &text;
	s.lines--;	/* the last one stays empty: writing its end would scroll */
	text_add(&text, "\033[H");
	add_view(t, &s);
	text_add(&text, "\033[J");
	term_draw(&text);
	free(text.text);
}

static bool sort_by_key(struct top *t, int key)
{
	for (size_t i = 0; i < ARRAY_LEN(sortings); i++)
		if (sortings[i].key == key) {
			t->by = &sortings[i];
			return true;
		}
	return false;
}

/* Until the next look is due; false: it is time to end. */
static bool wait_and_draw(struct top *t)
{
	double until = now_s() + t->delay_s, left;

	while ((left = until - now_s()) > 0) {
		int key = term_key((int)(left * 1000) + 1);

		if (key == 'q' || key == 'Q' || key == 3 || key == -1)
			return false;
		if (key == -2 || sort_by_key(t, key))
			draw(t);
		else if (key == ' ')
			break;
	}
	return true;
}

static int live(struct top *t)
{
	if (term_begin())
		return tool_usage("top: this is no terminal: say --batch");
	do {
		look(t);
		draw(t);
	} while (wait_and_draw(t) && t->count != 1 && (t->count == 0 || t->count--));
	term_end();
	return EXIT_OK;
}

/* ------------------------------------------------------------------ the command */
static int read_times(struct top *t)
{
	const struct tool *tool = t->tool;
	char *end;

	if (tool->delay) {
		t->delay_s = strtod(tool->delay, &end);
		if (*end || end == tool->delay || !isfinite(t->delay_s) || t->delay_s < DELAY_MIN ||
		    t->delay_s > DELAY_MAX)
			return tool_usage("--delay %s: expected seconds, %g to %g", tool->delay, DELAY_MIN, DELAY_MAX);
	}
	if (tool->count) {
		errno = 0;
		t->count = strtoul(tool->count, &end, 10);
		if (*end || tool->count[0] < '0' || tool->count[0] > '9' || errno || !t->count)
			return tool_usage("--count %s: expected a whole number above 0", tool->count);
	}
	for (size_t i = 0; tool->sort && i < ARRAY_LEN(sortings); i++)
		if (!strcmp(sortings[i].name, tool->sort))
			t->by = &sortings[i];
	if (tool->sort && strcmp(t->by->name, tool->sort))
		return tool_usage("--sort %s: expected name, iops, read, write, hit or latency", tool->sort);
	return EXIT_OK;
}

static int top(struct tool *tool, int argc, char **argv)
{
	struct top t = {.tool = tool, .delay_s = 2, .by = &sortings[0]};
	struct err err = ERR_INIT;
	int rc = read_times(&t);

	if (rc)
		return rc;
	tool->batch |= tool->json;
	if (live_pools_new(tool, argv, (size_t)argc, &t.pools, &err))
		return tool_fail(&err);
	t.before = calloc(t.pools.n + 1, sizeof(*t.before));
	if (t.before)
		rc = tool->batch ? batch(&t) : live(&t);
	for (size_t i = 0; t.before && i < t.pools.n; i++)
		json_decref(t.before[i]);
	free(t.before);
	json_decref(t.view);
	live_pools_free(&t.pools);
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
