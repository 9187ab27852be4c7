/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_heat.c - hybrid-pool heat: a map of a volume: where it is hot, and where its blocks are. */
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "live.h"

#define COLUMNS_MAX 256u
#define BUCKETS_FILE 64u	/* where no terminal tells the width */

/* The lines of the map, fastest first; the cache levels are told by their numbers. */
static const struct place { const char *key, *name; int colour; } places[] = {
	{"ram", "ram", 31}, {"ssd", "ssd", 33}, {"cache1", "cache1", 32},
	{"cache2", "cache2", 32}, {"cache3", "cache3", 32}, {"cache4", "cache4", 32}, {"capacity", "capacity", 34},
	{"unmapped", "unmapped", 90}};

struct map {
	char name[HB_NAME_MAX + 1];
	uint64_t size_bytes, bucket_bytes, every, id;
	uint32_t n;				/* buckets */
	uint64_t blocks[COLUMNS_MAX][ARRAY_LEN(places)], dirty[COLUMNS_MAX];
	bool heat;
	double reads[COLUMNS_MAX], writes[COLUMNS_MAX];
};

/* ------------------------------------------------------------------ asking */
static void take_buckets(struct map *m, const json_t *list)
{
	json_t *b;
	size_t i;

	json_array_foreach((json_t *)list, i, b) {
		uint64_t at = get_uint(b, "bucket");

		if (at >= COLUMNS_MAX)
			continue;
		m->n = MAX(m->n, (uint32_t)at + 1);
		m->dirty[at] += get_uint(b, "dirty");
		for (size_t k = 0; k < ARRAY_LEN(places); k++)
			m->blocks[at][k] += get_uint(b, places[k].key);
	}
}

/* The counts of heat have buckets of their own: each is spread over those of the map that it covers. */
static void take_heat(struct map *m, const json_t *heat)
{
	const json_t *reads = get_any(heat, "reads"), *writes = get_any(heat, "writes");
	double size = (double)get_uint(heat, "bucket_bytes"), ours = (double)m->bucket_bytes;

	m->heat = size > 0 && ours > 0;
	for (size_t i = 0; m->heat && i < json_array_size(reads); i++) {
		double from = (double)i * size / ours, to = MIN(from + size / ours, (double)m->n);

		for (double at = from; at < to; at = floor(at) + 1) {
			double part = (MIN(floor(at) + 1, to) - at) / (size / ours);

			m->reads[(size_t)at] += part * json_number_value(json_array_get(reads, i));
			m->writes[(size_t)at] += part * json_number_value(json_array_get(writes, i));
		}
	}
}

static int ask(struct session *s, const char *name, uint32_t buckets, struct map *m, struct err *err)
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
		m->size_bytes = get_uint(part, "size_bytes");
		m->bucket_bytes = get_uint(part, "bucket_bytes");
		m->every = get_uint(part, "sampled_one_in");
		m->id = get_uint(part, "id");
		take_buckets(m, get_any(part, "buckets"));
		if (!heat)
			heat = json_incref((json_t *)get_any(part, "heat"));
		args = json_pack("{s:s, s:s}", "name", name, "cursor", get_text(part, "cursor"));
		json_decref(part);
	}
	if (complete) {
		json_decref(args);
		take_heat(m, heat);
	}
	json_decref(heat);
	return err->code;
}

/* ------------------------------------------------------------------ JSON */
static uint64_t looked_at(const struct map *m, uint32_t i)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < ARRAY_LEN(places); k++)
		sum += m->blocks[i][k];
	return sum;
}

static int print_json(const struct map *m)
{
	json_t *list = json_array(), *o;
	int rc;

	for (uint32_t i = 0; i < m->n; i++) {
		json_t *b = json_pack("{s:I, s:I, s:I}", "offset_bytes", (json_int_t)(i * m->bucket_bytes), "blocks",
				      (json_int_t)looked_at(m, i), "dirty", (json_int_t)m->dirty[i]);

		for (size_t k = 0; k < ARRAY_LEN(places); k++)
			json_object_set_new(b, places[k].key, json_integer((json_int_t)m->blocks[i][k]));
		json_object_set_new(b, "reads", m->heat ? json_real(m->reads[i]) : json_null());
		json_object_set_new(b, "writes", m->heat ? json_real(m->writes[i]) : json_null());
		json_array_append_new(list, b);
	}
	o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "name", m->name, "id", (json_int_t)m->id, "size_bytes",
		      (json_int_t)m->size_bytes, "bucket_bytes", (json_int_t)m->bucket_bytes, "sampled_one_in",
		      (json_int_t)m->every, "buckets", list);
	rc = out_json(o);
	json_decref(o);
	return rc;
}

/* ------------------------------------------------------------------ text */
struct style {
	bool colour, unicode;
	unsigned columns;		/* of the map itself */
};

static struct style find_style(void)
{
	struct style s = {.columns = BUCKETS_FILE};
	const char *term = getenv("TERM");
	struct winsize w;

	s.unicode = isatty(STDOUT_FILENO) && !strcmp(nl_langinfo(CODESET), "UTF-8");
	s.colour = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") && !getenv("NO_COLOR");
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 30)
		s.columns = MIN(w.ws_col - 20u, COLUMNS_MAX);
	return s;
}

/* A part of a whole, 0 to 1, as one character; anything above nothing is seen. */
static const char *shade(const struct style *s, double part)
{
	static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const ascii[] = {".", "1", "2", "3", "4", "5", "6", "7", "8", "9", "#"};
	unsigned top = s->unicode ? ARRAY_LEN(blocks) - 1 : ARRAY_LEN(ascii) - 1;
	unsigned i = part <= 0 ? 0 : part >= 1 ? top : MAX(1u, MIN(top - 1, (unsigned)(part * top + 0.5)));

	return s->unicode ? blocks[i] : ascii[i];
}

static void print_row(const struct style *s, const char *name, int colour, const double *parts, uint32_t n,
		      const char *sum)
{
	printf("%-9s", name);
	if (s->colour)
		printf("\033[%dm", colour);
	for (uint32_t i = 0; i < n; i++)
		fputs(shade(s, parts[i]), stdout);
	printf("%s %8s\n", s->colour ? "\033[0m" : "", sum);
}

/* Heat has no whole: against the hottest bucket, by roots, so that what is lukewarm is seen, too. */
static void print_heat(const struct style *s, const struct map *m, const char *name, const double *heat)
{
	double parts[COLUMNS_MAX], most = 0, sum = 0;
	char text[16];

	for (uint32_t i = 0; i < m->n; i++) {
		most = MAX(most, heat[i]);
		sum += heat[i];
	}
	for (uint32_t i = 0; i < m->n; i++)
		parts[i] = most > 0 ? sqrt(heat[i] / most) : 0;
	snprintf(text, sizeof(text), "%.0f", sum);
	print_row(s, name, 35, parts, m->n, text);
}

static void print_places(const struct style *s, const struct map *m)
{
	double parts[COLUMNS_MAX];
	uint64_t all = 0;
	char text[16];

	for (uint32_t i = 0; i < m->n; i++)
		all += looked_at(m, i);
	for (size_t k = 0; k <= ARRAY_LEN(places); k++) {
		bool dirty = k == ARRAY_LEN(places);
		uint64_t sum = 0;

		for (uint32_t i = 0; i < m->n; i++) {
			uint64_t here = dirty ? m->dirty[i] : m->blocks[i][k];

			parts[i] = (double)here / (double)MAX(looked_at(m, i), 1);
			sum += here;
		}
		snprintf(text, sizeof(text), "%.1f%%", 100.0 * (double)sum / (double)MAX(all, 1));
		if (sum || (!dirty && (!strcmp(places[k].key, "ram") || !strcmp(places[k].key, "capacity"))))
			print_row(s, dirty ? "dirty" : places[k].name, dirty ? 36 : places[k].colour, parts, m->n,
				  text);
	}
}

static void print_map(const struct style *s, const struct map *m)
{
	char size[16], bucket[16];

	out_human(m->size_bytes, size);
	out_human(m->bucket_bytes, bucket);
	printf("volume %s, %s; each column is %s", m->name, size, bucket);
	if (m->every > 1)
		printf(", of which one chunk in %" PRIu64 " was looked at", m->every);
	printf("\n\n");
	if (m->heat) {
		print_heat(s, m, "reads", m->reads);
		print_heat(s, m, "writes", m->writes);
		putchar('\n');
	}
	print_places(s, m);
}

static int heat(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT, close_err = ERR_INIT;
	struct map *m = calloc(1, sizeof(*m));
	struct style style = find_style();
	struct session *s;
	int rc = EXIT_OK;

	(void)argc;
	if (!m)
		err_set(&err, -ENOMEM, "out of memory");
	else if (session_open(t, SESSION_READ, &s, &err) == 0) {
		ask(s, argv[0], t->json ? BUCKETS_FILE : style.columns, m, &err);
		session_close(s, &close_err);
	}
	if (err.code)
		rc = tool_fail(&err);
	else if (t->json)
		rc = print_json(m);
	else
		print_map(&style, m);
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
