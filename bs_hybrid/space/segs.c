/* SPDX-License-Identifier: GPL-2.0-only */
/* segs.c - lives of segments. */
#include "space/segs.h"

#include <assert.h>
#include <errno.h>

#include "base/mem.h"

int segs_init(struct segs *s, uint32_t nsegs, uint32_t seg_blk)
{
	*s = (struct segs){.nsegs = nsegs, .seg_blk = seg_blk, .nfree = nsegs, .hint = 1};
	list_init(&s->sealed);
	s->v = mem_calloc((size_t)nsegs + 1, sizeof(*s->v));
	if (!s->v)
		return -ENOMEM;
	for (uint32_t i = 0; i <= nsegs; i++)
		s->v[i].buf = -1;
	return 0;
}

void segs_fini(struct segs *s)
{
	mem_free(s->v);
	s->v = NULL;
}

segno_t segs_choose(struct segs *s)
{
	if (!s->nfree)
		return SEG_NONE;
	for (uint32_t i = 0; i < s->nsegs; i++) {
		uint32_t n = 1 + (s->hint - 1 + i) % s->nsegs;

		if (s->v[n].state == SEG_FREE) {
			s->v[n].state = SEG_NEXT;
			s->nfree--;
			s->hint = n % s->nsegs + 1;
			return (segno_t){n};
		}
	}
	assert(!"nfree counts free segments");
	return SEG_NONE;
}

void segs_open(struct segs *s, segno_t n, uint64_t seq)
{
	struct seg *g = segs_at(s, n);

	assert(g->state == SEG_NEXT && !g->live && !g->readers);
	g->state = SEG_OPEN;
	g->seq = seq;
	g->used = 0;
	g->last_unit = 0;
	g->changed = true;
}

void segs_seal(struct segs *s, segno_t n)
{
	struct seg *g = segs_at(s, n);

	assert(g->state == SEG_OPEN);
	g->state = SEG_SEALED;
	g->changed = true;
	list_push(&s->sealed, &g->fifo);
}

void segs_freeing(struct segs *s, segno_t n, uint64_t free_unit)
{
	struct seg *g = segs_at(s, n);

	assert(g->state == SEG_SEALED && !g->live);
	g->state = SEG_FREEING;
	g->free_unit = free_unit;
	g->changed = true;
}

void segs_release(struct segs *s, segno_t n)
{
	struct seg *g = segs_at(s, n);

	assert(g->state != SEG_OPEN && g->state != SEG_FREE && !g->live && !g->readers);
	if (link_on_list(&g->fifo))
		list_del(&g->fifo);
	g->state = SEG_FREE;
	g->seq = 0;
	g->used = g->missing = 0;
	g->free_ckpt = 0;
	g->unloaded = false;
	g->buf = -1;
	g->changed = true;
	s->nfree++;
}

uint32_t segs_coming(const struct segs *s)
{
	uint32_t n = 0;

	list_each(l, &s->sealed) {
		if (list_entry(l, struct seg, fifo)->state != SEG_FREEING)
			break;
		n++;
	}
	return n;
}

struct seg *segs_oldest(struct segs *s)
{
	list_each(l, &s->sealed) {
		struct seg *g = list_entry(l, struct seg, fifo);

		if (g->state == SEG_SEALED)
			return g;
	}
	return NULL;
}
