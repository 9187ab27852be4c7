/* SPDX-License-Identifier: GPL-2.0-only */
/* test_policy.c - the policies against naive ones, and what each is there for. */
#include "suites.h"

#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "cache/policy.h"

static const struct policy_ops *const all[] = { &policy_s3fifo, &policy_lru };

static bool never_busy(void *ctx, uint32_t id)
{
	(void)ctx;
	(void)id;
	return false;
}

/* ------------------------------------------------------------------ naive policies */
#define CAPACITY 120u
#define SMALL_TARGET (CAPACITY / 10)

/* Oldest first. */
struct row {
	uint32_t ids[CAPACITY], n;
};

static struct {
	struct row small, main;		/* LRU has only main */
	struct row *aside[CAPACITY];	/* by id: the row it was set aside from; NULL: none */
	uint32_t freq[CAPACITY];
	bool lives[CAPACITY], earned[CAPACITY], busy[CAPACITY];
} model;

static void row_add(struct row *row, uint32_t at, uint32_t id)
{
	memmove(&row->ids[at + 1], &row->ids[at], (row->n - at) * sizeof(row->ids[0]));
	row->ids[at] = id;
	row->n++;
}

static bool row_del(struct row *row, uint32_t id)
{
	for (uint32_t i = 0; i < row->n; i++) {
		if (row->ids[i] != id)
			continue;
		memmove(&row->ids[i], &row->ids[i + 1], (row->n - i - 1) * sizeof(row->ids[0]));
		row->n--;
		return true;
	}
	return false;
}

static void model_leave(uint32_t id)
{
	if (!row_del(&model.small, id))
		row_del(&model.main, id);
	model.aside[id] = NULL;
}

static void model_insert(bool lru, uint32_t id)
{
	struct row *row = lru ? &model.main : &model.small;

	row_add(row, row->n, id);
	model.lives[id] = true;
	model.earned[id] = false;
	model.freq[id] = 0;
}

static void model_hit(bool lru, uint32_t id)
{
	model.earned[id] = true;
	model.freq[id] = MIN(model.freq[id] + 1, 3u);
	if (lru) {
		model_leave(id);
		row_add(&model.main, model.main.n, id);
	}
}

static uint32_t model_evict(bool lru)
{
	while (model.small.n || model.main.n) {
		struct row *row = model.small.n >= SMALL_TARGET || !model.main.n ? &model.small : &model.main;
		uint32_t id;

		if (lru)
			row = &model.main;
		id = row->ids[0];
		row_del(row, id);
		if (!lru && row == &model.small && model.freq[id] >= 2) {
			model.freq[id] = 0;
			row_add(&model.main, model.main.n, id);
		} else if (!lru && row == &model.main && model.freq[id]) {
			model.freq[id]--;
			row_add(row, row->n, id);
		} else if (model.busy[id]) {
			model.aside[id] = row;
		} else {
			model.lives[id] = false;
			return id;
		}
	}
	return POLICY_NONE;
}

static void model_ready(uint32_t id)
{
	if (model.aside[id])
		row_add(model.aside[id], 0, id);
	model.aside[id] = NULL;
}

static bool model_busy(void *ctx, uint32_t id)
{
	(void)ctx;
	return model.busy[id];
}

static void model_step(const struct policy_ops *ops, struct policy *p, struct rng *r, uint64_t *key)
{
	bool lru = ops == &policy_lru, earned = false;
	uint32_t id = (uint32_t)rng_below(r, CAPACITY), what = (uint32_t)rng_below(r, 20);

	/* By phases, nearly full or nearly empty. */
	if (what < (*key / 4096 % 4 ? 2 : 8)) {
		uint32_t want = model_evict(lru);

		CHECK(ops->evict(p, model_busy, NULL, &earned) == want);
		CHECK(want == POLICY_NONE || earned == model.earned[want]);
		if (what < 1 && want == POLICY_NONE)
			memset(model.busy, 0, sizeof(model.busy));	/* those set aside still wait */
	} else if (!model.lives[id]) {
		model.busy[id] = what < 12;
		model_insert(lru, id);
		ops->insert(p, id, (*key)++);	/* never the same key again: the ghost stays out of it */
	} else if (what < 16) {
		model_hit(lru, id);
		ops->hit(p, id);
	} else if (what < 17) {
		model_leave(id);
		model.lives[id] = false;
		ops->remove(p, id);
	} else if (what < 18) {
		model.busy[id] = true;
	} else {
		model.busy[id] = false;
		model_ready(id);
		ops->ready(p, id);
	}
}

static void random_ops(void)
{
	struct rng r = unit_rng();

	unit_step = 0;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct policy *p = all[i]->create(CAPACITY);
		uint64_t key = 0;

		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		memset(&model, 0, sizeof(model));
		for (int k = 0; k < 1000000; k++, unit_step++)
			model_step(all[i], p, &r, &key);
		all[i]->destroy(p);
	}
}

/* ------------------------------------------------------------------ pinned ids cost nothing */
struct asked {
	uint64_t times;
	uint32_t free_id;		/* the one that is not busy */
};

static bool all_but_one_busy(void *ctx, uint32_t id)
{
	struct asked *asked = ctx;

	asked->times++;
	return id != asked->free_id;
}

static void many_pinned(void)
{
	enum { IDS = 10000, TURNS = 50000 };

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct policy *p = all[i]->create(IDS);
		struct asked asked = { .free_id = IDS / 2 };
		bool earned;

		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		for (uint32_t id = 0; id < IDS; id++)
			all[i]->insert(p, id, id);
		for (unit_step = 0; unit_step < TURNS; unit_step++) {
			CHECK(all[i]->evict(p, all_but_one_busy, &asked, &earned) == asked.free_id);
			all[i]->insert(p, asked.free_id, IDS + unit_step);
		}
		CHECK(asked.times <= IDS + TURNS);
		asked.free_id = POLICY_NONE;
		for (unit_step = 0; unit_step < TURNS; unit_step++)
			CHECK(all[i]->evict(p, all_but_one_busy, &asked, &earned) == POLICY_NONE);
		CHECK(asked.times <= IDS + TURNS + 1);
		all[i]->destroy(p);
	}
}

/* ------------------------------------------------------------------ a cache of keys around a policy */
#define KEYS_LOG2 17u
#define KEYS (2u << KEYS_LOG2)

struct cache {
	const struct policy_ops *ops;
	struct policy *p;
	uint32_t capacity, used;
	uint64_t hits;
	uint64_t *key_of;		/* by id */
	uint32_t *id_of;		/* by key: id + 1, 0: not here */
};

static struct cache cache_new(const struct policy_ops *ops, uint32_t capacity)
{
	struct cache c = { .ops = ops, .capacity = capacity, .p = ops->create(capacity) };

	c.key_of = mem_calloc(capacity, sizeof(*c.key_of));
	c.id_of = mem_calloc(KEYS, sizeof(*c.id_of));
	CU_ASSERT_FATAL(c.p && c.key_of && c.id_of);
	return c;
}

static void cache_free(struct cache *c)
{
	c->ops->destroy(c->p);
	mem_free(c->key_of);
	mem_free(c->id_of);
}

/* Frees a place; true if its key had earned the next level. */
static bool cache_evict(struct cache *c, uint32_t *ret_id)
{
	bool earned = false;

	*ret_id = c->ops->evict(c->p, never_busy, NULL, &earned);
	CHECK(*ret_id < c->capacity);
	c->id_of[c->key_of[*ret_id]] = 0;
	return earned;
}

static void cache_ask(struct cache *c, uint64_t key)
{
	uint32_t id = c->used;

	if (c->id_of[key]) {
		c->hits++;
		c->ops->hit(c->p, c->id_of[key] - 1);
		return;
	}
	if (c->used < c->capacity)
		c->used++;
	else
		cache_evict(c, &id);
	c->key_of[id] = key;
	c->id_of[key] = id + 1;
	c->ops->insert(c->p, id, key);
}

static void cache_ask_range(struct cache *c, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		cache_ask(c, from);
}

static uint64_t cache_count(const struct cache *c, uint64_t from, uint64_t to)
{
	uint64_t here = 0;

	for (; from < to; from++)
		here += c->id_of[from] != 0;
	return here;
}

/* What is used stays, whatever is read once past it; LRU cannot do that. */
static void scan_passes_by(void)
{
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct cache c = cache_new(all[i], 1000);

		for (int round = 0; round < 4; round++)
			cache_ask_range(&c, 0, 500);
		cache_ask_range(&c, 1000, 100000);
		CU_ASSERT_EQUAL(cache_count(&c, 0, 500), all[i] == &policy_lru ? 0 : 500);
		cache_free(&c);
	}
}

/* How many of the keys below 500, asked for once, evicted, and asked for again after `between` more keys, are taken as
 * coming back: they have earned the next level without a hit. */
static uint64_t come_back(uint64_t between)
{
	struct cache c = cache_new(&policy_s3fifo, 1000);
	uint64_t back = 0;

	cache_ask_range(&c, 0, 1500);
	CU_ASSERT_EQUAL(cache_count(&c, 0, 500), 0);
	cache_ask_range(&c, 1500, 1500 + between);
	cache_ask_range(&c, 0, 500);
	CU_ASSERT_EQUAL(c.hits, 0);
	for (uint32_t id, n = 0; n < 1000; n++)
		back += cache_evict(&c, &id);
	cache_free(&c);
	return back;
}

static void ghost_remembers(void)
{
	CU_ASSERT(come_back(0) >= 475);		/* a set of the ghost's table may overflow: a few go early */
	CU_ASSERT(come_back(300) >= 450);
	CU_ASSERT_EQUAL(come_back(900), 0);	/* main is 900 deep */
	CU_ASSERT_EQUAL(come_back(50000), 0);
}

static void removed_is_not_remembered(void)
{
	struct policy *p = policy_s3fifo.create(100);
	bool earned = true;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	policy_s3fifo.insert(p, 5, 77);
	policy_s3fifo.hit(p, 5);
	policy_s3fifo.remove(p, 5);
	policy_s3fifo.insert(p, 6, 77);
	CU_ASSERT_EQUAL(policy_s3fifo.evict(p, never_busy, NULL, &earned), 6);
	CU_ASSERT(!earned);
	CU_ASSERT_EQUAL(policy_s3fifo.evict(p, never_busy, NULL, &earned), POLICY_NONE);
	policy_s3fifo.destroy(p);
}

/* A key that came back is forgotten by the ghost: when it is removed then, it is new again. */
static void come_back_once(void)
{
	struct policy *p = policy_s3fifo.create(100);
	bool earned;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	policy_s3fifo.insert(p, 1, 77);
	CU_ASSERT_EQUAL(policy_s3fifo.evict(p, never_busy, NULL, &earned), 1);
	CU_ASSERT(!earned);
	policy_s3fifo.insert(p, 2, 77);
	policy_s3fifo.remove(p, 2);
	policy_s3fifo.insert(p, 3, 77);
	CU_ASSERT_EQUAL(policy_s3fifo.evict(p, never_busy, NULL, &earned), 3);
	CU_ASSERT(!earned);
	policy_s3fifo.insert(p, 4, 77);
	CU_ASSERT_EQUAL(policy_s3fifo.evict(p, never_busy, NULL, &earned), 4);
	CU_ASSERT(earned);
	policy_s3fifo.destroy(p);
}

/* One hit is not enough for main, but for the next level. */
static void one_hit_earns(void)
{
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct policy *p = all[i]->create(100);
		bool earned = false;

		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		all[i]->insert(p, 3, 1);
		all[i]->hit(p, 3);
		all[i]->insert(p, 4, 2);
		CU_ASSERT_EQUAL(all[i]->evict(p, never_busy, NULL, &earned), 3);
		CU_ASSERT(earned);
		CU_ASSERT_EQUAL(all[i]->evict(p, never_busy, NULL, &earned), 4);
		CU_ASSERT(!earned);
		all[i]->destroy(p);
	}
}

/* Skewed keys with a scan now and then: the reason why s3fifo is the default. The same stream in every run. */
static uint64_t hits_on_skew(const struct policy_ops *ops)
{
	struct cache c = cache_new(ops, 2000);
	struct rng r = { .s = 1 };
	uint64_t scan = KEYS / 2, hits;

	for (uint32_t i = 0; i < 1000000; i++) {
		uint64_t octave = 1ull << rng_below(&r, KEYS_LOG2);

		/* As many requests to each octave of keys: a Zipf distribution with exponent 1, in steps. */
		cache_ask(&c, octave + rng_below(&r, octave));
		if (i % 10 == 0) {
			cache_ask(&c, scan);
			scan = scan + 1 < KEYS ? scan + 1 : KEYS / 2;
		}
	}
	hits = c.hits;
	cache_free(&c);
	return hits;
}

static void better_than_lru(void)
{
	uint64_t s3 = hits_on_skew(&policy_s3fifo), lru = hits_on_skew(&policy_lru);

	CU_ASSERT(s3 > lru + lru / 50);
}

static void out_of_memory(void)
{
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		for (unsigned long nth = 1; nth <= 2; nth++) {
			mem_fail_at(nth);
			CU_ASSERT_PTR_NULL(all[i]->create(100));
		}
		mem_fail_at(0);
		all[i]->destroy(NULL);
	}
}

static const struct policy_ops *dying;

static void insert_twice(void *p)
{
	dying->insert(p, 1, 5);
}

static void hit_free(void *p)
{
	dying->hit(p, 2);
}

static void remove_free(void *p)
{
	dying->remove(p, 2);
}

static void insert_beyond(void *p)
{
	dying->insert(p, 10, 5);
}

static void asserts(void)
{
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct policy *p = all[i]->create(10);

		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		dying = all[i];
		dying->insert(p, 1, 4);
		CU_ASSERT(unit_dies(insert_twice, p));
		CU_ASSERT(unit_dies(hit_free, p));
		CU_ASSERT(unit_dies(remove_free, p));
		CU_ASSERT(unit_dies(insert_beyond, p));
		dying->destroy(p);
	}
}

const struct hb_suite suite_policy = { "policy", (CU_TestInfo[]){
	{ "random_ops", random_ops },
	{ "many_pinned", many_pinned },
	{ "scan_passes_by", scan_passes_by },
	{ "ghost_remembers", ghost_remembers },
	{ "removed_is_not_remembered", removed_is_not_remembered },
	{ "come_back_once", come_back_once },
	{ "one_hit_earns", one_hit_earns },
	{ "better_than_lru", better_than_lru },
	{ "out_of_memory", out_of_memory },
	{ "asserts", asserts },
	CU_TEST_INFO_NULL
} };
