/* SPDX-License-Identifier: GPL-2.0-only */
/* chunks.c - reference counts and free space of chunks: a number per chunk, and the free ones as a searchable set.
 *
 * Invariants
 * (1) A chunk is in the free set exactly when its number is REFS_FREE.
 * (2) Only chunks_release makes a number REFS_FREE: what lost its last reference is in limbo.
 */
#include "space/chunks.h"

#include "base/mem.h"
#include "space/bits.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* refs[]: these, or the count of references. */
#define REFS_FREE 0u
#define REFS_LIMBO (UINT32_MAX - 1)
#define REFS_TAKEN UINT32_MAX

struct chunks {
	struct bits free;
	uint32_t *refs;
	uint32_t first, count;
	uint32_t room;			/* chunks that the tables have room for */
	uint32_t cursor;		/* one past the last allocation, from 0 */
	uint32_t limbo;
};

struct chunks *chunks_new(chunk_t first, uint32_t count)
{
	struct chunks *c = mem_zalloc(sizeof(*c));

	assert(first.n && count && UINT32_MAX - first.n >= count);
	if (!c)
		return NULL;
	c->first = first.n;
	c->count = c->room = count;
	if (bits_init(&c->free, count))
		goto free_struct;
	c->refs = mem_map((uint64_t)count * sizeof(*c->refs));
	if (!c->refs)
		goto free_bits;
	bits_fill(&c->free);
	return c;

free_bits:
	bits_fini(&c->free);
free_struct:
	mem_free(c);
	return NULL;
}

void chunks_free(struct chunks *c)
{
	if (!c)
		return;
	mem_unmap(c->refs, (uint64_t)c->room * sizeof(*c->refs));
	bits_fini(&c->free);
	mem_free(c);
}

int chunks_reserve(struct chunks *c, uint32_t count)
{
	struct bits free;
	uint32_t *refs;

	if (count <= c->room)
		return 0;
	assert(UINT32_MAX - c->first >= count);
	if (bits_init(&free, count))
		return -ENOMEM;
	refs = mem_map((uint64_t)count * sizeof(*refs));
	if (!refs) {
		bits_fini(&free);
		return -ENOMEM;
	}
	memcpy(refs, c->refs, (uint64_t)c->count * sizeof(*refs));
	for (uint32_t n = bits_next(&c->free, 0); n != BITS_NONE; n = bits_next(&c->free, n + 1))
		bits_add(&free, n);
	mem_unmap(c->refs, (uint64_t)c->room * sizeof(*refs));
	bits_fini(&c->free);
	c->refs = refs;
	c->free = free;
	c->room = count;
	return 0;
}

void chunks_grow(struct chunks *c, uint32_t count)
{
	assert(count >= c->count && count <= c->room);
	while (c->count < count)
		bits_add(&c->free, c->count++);
}

bool chunks_exists(const struct chunks *c, chunk_t k)
{
	return k.n >= c->first && k.n - c->first < c->count;
}

static uint32_t *refs_of(const struct chunks *c, chunk_t k)
{
	assert(chunks_exists(c, k));
	return &c->refs[k.n - c->first];
}

chunk_t chunks_take(struct chunks *c, chunk_t near)
{
	uint32_t n;

	if (chunks_exists(c, near) && bits_has(&c->free, near.n - c->first))
		n = near.n - c->first;
	else
		n = bits_next(&c->free, c->cursor);
	if (n == BITS_NONE)
		n = bits_next(&c->free, 0);
	if (n == BITS_NONE)
		return CHUNK_NONE;
	assert(c->refs[n] == REFS_FREE);
	bits_del(&c->free, n);
	c->refs[n] = REFS_TAKEN;
	c->cursor = n + 1;
	return (chunk_t){c->first + n};
}

void chunks_release(struct chunks *c, chunk_t k)
{
	uint32_t *refs = refs_of(c, k);

	assert(*refs == REFS_TAKEN || *refs == REFS_LIMBO);
	c->limbo -= *refs == REFS_LIMBO;
	*refs = REFS_FREE;
	bits_add(&c->free, k.n - c->first);
}

void chunks_ref(struct chunks *c, chunk_t k)
{
	uint32_t *refs = refs_of(c, k);

	assert(*refs != REFS_LIMBO && *refs != REFS_LIMBO - 1);
	if (*refs == REFS_FREE)
		bits_del(&c->free, k.n - c->first);
	*refs = *refs == REFS_TAKEN ? 1 : *refs + 1;
}

bool chunks_unref(struct chunks *c, chunk_t k)
{
	uint32_t *refs = refs_of(c, k);

	assert(*refs != REFS_FREE && *refs < REFS_LIMBO);
	if (--*refs)
		return false;
	*refs = REFS_LIMBO;		/* (2) */
	c->limbo++;
	return true;
}

uint32_t chunks_refs(const struct chunks *c, chunk_t k)
{
	uint32_t refs = *refs_of(c, k);

	return refs < REFS_LIMBO ? refs : 0;
}

uint32_t chunks_total(const struct chunks *c)
{
	return c->count;
}

uint32_t chunks_free_count(const struct chunks *c)
{
	return c->free.count;
}

uint32_t chunks_limbo_count(const struct chunks *c)
{
	return c->limbo;
}

uint64_t chunks_bytes(const struct chunks *c)
{
	return sizeof(*c) + c->free.table_bytes + (uint64_t)c->room * sizeof(*c->refs);
}
