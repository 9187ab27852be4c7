/* SPDX-License-Identifier: GPL-2.0-only */
/* owners.c - whose a chunk is: a table of pages, those that are needed. Pages stay until the whole table goes: it goes
 * with the last volume that has room set aside. */
#include "cache/owners.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

#define PAGE_CHUNKS 4096u

struct owners {
	uint8_t **pages; /* by chunk number / PAGE_CHUNKS; NULL: all nobody's */
	uint32_t npages; /* places in that */
	uint32_t used; /* pages that are there */
};

struct owners *owners_new(void)
{
	return mem_zalloc(sizeof(struct owners));
}

void owners_free(struct owners *o)
{
	if (!o)
		return;
	for (uint32_t i = 0; i < o->npages; i++)
		mem_free(o->pages[i]);
	mem_free(o->pages);
	mem_free(o);
}

uint8_t owners_get(const struct owners *o, chunk_t k)
{
	uint32_t at = k.n / PAGE_CHUNKS;

	return at < o->npages && o->pages[at] ? o->pages[at][k.n % PAGE_CHUNKS] : 0;
}

static int grow(struct owners *o, uint32_t at)
{
	uint32_t n = MAX(at + 1, o->npages * 2);
	uint8_t **pages = mem_calloc(n, sizeof(*pages));

	if (!pages)
		return -ENOMEM;
	if (o->npages)
		memcpy(pages, o->pages, o->npages * sizeof(*pages));
	mem_free(o->pages);
	o->pages = pages;
	o->npages = n;
	return 0;
}

int owners_set(struct owners *o, chunk_t k, uint8_t no)
{
	uint32_t at = k.n / PAGE_CHUNKS;

	if (!no && (at >= o->npages || !o->pages[at]))
		return 0;
	if (at >= o->npages && grow(o, at))
		return -ENOMEM;
	if (!o->pages[at]) {
		o->pages[at] = mem_zalloc(PAGE_CHUNKS);
		if (!o->pages[at])
			return -ENOMEM;
		o->used++;
	}
	o->pages[at][k.n % PAGE_CHUNKS] = no;
	return 0;
}

int owners_next(const struct owners *o, uint8_t no, chunk_t *from, uint32_t bytes)
{
	uint64_t k = from->n;

	/* A page that is not there costs about as much as one of its bytes. */
	for (uint32_t done = 0; done < bytes && k < (uint64_t)o->npages * PAGE_CHUNKS; done++) {
		const uint8_t *page = o->pages[k / PAGE_CHUNKS], *hit;
		uint32_t in = k % PAGE_CHUNKS, n = PAGE_CHUNKS - in;

		if (page) {
			hit = memchr(page + in, no, n);
			done += hit ? (uint32_t)(hit - (page + in)) : n;
			if (hit) {
				*from = (chunk_t){(uint32_t)(k + (uint32_t)(hit - (page + in)))};
				return 1;
			}
		}
		k += n;
		from->n = (uint32_t)k;
	}
	return k < (uint64_t)o->npages * PAGE_CHUNKS ? 0 : -ENOENT;
}

uint64_t owners_bytes(const struct owners *o)
{
	return sizeof(*o) + o->npages * sizeof(*o->pages) + (uint64_t)o->used * PAGE_CHUNKS;
}
