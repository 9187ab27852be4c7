/* SPDX-License-Identifier: GPL-2.0-only */
/* heat.c - the map of a volume as text and as JSON; see heat.h. */
#include <assert.h>
#include <inttypes.h>
#include <langinfo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/units.h"
#include "heat.h"
#include "tool.h"

#define BUCKETS_FILE 64u	/* where no terminal tells the width */

/* The lines of the map, fastest first; the cache levels are told by their numbers. */
static const struct place { const char *key, *name; int colour; } places[] = {
	{"ram", "ram", 31}, {"ssd", "ssd", 33}, {"cache1", "cache1", 32},
	{"cache2", "cache2", 32}, {"cache3", "cache3", 32}, {"cache4", "cache4", 32}, {"capacity", "capacity", 34},
	{"unmapped", "unmapped", 90}};

static_assert(ARRAY_LEN(places) == HEAT_PLACES, "a line for each place");

/* ------------------------------------------------------------------ adding up */
static void take_buckets(struct heat_map *m, const json_t *list)
{
	json_t *b;
	size_t i;

	json_array_foreach((json_t *)list, i, b) {
		uint64_t at = get_uint(b, "bucket");

		if (at >= HEAT_BUCKETS_MAX)
			continue;
		m->n = MAX(m->n, (uint32_t)at + 1);
		m->dirty[at] += get_uint(b, "dirty");
		for (size_t k = 0; k < ARRAY_LEN(places); k++)
			m->blocks[at][k] += get_uint(b, places[k].key);
	}
}

void heat_add(struct heat_map *m, const json_t *part)
{
	m->size_bytes = get_uint(part, "size_bytes");
	m->bucket_bytes = get_uint(part, "bucket_bytes");
	m->every = get_uint(part, "sampled_one_in");
	take_buckets(m, get_any(part, "buckets"));
}

/* The counts of heat have buckets of their own: each is spread over those of the map that it covers. */
void heat_add_counts(struct heat_map *m, const json_t *heat)
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

/* ------------------------------------------------------------------ JSON */
static uint64_t looked_at(const struct heat_map *m, uint32_t i)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < ARRAY_LEN(places); k++)
		sum += m->blocks[i][k];
	return sum;
}

void heat_put(const struct heat_map *m, json_t *o)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < m->n; i++) {
		json_t *b = json_pack("{s:I, s:I, s:I}", "offset_bytes", (json_int_t)(i * m->bucket_bytes), "blocks",
				      (json_int_t)looked_at(m, i), "dirty", (json_int_t)m->dirty[i]);

		for (size_t k = 0; k < ARRAY_LEN(places); k++)
			json_object_set_new(b, places[k].key, json_integer((json_int_t)m->blocks[i][k]));
		json_object_set_new(b, "reads", m->heat ? json_real(m->reads[i]) : json_null());
		json_object_set_new(b, "writes", m->heat ? json_real(m->writes[i]) : json_null());
		json_array_append_new(list, b);
	}
	json_object_set_new(o, "size_bytes", json_integer((json_int_t)m->size_bytes));
	json_object_set_new(o, "bucket_bytes", json_integer((json_int_t)m->bucket_bytes));
	json_object_set_new(o, "sampled_one_in", json_integer((json_int_t)m->every));
	json_object_set_new(o, "buckets", list);
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
		s.columns = MIN(w.ws_col - 20u, HEAT_BUCKETS_MAX);
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
static void print_heat(const struct style *s, const struct heat_map *m, const char *name, const double *heat)
{
	double parts[HEAT_BUCKETS_MAX], most = 0, sum = 0;
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

static void print_places(const struct style *s, const struct heat_map *m)
{
	double parts[HEAT_BUCKETS_MAX];
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

uint32_t heat_buckets(bool json)
{
	return json ? BUCKETS_FILE : find_style().columns;
}

void heat_print(const struct heat_map *m)
{
	const struct style style = find_style(), *s = &style;
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
