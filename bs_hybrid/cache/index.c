/* SPDX-License-Identifier: GPL-2.0-only */
/* index.c - the index of the write tier: 14.5 bytes a slot, and a search that touches one cache line per candidate.
 *
 * A pool block's 40 bits are stirred by a reversible function, so its hash is the block in other words. The heads
 * divide the hashes into ranges of less than 2^32 each, hence within one chain the low 32 bits of a hash say all: a
 * chain's node holds those and the next slot, and a search compares nothing else.
 *
 * The upper 8 bits are kept nowhere, as the number of the head implies them, and a chain's last node has that number
 * where the others have the next slot. To turn a slot back into its block, or to drop it, one walks to the end of its
 * chain: one node more on average when the index is full, as there are two slots to a head. Searches never need it.
 *
 * Bytes a slot: 8 of node, 4 of checksum, 2 of half a head, and half a byte of state and flags.
 *
 * Invariants
 * (1) A slot is on a chain exactly when it is not DEAD; no two slots on chains hold the same block.
 * (2) A slot is on the chain of its hash. A chain's last node links to LINK_END | the number of its head; the head of
 *     an empty chain is 0, as it was mapped. Hence a link leads to a slot exactly when it is positive as an int32_t.
 * (3) counts[st] is the number of slots in state st, for the live states.
 * (4) A DEAD slot has no flags.
 */
#include "cache/index.h"

#include "base/mem.h"

#include <assert.h>

#define HASH_MASK PBLK_MAX
#define HASH_HALF (PBLK_BITS / 2)
#define MUL 0x9e3779b97dull		/* odd; MUL * MUL_INV is 1 modulo 2^40 */
#define MUL_INV 0x6a651347d5ull
#define FINE_BITS 8			/* of a hash, the lowest: they do not choose the head */
#define COARSE_BITS (PBLK_BITS - FINE_BITS)
#define HEADS_MIN 512u
_Static_assert((1ull << PBLK_BITS) / HEADS_MIN < UINT32_MAX, "the low 32 bits tell one chain's blocks apart");

#define LINK_END 0x80000000u

#define TAG_BITS 4
#define TAG 0x0fu
#define TAG_STATE 0x03u
#define TAG_HIT 0x04u
#define TAG_EARNED 0x08u

struct node {
	uint32_t low;			/* bits 0..31 of the hash */
	uint32_t link;			/* the next slot, or LINK_END | the head's number */
};

struct idx {
	struct node *nodes;		/* by slot; the four tables are one piece of memory, beginning here */
	uint32_t *crcs;			/* by slot */
	uint32_t *heads;		/* first slots, or 0 */
	uint8_t *tags;			/* TAG_ of two slots a byte, the even one's below */
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

/* Any number of heads divides the hashes evenly; a remainder would need a slow division in each search. Without the
 * lowest bits the product fits 64. */
static uint32_t *head_of(const struct idx *x, uint64_t hash)
{
	return &x->heads[((hash >> FINE_BITS) * x->nheads) >> COARSE_BITS];
}

static bool leads_to_slot(uint32_t link)
{
	return (int32_t)link > 0;
}

/* The number of the head of a live slot's chain. */
static uint32_t head_no(const struct idx *x, slot_t s)
{
	uint32_t link = s.n;

	while (leads_to_slot(link))
		link = x->nodes[link].link;
	assert(link & LINK_END);		/* (2) */
	return link & ~LINK_END;
}

/* The one hash of this head's range that ends in these 32 bits. */
static uint64_t hash_of(const struct idx *x, slot_t s)
{
	uint64_t first = DIV_UP((uint64_t)head_no(x, s) << COARSE_BITS, x->nheads) << FINE_BITS;

	return first + (uint32_t)(x->nodes[s.n].low - (uint32_t)first);
}

static unsigned int shift_of(slot_t s)
{
	return s.n % 2 * TAG_BITS;
}

static uint32_t tag(const struct idx *x, slot_t s)
{
	assert(s.n < x->nslots);
	return x->tags[s.n / 2] >> shift_of(s) & TAG;
}

static void set_tag(struct idx *x, slot_t s, uint32_t t)
{
	uint8_t *two = &x->tags[s.n / 2];

	*two = (uint8_t)((*two & ~(TAG << shift_of(s))) | t << shift_of(s));
}

struct idx *idx_new(uint32_t nslots)
{
	struct idx *x;
	uint64_t n = nslots;

	if (n > LINK_END)
		return NULL;
	x = mem_zalloc(sizeof(*x));
	if (!x)
		return NULL;
	x->nslots = nslots;
	x->nheads = MAX(nslots / 2, HEADS_MIN);
	x->table_bytes = n * (sizeof(*x->nodes) + sizeof(*x->crcs)) + x->nheads * sizeof(*x->heads) + DIV_UP(n, 2);
	x->nodes = mem_map(x->table_bytes);
	if (!x->nodes) {
		mem_free(x);
		return NULL;
	}
	x->crcs = (uint32_t *)(x->nodes + n);
	x->heads = x->crcs + n;
	x->tags = (uint8_t *)(x->heads + x->nheads);
	return x;
}

void idx_free(struct idx *x)
{
	if (!x)
		return;
	mem_unmap(x->nodes, x->table_bytes);
	mem_free(x);
}

/* The slot with these low bits, on the chain from here on. Small enough to become part of both callers. */
static slot_t find_from(const struct idx *x, uint32_t link, uint32_t low)
{
	while (leads_to_slot(link)) {
		if (x->nodes[link].low == low)
			return (slot_t){link};
		link = x->nodes[link].link;
	}
	return SLOT_NONE;
}

slot_t idx_find(const struct idx *x, pblk_t p)
{
	uint64_t hash;

	assert(p.n <= PBLK_MAX);
	hash = stir(p.n);
	return find_from(x, *head_of(x, hash), (uint32_t)hash);
}

void idx_prefetch(const struct idx *x, pblk_t p, int step)
{
	const uint32_t *head = head_of(x, stir(p.n));

	__builtin_prefetch(step ? (const void *)&x->nodes[*head] : head);
}

void idx_put(struct idx *x, slot_t s, pblk_t p, uint32_t crc, enum slot_state st)
{
	uint64_t hash = stir(p.n);
	uint32_t *head = head_of(x, hash), first = *head;

	assert(p.n <= PBLK_MAX && s.n && st != SLOT_DEAD);
	assert(!tag(x, s));				/* (1) (4) */
	assert(!find_from(x, first, (uint32_t)hash).n);	/* (1) */
	x->nodes[s.n] = (struct node){
		.low = (uint32_t)hash,
		.link = first ? first : LINK_END | (uint32_t)(head - x->heads),
	};
	*head = s.n;
	x->crcs[s.n] = crc;
	x->tags[s.n / 2] |= (uint8_t)((uint32_t)st << shift_of(s));
	x->counts[st]++;
}

void idx_drop(struct idx *x, slot_t s)
{
	enum slot_state st = idx_state(x, s);
	uint32_t *head, *to_s, link;

	assert(st != SLOT_DEAD);
	link = x->nodes[s.n].link;
	head = to_s = &x->heads[head_no(x, s)];
	while (*to_s != s.n) {
		assert(leads_to_slot(*to_s));	/* (2) */
		to_s = &x->nodes[*to_s].link;
	}
	*to_s = to_s == head && !leads_to_slot(link) ? 0 : link;
	set_tag(x, s, SLOT_DEAD);		/* (4) */
	x->counts[st]--;
}

enum slot_state idx_state(const struct idx *x, slot_t s)
{
	return (enum slot_state)(tag(x, s) & TAG_STATE);
}

void idx_set_state(struct idx *x, slot_t s, enum slot_state st)
{
	uint32_t t = tag(x, s);
	enum slot_state old = (enum slot_state)(t & TAG_STATE);

	assert(old != SLOT_DEAD && st != SLOT_DEAD);
	x->counts[old]--;
	x->counts[st]++;
	set_tag(x, s, (t & ~TAG_STATE) | (uint32_t)st);
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

static void set_flag(struct idx *x, slot_t s, uint32_t flag, bool on)
{
	uint32_t t = tag(x, s);

	assert((t & TAG_STATE) != SLOT_DEAD);	/* (4) */
	set_tag(x, s, (t & ~flag) | (on ? flag : 0));
}

bool idx_hit(const struct idx *x, slot_t s)
{
	return tag(x, s) & TAG_HIT;
}

void idx_set_hit(struct idx *x, slot_t s, bool hit)
{
	set_flag(x, s, TAG_HIT, hit);
}

bool idx_earned(const struct idx *x, slot_t s)
{
	return tag(x, s) & TAG_EARNED;
}

void idx_set_earned(struct idx *x, slot_t s, bool earned)
{
	set_flag(x, s, TAG_EARNED, earned);
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
