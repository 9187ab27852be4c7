/* SPDX-License-Identifier: GPL-2.0-only */
/* seq.c - which sequential stream a request belongs to. See seq.h. */
#include "cache/seq.h"

#include "base/mem.h"
#include "base/rng.h"

#include <assert.h>

#define NONE UINT16_MAX
#define BUCKETS 256u
#define ZONE_BLK 256u			/* also the largest gap */
#define GAP_MIN_BLK 8u
#define COUNT_DEFAULT 128u
#define COUNT_MAX 1024u

struct seqs {
	struct seq *table;		/* count of them */
	uint32_t count;
	uint16_t oldest, youngest;
	uint16_t buckets[BUCKETS];
};

static uint16_t *bucket_of(struct seqs *s, uint64_t space, uint64_t zone)
{
	return &s->buckets[hash64(space * 0x9e3779b97f4a7c15ull + zone + 1) % BUCKETS];
}

static void chain_in(struct seqs *s, uint16_t id)
{
	uint16_t *head = bucket_of(s, s->table[id].space, s->table[id].next / ZONE_BLK);

	s->table[id].chain = *head;
	*head = id;
}

static void chain_out(struct seqs *s, uint16_t id)
{
	uint16_t *at = bucket_of(s, s->table[id].space, s->table[id].next / ZONE_BLK);

	while (*at != id)
		at = &s->table[*at].chain;
	*at = s->table[id].chain;
}

static void make_youngest(struct seqs *s, uint16_t id)
{
	struct seq *t = &s->table[id];

	if (s->youngest == id)
		return;
	*(t->older == NONE ? &s->oldest : &s->table[t->older].younger) = t->younger;
	s->table[t->younger].older = t->older;
	t->older = s->youngest;
	t->younger = NONE;
	s->table[s->youngest].younger = id;
	s->youngest = id;
}

static bool goes_on(const struct seq *t, uint64_t space, uint64_t blk)
{
	uint64_t gap = MIN(MAX(t->len_blk, GAP_MIN_BLK), ZONE_BLK);

	return t->len_blk && t->space == space && blk <= t->next + gap && t->next <= blk + gap;
}

static uint16_t find(struct seqs *s, uint64_t space, uint64_t blk)
{
	uint64_t zone = blk / ZONE_BLK;

	for (uint64_t z = zone ? zone - 1 : 0; z <= zone + 1; z++)
		for (uint16_t id = *bucket_of(s, space, z); id != NONE; id = s->table[id].chain)
			if (s->table[id].next / ZONE_BLK == z && goes_on(&s->table[id], space, blk))
				return id;
	return NONE;
}

struct seq *seqs_follow(struct seqs *s, uint64_t space, uint64_t blk, uint32_t count, bool *ret_new)
{
	uint16_t id = find(s, space, blk);
	uint64_t next = blk + count;
	struct seq *t;

	assert(count);
	*ret_new = id == NONE;
	if (*ret_new)
		id = s->oldest;
	t = &s->table[id];
	make_youngest(s, id);
	if (!*ret_new && next <= t->next)
		return t;			/* a piece that was overtaken, or asked for again: no longer for it */
	if (t->len_blk)
		chain_out(s, id);
	if (*ret_new) {
		t->space = space;
		t->len_blk = count;
		t->cold_blk = t->slow_blk = 0;
		t->alone = 0;
	} else {
		t->len_blk += next - t->next;
	}
	t->next = next;
	chain_in(s, id);
	return t;
}

struct seqs *seqs_new(uint32_t count)
{
	struct seqs *s;

	count = count ? count : COUNT_DEFAULT;
	s = count <= COUNT_MAX ? mem_zalloc(sizeof(*s)) : NULL;
	if (!s)
		return NULL;
	s->count = count;
	s->table = mem_calloc(count, sizeof(*s->table));
	if (!s->table) {
		mem_free(s);
		return NULL;
	}
	for (uint32_t i = 0; i < BUCKETS; i++)
		s->buckets[i] = NONE;
	for (uint32_t i = 0; i < count; i++) {
		s->table[i].older = i ? (uint16_t)(i - 1) : NONE;
		s->table[i].younger = i + 1 < count ? (uint16_t)(i + 1) : NONE;
	}
	s->youngest = (uint16_t)(count - 1);
	return s;
}

void seqs_free(struct seqs *s)
{
	if (!s)
		return;
	mem_free(s->table);
	mem_free(s);
}

uint64_t seqs_bytes(const struct seqs *s)
{
	return sizeof(*s) + s->count * sizeof(*s->table);
}
