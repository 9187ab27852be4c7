/* SPDX-License-Identifier: GPL-2.0-only */
/* index.c - the index of the write tier: 16 bytes a slot, and a search that touches one cache line per candidate.
 *
 * A pool block's 40 bits are stirred by a reversible function, so its hash is the block in other words. The heads
 * divide the hashes into ranges of less than 2^32 each, hence within one chain the low 32 bits of a hash say all: a
 * chain's node holds those and the next slot, and a search compares nothing else. The upper 8 bits lie beside the
 * state, to turn a slot back into its block.
 *
 * Invariants
 * (1) A slot is on a chain exactly when it is not DEAD; no two slots on chains hold the same block.
 * (2) A slot is on the chain of its hash; slot 0 ends every chain.
 * (3) counts[st] is the number of slots in state st, for the live states.
 */
#include "cache/index.h"

#include "base/mem.h"

#include <assert.h>

#define HASH_MASK PBLK_MAX
#define HASH_HALF (PBLK_BITS / 2)
#define MUL 0x9e3779b97dull		/* odd; MUL * MUL_INV is 1 modulo 2^40 */
#define MUL_INV 0x6a651347d5ull
#define HEADS_MIN 512u
_Static_assert((1ull << PBLK_BITS) / HEADS_MIN < UINT32_MAX, "the low 32 bits tell one chain's blocks apart");

#define TAG_HI 0x00ffu			/* bits 32..39 of the hash */
#define TAG_STATE_SHIFT 8
#define TAG_STATE 0x0300u
#define TAG_HIT 0x0400u

struct node {
	uint32_t low;			/* bits 0..31 of the hash */
	uint32_t next;
};

struct idx {
	struct node *nodes;		/* by slot; the four tables are one piece of memory, beginning here */
	uint32_t *crcs;			/* by slot */
	uint32_t *heads;
	uint16_t *tags;			/* by slot: TAG_ */
	uint32_t nslots, nheads;
	uint64_t table_bytes;
	uint64_t counts[SLOT_LOST + 1];
};

/* Multiplications carry differences upward, shifts bring them down again. */
static uint64_t stir(uint64_t n)
{
	n = (n * MUL) & HASH_MASK;
	n ^= n >> HASH_HALF;
	return (n * MUL) & HASH_MASK;
}

static uint64_t unstir(uint64_t h)
{
	h = (h * MUL_INV) & HASH_MASK;
	h ^= h >> HASH_HALF;
	return (h * MUL_INV) & HASH_MASK;
}

/* Without the lowest 8 bits the product fits 64. */
static uint32_t *head_of(const struct idx *x, uint64_t hash)
{
	return &x->heads[((hash >> 8) * x->nheads) >> (PBLK_BITS - 8)];
}

static uint64_t hash_of(const struct idx *x, slot_t s)
{
	return (uint64_t)(x->tags[s.n] & TAG_HI) << 32 | x->nodes[s.n].low;
}

struct idx *idx_new(uint32_t nslots)
{
	struct idx *x = mem_zalloc(sizeof(*x));
	uint64_t n = nslots;

	if (!x)
		return NULL;
	x->nslots = nslots;
	x->nheads = MAX(nslots / 2, HEADS_MIN);
	x->table_bytes = n * (sizeof(*x->nodes) + sizeof(*x->crcs) + sizeof(*x->tags)) +
			 x->nheads * sizeof(*x->heads);
	x->nodes = mem_map(x->table_bytes);
	if (!x->nodes) {
		mem_free(x);
		return NULL;
	}
	x->crcs = (uint32_t *)(x->nodes + n);
	x->heads = x->crcs + n;
	x->tags = (uint16_t *)(x->heads + x->nheads);
	return x;
}

void idx_free(struct idx *x)
{
	if (!x)
		return;
	mem_unmap(x->nodes, x->table_bytes);
	mem_free(x);
}

slot_t idx_find(const struct idx *x, pblk_t p)
{
	uint64_t hash;
	uint32_t low, n;

	assert(p.n <= PBLK_MAX);
	hash = stir(p.n);
	low = (uint32_t)hash;
	n = *head_of(x, hash);
	while (n && x->nodes[n].low != low)
		n = x->nodes[n].next;
	return (slot_t){n};
}

void idx_prefetch(const struct idx *x, pblk_t p, int step)
{
	const uint32_t *head = head_of(x, stir(p.n));

	__builtin_prefetch(step ? (const void *)&x->nodes[*head] : head);
}

void idx_put(struct idx *x, slot_t s, pblk_t p, uint32_t crc, enum slot_state st)
{
	uint64_t hash = stir(p.n);
	uint32_t *head = head_of(x, hash);

	assert(idx_state(x, s) == SLOT_DEAD && s.n && st != SLOT_DEAD);
	assert(!idx_find(x, p).n);	/* (1) */
	x->nodes[s.n] = (struct node){ .low = (uint32_t)hash, .next = *head };
	*head = s.n;
	x->crcs[s.n] = crc;
	x->tags[s.n] = (uint16_t)(hash >> 32 | (uint32_t)st << TAG_STATE_SHIFT);
	x->counts[st]++;
}

void idx_drop(struct idx *x, slot_t s)
{
	enum slot_state st = idx_state(x, s);
	uint32_t *link = head_of(x, hash_of(x, s));

	assert(st != SLOT_DEAD);
	while (*link != s.n) {
		assert(*link);		/* (2) */
		link = &x->nodes[*link].next;
	}
	*link = x->nodes[s.n].next;
	x->tags[s.n] = 0;
	x->counts[st]--;
}

enum slot_state idx_state(const struct idx *x, slot_t s)
{
	assert(s.n < x->nslots);
	return (enum slot_state)((x->tags[s.n] & TAG_STATE) >> TAG_STATE_SHIFT);
}

void idx_set_state(struct idx *x, slot_t s, enum slot_state st)
{
	enum slot_state old = idx_state(x, s);

	assert(old != SLOT_DEAD && st != SLOT_DEAD);
	x->counts[old]--;
	x->counts[st]++;
	x->tags[s.n] = (uint16_t)((x->tags[s.n] & ~TAG_STATE) | (uint32_t)st << TAG_STATE_SHIFT);
}

pblk_t idx_pblk(const struct idx *x, slot_t s)
{
	assert(idx_state(x, s) != SLOT_DEAD);
	return (pblk_t){unstir(hash_of(x, s))};
}

uint32_t idx_crc(const struct idx *x, slot_t s)
{
	assert(idx_state(x, s) != SLOT_DEAD);
	return x->crcs[s.n];
}

bool idx_hit(const struct idx *x, slot_t s)
{
	assert(s.n < x->nslots);
	return x->tags[s.n] & TAG_HIT;
}

void idx_set_hit(struct idx *x, slot_t s, bool hit)
{
	assert(idx_state(x, s) != SLOT_DEAD);
	x->tags[s.n] = (uint16_t)((x->tags[s.n] & ~TAG_HIT) | (hit ? TAG_HIT : 0));
}

uint64_t idx_count(const struct idx *x, enum slot_state st)
{
	assert(st != SLOT_DEAD && st <= SLOT_LOST);
	return x->counts[st];
}

uint64_t idx_bytes(const struct idx *x)
{
	return sizeof(*x) + x->table_bytes;
}
