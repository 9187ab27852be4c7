/* SPDX-License-Identifier: GPL-2.0-only */
/* test_index.c - the index of the write tier against plain arrays, and what its chains look like inside. */
#include "suites.h"

#include <string.h>

#include "base/mem.h"
/* The file itself: to find blocks that share a chain, and to look at the ends of chains. This program then has no other
 * copy of it. */
#include "cache/index.c"

#define SLOTS 6000u
#define BLOCKS 9000u
#define CHAINED 100u			/* of the blocks, the last: all on one chain */

struct model_slot {
	uint32_t block;			/* number into model.blocks */
	uint32_t crc;
	enum slot_state st;
	bool hit, earned;
};

static struct {
	struct model_slot slots[SLOTS];
	pblk_t blocks[BLOCKS];		/* different ones, all over the 40 bits */
	uint32_t slot_of[BLOCKS];	/* 0: none */
	uint64_t counts[SLOT_LOST + 1];
} model;

/* The lowest hash that belongs to this head or a later one. */
static uint64_t first_hash(const struct idx *x, uint32_t head)
{
	uint64_t lo = 0, hi = HASH_MASK;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (head_of(x, mid) >= &x->heads[head])
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static uint64_t last_hash(const struct idx *x, uint32_t head)
{
	return head + 1 < x->nheads ? first_hash(x, head + 1) - 1 : HASH_MASK;
}

/* Invariants (1) to (4) of index.c, slot by slot. */
static void check_chains(const struct idx *x)
{
	uint64_t counts[SLOT_LOST + 1] = { 0 }, chained = 0;

	for (uint32_t head = 0; head < x->nheads; head++) {
		uint32_t link = x->heads[head];

		for (; leads_to_slot(link); link = x->nodes[link].link) {
			slot_t s = { link };

			CHECK(chained++ < x->nslots);
			CHECK(idx_state(x, s) != SLOT_DEAD);
			CHECK(head_of(x, stir(idx_pblk(x, s).n)) == &x->heads[head]);
			CHECK(idx_find(x, idx_pblk(x, s)).n == s.n);
		}
		CHECK(!(x->heads[head] & LINK_END) && link == (x->heads[head] ? LINK_END | head : 0));
	}
	for (uint32_t i = 0; i < x->nslots; i++) {
		counts[idx_state(x, (slot_t){i})]++;
		CHECK(idx_state(x, (slot_t){i}) != SLOT_DEAD || !tag(x, (slot_t){i}));
	}
	CHECK(chained == x->nslots - counts[SLOT_DEAD]);
	for (int st = SLOT_CLEAN; st <= SLOT_LOST; st++)
		CHECK(idx_count(x, (enum slot_state)st) == counts[st]);
}

static void model_init(const struct idx *x, struct rng *r)
{
	uint64_t from = first_hash(x, (uint32_t)rng_below(r, x->nheads));
	uint64_t stride = rng_below(r, (1ull << PBLK_BITS) / BLOCKS - 1) + 1;

	memset(&model, 0, sizeof(model));
	for (uint32_t i = 0; i < BLOCKS; i++) {
		/* Neighbours, a stride, and the upper end. */
		uint64_t n = i < 3000 ? i : i < 6000 ? i * stride : PBLK_MAX - (i - 6000);

		model.blocks[i].n = i < BLOCKS - CHAINED ? n : unstir(from + i * 10007ull);
	}
}

static enum slot_state live_state(struct rng *r)
{
	return (enum slot_state)(SLOT_CLEAN + rng_below(r, SLOT_LOST));
}

static uint32_t some_block(struct rng *r)
{
	return rng_below(r, 8) ? (uint32_t)rng_below(r, BLOCKS) : BLOCKS - 1 - (uint32_t)rng_below(r, CHAINED);
}

static void step(struct idx *x, struct rng *r)
{
	slot_t s = { 1 + (uint32_t)rng_below(r, SLOTS - 1) };
	struct model_slot *m = &model.slots[s.n];
	uint32_t block = some_block(r), what = (uint32_t)rng_below(r, 10);
	enum slot_state st = live_state(r);

	if (m->st == SLOT_DEAD) {
		if (model.slot_of[block])
			return;
		*m = (struct model_slot){ .block = block, .crc = (uint32_t)rng_next(r), .st = st };
		model.slot_of[block] = s.n;
		model.counts[st]++;
		idx_put(x, s, model.blocks[block], m->crc, st);
	} else if (what < 3) {
		model.slot_of[m->block] = 0;
		model.counts[m->st]--;
		*m = (struct model_slot){ .st = SLOT_DEAD };
		idx_drop(x, s);
	} else if (what < 5) {
		model.counts[m->st]--;
		model.counts[st]++;
		m->st = st;
		idx_set_state(x, s, st);
	} else if (what < 8) {
		m->hit = what & 1;
		idx_set_hit(x, s, m->hit);
	} else {
		m->earned = what & 1;
		idx_set_earned(x, s, m->earned);
	}
}

static void compare(struct idx *x, struct rng *r)
{
	slot_t s = { 1 + (uint32_t)rng_below(r, SLOTS - 1) };
	const struct model_slot *m = &model.slots[s.n];
	uint32_t block = some_block(r);

	CHECK(idx_find(x, model.blocks[block]).n == model.slot_of[block]);
	CHECK(idx_state(x, s) == m->st);
	if (m->st == SLOT_DEAD) {
		CHECK(!idx_hit(x, s) && !idx_earned(x, s));
		return;
	}
	CHECK(idx_find(x, model.blocks[m->block]).n == s.n);
	CHECK(idx_pblk(x, s).n == model.blocks[m->block].n);
	CHECK(idx_crc(x, s) == m->crc);
	CHECK(idx_hit(x, s) == m->hit && idx_earned(x, s) == m->earned);
	CHECK(idx_count(x, m->st) == model.counts[m->st]);
}

static void random_ops(void)
{
	struct rng r = unit_rng();
	struct idx *x = idx_new(SLOTS);

	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	model_init(x, &r);
	for (unit_step = 0; unit_step < 3000000; unit_step++) {
		step(x, &r);
		compare(x, &r);
		if (unit_step % 100000 == 0)
			check_chains(x);
	}
	for (uint32_t i = 0; i < BLOCKS; i++)
		CHECK(idx_find(x, model.blocks[i]).n == model.slot_of[i]);
	for (int st = SLOT_CLEAN; st <= SLOT_LOST; st++)
		CHECK(idx_count(x, (enum slot_state)st) == model.counts[st]);
	check_chains(x);
	idx_free(x);
}

/* Any 40 bits come back as they were, and only what was put is found, whatever the number of slots. */
static void any_block(void)
{
	struct rng r = unit_rng();

	for (unit_step = 0; unit_step < 300; unit_step++) {
		uint32_t nslots = 2 + (uint32_t)rng_below(&r, unit_step % 2 ? 40 : 5000);
		struct idx *x = idx_new(nslots);
		uint64_t first = rng_next(&r) & PBLK_MAX;

		CHECK(x);
		for (uint32_t i = 1; i < nslots; i++) {
			pblk_t p = { (first + i * 0x100000001ull) & PBLK_MAX };

			idx_put(x, (slot_t){i}, p, i, SLOT_DIRTY);
		}
		for (uint32_t i = 1; i < nslots; i++) {
			pblk_t p = { (first + i * 0x100000001ull) & PBLK_MAX };

			CHECK(idx_find(x, p).n == i && idx_pblk(x, (slot_t){i}).n == p.n);
			/* differs in one bit */
			p.n ^= 1ull << rng_below(&r, PBLK_BITS);
			CHECK(!idx_find(x, p).n || idx_pblk(x, idx_find(x, p)).n == p.n);
		}
		idx_free(x);
	}
}

static void round_trip(struct idx *x, uint64_t block)
{
	slot_t s = { x->nslots - 1 };
	pblk_t p = { block };

	idx_put(x, s, p, 1, SLOT_CLEAN);
	CHECK(idx_find(x, p).n == s.n && idx_pblk(x, s).n == block);
	idx_drop(x, s);
	CHECK(!idx_find(x, p).n);
}

/* Each bit, pair of bits, run of bits and their complements, each uppermost byte. */
static void patterns(void)
{
	static const uint32_t sizes[] = { 2, 3, 1024, 1025, 1026, 1029, 9999, 131072 };

	for (unit_step = 0; unit_step < ARRAY_LEN(sizes); unit_step++) {
		struct idx *x = idx_new(sizes[unit_step]);

		CHECK(x);
		for (int i = 0; i < PBLK_BITS; i++) {
			for (int j = i; j < PBLK_BITS; j++) {
				uint64_t pair = 1ull << i | 1ull << j, run = (2ull << j) - (1ull << i);

				round_trip(x, pair);
				round_trip(x, pair ^ PBLK_MAX);
				round_trip(x, run);
				round_trip(x, run ^ PBLK_MAX);
			}
		}
		for (uint64_t top = 0; top <= PBLK_MAX >> 32; top++) {
			round_trip(x, top << 32);
			round_trip(x, top << 32 | UINT32_MAX);
			round_trip(x, unstir(top << 32));
			round_trip(x, unstir(top << 32 | UINT32_MAX));
		}
		round_trip(x, 0);
		round_trip(x, PBLK_MAX);
		check_chains(x);
		idx_free(x);
	}
}

/* The first and the last hash of every head, all at once: a chain's range has exactly these ends, whether the heads
 * divide the hashes evenly or not. */
static void ranges(void)
{
	static const uint32_t sizes[] = { 1024, 1026, 2048, 10006, 65536, 131074 };

	for (unit_step = 0; unit_step < ARRAY_LEN(sizes); unit_step++) {
		struct idx *x = idx_new(sizes[unit_step]);

		CHECK(x && x->nheads == x->nslots / 2);
		for (uint32_t s = 1; s < x->nslots; s++) {
			uint32_t head = s / 2;
			uint64_t hash = s % 2 ? last_hash(x, head) : first_hash(x, head);
			pblk_t p = { unstir(hash) };

			CHECK(last_hash(x, head) - first_hash(x, head) <= UINT32_MAX);
			idx_put(x, (slot_t){s}, p, s, SLOT_CLEAN);
			CHECK(idx_pblk(x, (slot_t){s}).n == p.n);
		}
		check_chains(x);
		idx_free(x);
	}
}

#define LONG 3000u

static pblk_t long_block(const struct idx *x, uint32_t i)
{
	uint32_t head = x->nheads / 3;

	/* from both ends of the range in turn */
	return (pblk_t){unstir(i % 2 ? last_hash(x, head) - i : first_hash(x, head) + i)};
}

/* Every slot on one chain. Dropped oldest first, newest first, and twice in any order, each time to the last. */
static void one_chain(void)
{
	struct rng r = unit_rng();
	struct idx *x = idx_new(LONG);
	uint32_t order[LONG];

	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	for (unit_step = 0; unit_step < 4; unit_step++) {
		for (uint32_t i = 1; i < LONG; i++) {
			idx_put(x, (slot_t){i}, long_block(x, i), i, SLOT_DIRTY);
			order[i] = unit_step ? LONG - i : i;
		}
		for (uint32_t i = 1; i < LONG; i++)
			CHECK(idx_pblk(x, (slot_t){i}).n == long_block(x, i).n && idx_crc(x, (slot_t){i}) == i);
		for (uint32_t i = LONG - 1; i > 1 && unit_step > 1; i--) {
			uint32_t j = 1 + (uint32_t)rng_below(&r, i), was = order[i];

			order[i] = order[j];
			order[j] = was;
		}
		for (uint32_t i = 1; i < LONG; i++) {
			slot_t next = { order[i + 1 < LONG ? i + 1 : i] };

			idx_drop(x, (slot_t){order[i]});
			CHECK(!idx_find(x, long_block(x, order[i])).n);
			CHECK(i + 1 == LONG || idx_pblk(x, next).n == long_block(x, next.n).n);
			if (i % 500 == 0)
				check_chains(x);
		}
		check_chains(x);
	}
	idx_free(x);
}

/* Two slots share a byte: whatever one of them has, the other keeps what it has. */
static void flags(void)
{
	struct idx *x = idx_new(10);

	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	for (unit_step = 0; unit_step < 2 * 12; unit_step++) {
		slot_t s = { 4 + unit_step % 2 }, other = { 5 - unit_step % 2 };
		bool hit = unit_step & 2, earned = unit_step & 4;
		enum slot_state st = (enum slot_state)(SLOT_CLEAN + unit_step / 8);

		idx_put(x, other, (pblk_t){PBLK_MAX}, 1, SLOT_LOST);
		idx_set_hit(x, other, !hit);
		idx_set_earned(x, other, !earned);
		idx_put(x, s, (pblk_t){7}, 2, SLOT_CLEAN);
		CHECK(!idx_hit(x, s) && !idx_earned(x, s));
		idx_set_hit(x, s, hit);
		idx_set_earned(x, s, earned);
		idx_set_state(x, s, st);
		CHECK(idx_hit(x, s) == hit && idx_earned(x, s) == earned && idx_state(x, s) == st);
		CHECK(idx_hit(x, other) == !hit && idx_earned(x, other) == !earned);
		CHECK(idx_state(x, other) == SLOT_LOST);
		idx_set_hit(x, s, false);
		CHECK(idx_earned(x, s) == earned && idx_state(x, s) == st);
		idx_drop(x, s);
		CHECK(!idx_hit(x, s) && !idx_earned(x, s));
		CHECK(idx_hit(x, other) == !hit && idx_earned(x, other) == !earned);
		CHECK(idx_state(x, other) == SLOT_LOST);
		idx_drop(x, other);
	}
	check_chains(x);
	idx_free(x);
}

static void bytes(void)
{
	static const uint32_t sizes[] = { 2, 1023, 1024, 4097, 1u << 20, 3000001 };

	for (unit_step = 0; unit_step < ARRAY_LEN(sizes); unit_step++) {
		struct idx *x = idx_new(sizes[unit_step]);

		CHECK(x);
		CHECK(idx_bytes(x) * 2 <= 29ull * sizes[unit_step] + 8192);
		/* the last slot's tag is the last byte */
		CHECK((uint8_t *)x->nodes + x->table_bytes == &x->tags[(sizes[unit_step] - 1) / 2] + 1);
		idx_free(x);
	}
	mem_fail_at(0);
	CU_ASSERT_PTR_NULL(idx_new((1u << 31) + 1));
	CU_ASSERT_PTR_NULL(idx_new(UINT32_MAX));
	CU_ASSERT_EQUAL(mem_fail_at(0), 0);	/* refused before any memory was asked for */
}

static void out_of_memory(void)
{
	for (unsigned long nth = 1; nth <= 2; nth++) {
		mem_fail_at(nth);
		CU_ASSERT_PTR_NULL(idx_new(100));
	}
	mem_fail_at(0);
	idx_free(NULL);
}

static void put_twice(void *x)
{
	idx_put(x, (slot_t){2}, (pblk_t){7}, 0, SLOT_CLEAN);
}

static void put_on_live(void *x)
{
	idx_put(x, (slot_t){1}, (pblk_t){8}, 0, SLOT_CLEAN);
}

static void put_on_none(void *x)
{
	idx_put(x, SLOT_NONE, (pblk_t){8}, 0, SLOT_CLEAN);
}

static void drop_dead(void *x)
{
	idx_drop(x, (slot_t){2});
}

static void revive_dead(void *x)
{
	idx_set_state(x, (slot_t){2}, SLOT_CLEAN);
}

static void hit_on_dead(void *x)
{
	idx_set_hit(x, (slot_t){2}, true);
}

static void earned_on_dead(void *x)
{
	idx_set_earned(x, (slot_t){2}, true);
}

static void earned_beyond(void *x)
{
	idx_earned(x, (slot_t){10});
}

static void pblk_of_dead(void *x)
{
	idx_pblk(x, (slot_t){2});
}

static void put_too_large(void *x)
{
	idx_put(x, (slot_t){2}, (pblk_t){PBLK_MAX + 1}, 0, SLOT_CLEAN);
}

static void beyond(void *x)
{
	idx_state(x, (slot_t){10});
}

static void asserts(void)
{
	struct idx *x = idx_new(10);

	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	idx_put(x, (slot_t){1}, (pblk_t){7}, 0, SLOT_CLEAN);
	CU_ASSERT(unit_dies(put_twice, x));
	CU_ASSERT(unit_dies(put_on_live, x));
	CU_ASSERT(unit_dies(put_on_none, x));
	CU_ASSERT(unit_dies(drop_dead, x));
	CU_ASSERT(unit_dies(revive_dead, x));
	CU_ASSERT(unit_dies(hit_on_dead, x));
	CU_ASSERT(unit_dies(earned_on_dead, x));
	CU_ASSERT(unit_dies(earned_beyond, x));
	CU_ASSERT(unit_dies(pblk_of_dead, x));
	CU_ASSERT(unit_dies(put_too_large, x));
	CU_ASSERT(unit_dies(beyond, x));
	idx_free(x);
}

const struct hb_suite suite_index = { "index", (CU_TestInfo[]){
	{ "random_ops", random_ops },
	{ "any_block", any_block },
	{ "patterns", patterns },
	{ "ranges", ranges },
	{ "one_chain", one_chain },
	{ "flags", flags },
	{ "bytes", bytes },
	{ "out_of_memory", out_of_memory },
	{ "asserts", asserts },
	CU_TEST_INFO_NULL
} };
