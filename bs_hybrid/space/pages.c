/* SPDX-License-Identifier: GPL-2.0-only */
/* pages.c - the free pages of the metadata area: a few sets, so that retiring a page never needs memory.
 *
 * Invariants
 * (1) A page is in one of `free`, `late`, `own` and `fresh` at most; in none of the first three it is used.
 * (2) high is one past the highest page that is not free, or more while pages_commit has not run.
 */
#include "space/pages.h"

#include "base/mem.h"
#include "space/bits.h"

#include <assert.h>

struct pages {
	struct bits free;
	struct bits late;		/* retired after the last pages_begin */
	struct bits own;		/* retired before it: free once the checkpoint's root is durable */
	struct bits fresh;		/* taken, and named by no root that was written */
	uint32_t high;
};

struct pages *pages_new(uint32_t count)
{
	struct pages *p = mem_zalloc(sizeof(*p));

	if (!p)
		return NULL;
	if (bits_init(&p->free, count) || bits_init(&p->late, count) || bits_init(&p->own, count) ||
	    bits_init(&p->fresh, count)) {
		pages_free(p);
		return NULL;
	}
	bits_fill(&p->free);
	return p;
}

void pages_free(struct pages *p)
{
	if (!p)
		return;
	bits_fini(&p->free);
	bits_fini(&p->late);
	bits_fini(&p->own);
	bits_fini(&p->fresh);
	mem_free(p);
}

static void use(struct pages *p, uint32_t page)
{
	bits_del(&p->free, page);
	p->high = MAX(p->high, page + 1);
}

uint32_t pages_take(struct pages *p)
{
	uint32_t page = bits_next(&p->free, 0);

	if (page == BITS_NONE)
		return PAGE_NONE;
	use(p, page);
	bits_add(&p->fresh, page);
	return page;
}

bool pages_mark(struct pages *p, uint32_t page)
{
	if (page >= p->free.size || !bits_has(&p->free, page))
		return false;
	use(p, page);
	return true;
}

static void lower(struct pages *p)
{
	while (p->high && bits_has(&p->free, p->high - 1))
		p->high--;
}

void pages_retire(struct pages *p, uint32_t page)
{
	assert(page < p->free.size);
	assert(!bits_has(&p->free, page) && !bits_has(&p->own, page));	/* (1); bits_add asserts the third */
	if (!bits_has(&p->fresh, page)) {
		bits_add(&p->late, page);
		return;
	}
	bits_del(&p->fresh, page);
	bits_add(&p->free, page);
	lower(p);
}

void pages_rooted(struct pages *p)
{
	uint32_t n = 0;

	while ((n = bits_next(&p->fresh, n)) != BITS_NONE)
		bits_del(&p->fresh, n);
}

static void move_all(struct bits *from, struct bits *to)
{
	uint32_t n = 0;

	while ((n = bits_next(from, n)) != BITS_NONE) {
		bits_del(from, n);
		bits_add(to, n);
	}
}

void pages_begin(struct pages *p)
{
	move_all(&p->late, &p->own);
}

void pages_commit(struct pages *p)
{
	move_all(&p->own, &p->free);
	lower(p);
}

uint32_t pages_count(const struct pages *p)
{
	return p->free.size;
}

uint32_t pages_free_count(const struct pages *p)
{
	return p->free.count;
}

uint32_t pages_high(const struct pages *p)
{
	return p->high;
}
