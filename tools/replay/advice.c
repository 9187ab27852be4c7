/* SPDX-License-Identifier: GPL-2.0-only */
/* advice.c - how large an SSD is worth its price: the knee of the curve of what is served.
 *
 * With h(s) the share of reads that a cache of size s serves, and S the size that holds all of the trace: the knee is
 * where h(s) / h(S) - s / S is largest. Up to there a further GB serves more than the average GB of a cache that holds
 * everything; from there on, less. (A curve's knee as the largest distance from its chord: V. Satopaa, J. Albrecht,
 * D. Irwin, B. Raghavan: "Finding a 'kneedle' in a haystack", ICDCS workshops 2011.)
 */
#include "study.h"

#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "base/units.h"

#define STEPS_PER_OCTAVE 4
#define ENOUGH 0.95			/* of what any size could serve */

void advice_sizes(struct advice *a, const struct trace *t)
{
	uint32_t before = 0;

	a->npoints = 0;
	for (int i = CURVE_MAX - 1; i >= 0; i--) {
		uint32_t blocks = (uint32_t)(t->nunique * exp2(-(double)i / STEPS_PER_OCTAVE));

		blocks = MAX(blocks, 1u);
		if (blocks == before)
			continue;
		a->curve[a->npoints++] = (struct job){.contender = a->contender, .capacity = blocks};
		before = blocks;
	}
}

void advice_draw(struct advice *a)
{
	const struct job *all = &a->curve[a->npoints - 1];
	double most = -1;

	a->best = read_hit_ratio(&all->result);
	a->knee_bytes = a->enough_bytes = 0;
	if (a->best <= 0)
		return;
	for (unsigned i = 0; i < a->npoints; i++) {
		double h = read_hit_ratio(&a->curve[i].result);
		double above = h / a->best - (double)a->curve[i].capacity / all->capacity;

		if (above > most) {
			most = above;
			a->knee = h;
			a->knee_bytes = (uint64_t)a->curve[i].capacity * BLK_BYTES;
		}
		if (h >= ENOUGH * a->best && !a->enough_bytes) {
			a->enough = h;
			a->enough_bytes = (uint64_t)a->curve[i].capacity * BLK_BYTES;
		}
	}
}

/* In powers of 1000, as SSDs are sold, with three digits. */
static void sold_as(uint64_t bytes, char to[32])
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
	double v = (double)bytes / 1e3;
	size_t u = 0;

	for (; v >= 999.5 && u + 1 < ARRAY_LEN(units); u++)
		v /= 1e3;
	snprintf(to, 32, "%.*f %s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, units[u]);
}

void advice_text(const struct study *s, char *to, size_t room)
{
	const struct advice *a = &s->advice;
	char knee[32], enough[32];
	size_t n;

	if (!s->trace->nreads) {
		text_fmt(to, room, "%s: no reads, so nothing to be served", s->trace->name);
		return;
	}
	if (!a->knee_bytes) {
		text_fmt(to, room, "%s: no SSD would serve a read: no block is read that was used before",
			 s->trace->name);
		return;
	}
	sold_as(a->knee_bytes, knee);
	sold_as(a->enough_bytes, enough);
	n = text_fmt(to, room, "%s: with %s, an SSD of %s would serve %.1f %% of reads (the knee of the curve",
		     s->trace->name, a->contender->title, knee, 100 * a->knee);
	if (a->enough_bytes > a->knee_bytes)
		n += text_fmt(to + n, room - n, "; %s: %.1f %%", enough, 100 * a->enough);
	text_fmt(to + n, room - n, "; any size: %.1f %%)", 100 * a->best);
}
