/* SPDX-License-Identifier: GPL-2.0-only */
/* readahead.c - the table of read-aheads, and the plainest of them: a window that doubles. */
#include "readahead.h"

#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "trace.h"

static const struct read_ahead none = {.name = "none", .help = "only what is missing is fetched"};

/* ------------------------------------------------------------------ doubling */
/* A read that begins where one of the last streams ended continues it. What is fetched ahead of it begins with 16 KiB,
 * doubles up to 128 KiB, and is fetched anew when half of it has been read. */
#define STREAMS 32u
#define WINDOW_FIRST 4u			/* blocks */
#define WINDOW_MAX 32u

struct stream {
	uint64_t next;			/* key behind the last read */
	uint64_t fetched;		/* key behind what was fetched ahead */
	uint32_t window;		/* blocks; 0: no stream here */
	uint64_t when;
};

struct doubling {
	struct stream streams[STREAMS];
	uint64_t now;
};

static void *doubling_create(uint32_t capacity)
{
	(void)capacity;
	return calloc(1, sizeof(struct doubling));
}

static struct run doubling_behind(void *state, const struct run *whole)
{
	uint64_t end = whole->key + whole->blocks, from;
	struct doubling *d = state;
	struct stream *s = NULL, *oldest = d->streams;
	struct run ret = {0};

	for (unsigned i = 0; i < STREAMS && !s; i++) {
		if (d->streams[i].window && d->streams[i].next == whole->key)
			s = &d->streams[i];
		if (d->streams[i].when < oldest->when)
			oldest = &d->streams[i];
	}
	if (!s) {
		*oldest = (struct stream){.next = end, .fetched = end, .window = WINDOW_FIRST, .when = ++d->now};
		return ret;
	}
	s->next = end;
	s->when = ++d->now;
	from = MAX(s->fetched, end);
	if (from - end > s->window / 2 || (end + WINDOW_MAX) >> KEY_BLOCK_BITS != whole->key >> KEY_BLOCK_BITS)
		return ret;
	ret = (struct run){.key = from, .blocks = (uint32_t)(end + s->window - from)};
	s->fetched = end + s->window;
	s->window = MIN(2 * s->window, WINDOW_MAX);
	return ret;
}

static const struct read_ahead doubling = {
	.name = "doubling",
	.help = "behind sequential reads, 16 KiB to 128 KiB, as much again when half is read",
	.create = doubling_create,
	.destroy = free,
	.behind = doubling_behind,
};

/* ------------------------------------------------------------------ the table */
const struct read_ahead *const read_aheads[] = {&none, &read_ahead_streams, &doubling, NULL};

const struct read_ahead *read_ahead_named(const char *name)
{
	for (const struct read_ahead *const *r = read_aheads; *r; r++)
		if (!strcmp((*r)->name, name))
			return *r;
	return NULL;
}
