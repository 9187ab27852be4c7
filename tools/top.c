/* SPDX-License-Identifier: GPL-2.0-only */
/* top.c - a live view of pools, tiers and the busiest volumes; see top.h.
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
#include "top.h"

#define DELAY_MIN 0.1
#define DELAY_MAX 3600.0
#define LINES_BATCH 40u		/* volumes of one view where no screen ends */

static const struct top_sorting { const char *name; char key; const char *path; } sortings[] = {
	{"iops", 'i', NULL}, {"name", 'n', NULL}, {"read", 'r', "read_bytes"}, {"write", 'w', "write_bytes"},
	{"hit", 'h', "hit_percent"}, {"latency", 'l', "read_p99_ns"}};

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ------------------------------------------------------------------ looking */
/* The view of what happened since the last time replaces the former one. False: it is time to end. */
static bool look(struct top *t)
{
	double at = now_s(), seconds = at - t->before_s;
	json_t *pools = t->look(t->ctx, seconds);

	if (!pools)
		return false;
	t->before_s = at;
	json_decref(t->view);
	t->view = json_pack("{s:I, s:f, s:o}", "time_s", (json_int_t)time(NULL), "seconds", seconds, "pools", pools);
	return true;
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

static bool several(const struct top *t)
{
	return json_array_size(json_object_get(t->view, "pools")) > 1;
}

static const char *style_of(const struct top *t, const char *style)
{
	return t->batch ? "" : style;
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
	snprintf(name, sizeof(name), "%s%s%s", several(t) ? get_text(p, "name") : "", several(t) ? "/" : "",
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

/* Its name, or the id of one that has none. */
static const char *label(const json_t *v)
{
	return *get_text(v, "name") ? get_text(v, "name") : get_text(v, "id");
}

static int by_key(const void *a, const void *b)
{
	const struct volume_row *x = a, *y = b;
	int order;

	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	order = strcmp(get_text(x->pool, "name"), get_text(y->pool, "name"));
	return order ? order : strcmp(label(x->v), label(y->v));
}

static double key_of(const struct top_sorting *by, const json_t *v)
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
	char name[400];
	size_t n;

	heading(t, s, "VOLUME                             IOPS    READ/s   WRITE/s   HIT%    R MED    R 99%    "
		"W MED    W 99%");
	rows = sorted_volumes(t, &n);
	for (size_t i = 0; i < n && s->lines; i++) {
		struct text_buf line = {0};

		snprintf(name, sizeof(name), "%s%s%s", several(t) ? get_text(rows[i].pool, "name") : "",
			 several(t) ? "/" : "", label(rows[i].v));
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
	text_add(&line, "%s, %s, last %.1f s, volumes by %s%s", t->title, clock, number(t->view, "seconds"),
		 t->by->name, t->batch ? "" : " (i n r w h l to sort, q to end)");
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

	if (!look(t))	/* rates are between two looks: the first shows nothing */
		return EXIT_FAILED;
	do {
		usleep((useconds_t)(t->delay_s * 1e6));
		if (!look(t))
			return EXIT_FAILED;
		if (t->json) {
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
	int rc = EXIT_OK;

	if (!look(t))
		return EXIT_FAILED;
	if (term_begin())
		return -ENOTTY;
	do {
		draw(t);
	} while (wait_and_draw(t) && t->count != 1 && (t->count == 0 || t->count--) && (look(t) || (rc = EXIT_FAILED)));
	term_end();
	return rc;
}

int top_run(struct top *t)
{
	int rc = t->batch ? batch(t) : live(t);

	json_decref(t->view);
	t->view = NULL;
	return rc;
}

/* ------------------------------------------------------------------ options */
int top_set(struct top *t, const struct top_option *delay, const struct top_option *count, const char *sort,
	    struct err *err)
{
	char *end;

	t->delay_s = 2;
	if (delay->value) {
		t->delay_s = strtod(delay->value, &end);
		if (*end || end == delay->value || !isfinite(t->delay_s) || t->delay_s < DELAY_MIN ||
		    t->delay_s > DELAY_MAX)
			return err_set(err, -EINVAL, "--%s %s: expected seconds, %g to %g", delay->name, delay->value,
				       DELAY_MIN, DELAY_MAX);
	}
	if (count->value) {
		errno = 0;
		t->count = strtoul(count->value, &end, 10);
		if (*end || count->value[0] < '0' || count->value[0] > '9' || errno || !t->count)
			return err_set(err, -EINVAL, "--%s %s: expected a whole number above 0", count->name,
				       count->value);
	}
	t->by = &sortings[0];
	for (size_t i = 0; sort && i < ARRAY_LEN(sortings); i++)
		if (!strcmp(sortings[i].name, sort))
			t->by = &sortings[i];
	if (sort && strcmp(t->by->name, sort))
		return err_set(err, -EINVAL, "--sort %s: expected name, iops, read, write, hit or latency", sort);
	return 0;
}
