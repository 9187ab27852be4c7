/* SPDX-License-Identifier: GPL-2.0-only */
/* test_map.c - one volume's map, or two: known answers, and what the model of test_map_model.c is too small for. */
#include "suites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/map.h"
#include "page_store.h"
#include "space/chunks.h"

static const struct map_chunks_ops chunk_ops = { chunks_ref, chunks_unref, chunks_refs, chunks_exists };

#define BLKS 16u
#define PER_LEAF 64u		/* fragment records in a leaf of frags */
#define POOL 1200u

static struct mapset ms;
static struct ptree map, snap;
static uint32_t last_freed, nfreed;

static void on_freed(void *ctx, chunk_t k)
{
	CHECK(ctx == &nfreed);
	last_freed = k.n;
	nfreed++;
}

static void on_retire(void *ctx, uint32_t page)
{
	(void)ctx, (void)page;
	CHECK(!"nothing was saved");
}

/* Chunks 1 .. POOL exist. */
static void open_maps(void)
{
	struct chunks *chunks = chunks_new((chunk_t){ 1 }, POOL);

	CHECK(chunks);
	CHECK(mapset_init(&ms, chunks, chunk_ops, BLKS) == 0);
	ms.chunk_freed = on_freed;
	ms.page_retire = on_retire;
	ms.ctx = &nfreed;
	last_freed = nfreed = 0;
}

static void close_maps(void)
{
	struct chunks *chunks = ms.chunks;

	ptree_forget(&ms.env, &map);
	ptree_forget(&ms.env, &snap);
	mapset_fini(&ms);
	chunks_free(chunks);
}

/* All given back by clearing. */
static void clear_maps(void)
{
	ptree_clear(&ms.env, &map);
	ptree_clear(&ms.env, &snap);
	CHECK(chunks_free_count(ms.chunks) + chunks_limbo_count(ms.chunks) == POOL);
	for (uint32_t f = 0; f < ms.frag_leaves * PER_LEAF; f++)
		CHECK(!ms.frag_refs[f]);
	close_maps();
}

/* Block b of the volume's chunk c is in chunk k now. */
static void set(uint64_t c, unsigned int b, uint32_t k)
{
	CHECK(map_set(&ms, &map, (vblk_t){ c * BLKS + b }, (pblk_t){ (uint64_t)k * BLKS + b }) == 0);
}

static void unset(uint64_t c, unsigned int b, unsigned int count)
{
	CHECK(map_unset(&ms, &map, (vblk_t){ c * BLKS + b }, count) == 0);
}

static uint32_t chunk_at(const struct ptree *t, uint64_t c, unsigned int b)
{
	uint64_t p = map_find(&ms, t, (vblk_t){ c * BLKS + b }).n;

	CHECK(!p || p % BLKS == b);
	return (uint32_t)(p / BLKS);
}

static struct map_entry entry(const struct ptree *t, uint64_t c)
{
	const struct map_entry *leaf = ptree_get(t, c / MAP_LEAF_ENTRIES);

	return leaf ? leaf[c % MAP_LEAF_ENTRIES] : (struct map_entry){ 0 };
}

static bool entry_is(const struct ptree *t, uint64_t c, uint32_t own, uint32_t own_bits, uint32_t base,
		     uint32_t base_bits)
{
	struct map_entry e = entry(t, c), want = { own, base, own_bits, base_bits };

	return memcmp(&e, &want, sizeof(e)) == 0;
}

static uint32_t refs(uint32_t k)
{
	return chunks_refs(ms.chunks, (chunk_t){ k });
}

static uint32_t writable(const struct ptree *t, uint64_t c)
{
	return map_writable(&ms, t, (vblk_t){ c * BLKS + 3 }).n;
}

/* ------------------------------------------------------------------ entries */
static void one_layer(void)
{
	chunk_t k;

	open_maps();
	CU_ASSERT_EQUAL(map_find(&ms, &map, (vblk_t){ 5 }).n, 0);
	CU_ASSERT_EQUAL(writable(&map, 0), 0);
	k = chunks_take(ms.chunks, (chunk_t){ 7 });
	CU_ASSERT_EQUAL(refs(7), 0);
	set(0, 5, k.n);
	CU_ASSERT(entry_is(&map, 0, 7, 1u << 5, 0, 0));
	CU_ASSERT_EQUAL(refs(7), 1);
	CU_ASSERT_EQUAL(writable(&map, 0), 7);
	CU_ASSERT_EQUAL(map_near(&ms, &map, (vblk_t){ BLKS + 1 }).n, 8);
	CU_ASSERT_EQUAL(map_near(&ms, &map, (vblk_t){ 5 }).n, 0);
	CU_ASSERT_EQUAL(map_near(&ms, &map, (vblk_t){ 2 * BLKS }).n, 0);
	set(0, 15, 7);
	set(0, 15, 7);
	CU_ASSERT(entry_is(&map, 0, 7, 0x8020, 0, 0));
	CU_ASSERT_EQUAL(refs(7), 1);
	CU_ASSERT_EQUAL(map_count(&ms, &map), 2);
	CU_ASSERT_EQUAL(map_next_mapped(&ms, &map, (vblk_t){ 6 }).n, 15);
	set(300, 0, POOL);
	CU_ASSERT_EQUAL(map_near(&ms, &map, (vblk_t){ 301 * BLKS }).n, 0);	/* there is no chunk behind the last */
	unset(300, 0, 16);
	CU_ASSERT_EQUAL(last_freed, POOL);
	CU_ASSERT_EQUAL(ms.env.leaves, 1);		/* the leaf went, too */
	unset(0, 0, 16);
	CU_ASSERT_EQUAL(nfreed, 2);
	CU_ASSERT_EQUAL(last_freed, 7);
	CU_ASSERT_PTR_NULL(map.root);
	clear_maps();
}

/* A volume, its snapshot, and writes to both. */
static void two_layers(void)
{
	open_maps();
	for (unsigned int b = 0; b < 16; b++)
		set(2, b, 50);
	ptree_share(&snap, &map);
	CU_ASSERT_EQUAL(refs(50), 1);			/* one leaf */
	CU_ASSERT_EQUAL(writable(&map, 2), 0);
	CU_ASSERT_EQUAL(writable(&snap, 2), 0);
	set(2, 3, 51);
	CU_ASSERT_EQUAL(refs(50), 2);
	CU_ASSERT(entry_is(&map, 2, 51, 1u << 3, 50, 0xfff7));
	CU_ASSERT(entry_is(&snap, 2, 50, 0xffff, 0, 0));
	CU_ASSERT_EQUAL(writable(&map, 2), 51);
	CU_ASSERT_EQUAL(writable(&snap, 2), 0);
	CU_ASSERT_EQUAL(chunk_at(&map, 2, 3), 51);
	CU_ASSERT_EQUAL(chunk_at(&map, 2, 4), 50);
	CU_ASSERT_EQUAL(chunk_at(&snap, 2, 3), 50);
	/* All overwritten: the base goes. */
	for (unsigned int b = 0; b < 16; b++)
		set(2, b, 51);
	CU_ASSERT(entry_is(&map, 2, 51, 0xffff, 0, 0));
	CU_ASSERT_EQUAL(refs(50), 1);
	CU_ASSERT_EQUAL(writable(&snap, 2), 50);
	CU_ASSERT_EQUAL(nfreed, 0);
	ptree_clear(&ms.env, &snap);
	CU_ASSERT_EQUAL(last_freed, 50);
	clear_maps();
}

/* What unmapping leaves: when own goes, the base takes its place. */
static void layers_vanish(void)
{
	open_maps();
	for (unsigned int b = 0; b < 16; b++)
		set(0, b, 1 + b % 4);			/* own: 4, a record for 1, 2, 3 */
	CU_ASSERT(entry_is(&map, 0, 4, 0x8888, ENTRY_FRAG, 0x7777));
	CU_ASSERT_EQUAL(ms.frag_refs[0], 1);
	for (uint32_t k = 1; k <= 4; k++)
		CU_ASSERT_EQUAL(refs(k), 1);
	for (unsigned int b = 2; b < 16; b += 4)
		unset(0, b, 1);
	CU_ASSERT_EQUAL(last_freed, 3);
	CU_ASSERT(entry_is(&map, 0, 4, 0x8888, ENTRY_FRAG, 0x3333));
	for (unsigned int b = 3; b < 16; b += 4)
		unset(0, b, 1);
	CU_ASSERT_EQUAL(last_freed, 4);
	CU_ASSERT(entry_is(&map, 0, 1, 0x1111, 2, 0x2222));	/* the record went */
	CU_ASSERT_EQUAL(ms.frag_refs[0], 0);
	unset(0, 0, 1);
	unset(0, 4, 9);
	CU_ASSERT_EQUAL(last_freed, 1);
	CU_ASSERT(entry_is(&map, 0, 2, 0x2002, 0, 0));
	CU_ASSERT_EQUAL(writable(&map, 0), 2);
	/* When own goes, the chunk with most blocks is next. */
	set(1, 0, 10);
	set(1, 1, 11);
	set(1, 2, 11);
	set(1, 3, 12);
	set(1, 4, 13);
	unset(1, 4, 1);
	CU_ASSERT(entry(&map, 1).own == 11 && entry(&map, 1).own_bits == 6 && entry(&map, 1).base & ENTRY_FRAG);
	clear_maps();
}

/* A record that two entries name is not changed in place. */
static void record_shared(void)
{
	open_maps();
	for (unsigned int b = 0; b < 3; b++)
		set(0, b, 1 + b);
	CU_ASSERT(entry_is(&map, 0, 3, 4, ENTRY_FRAG | 0, 3));
	ptree_share(&snap, &map);
	CU_ASSERT_EQUAL(ms.frag_refs[0], 1);
	set(300, 0, 20);				/* another leaf: nothing of this one is copied */
	CU_ASSERT_EQUAL(ms.frag_refs[0], 1);
	set(1, 0, 21);
	CU_ASSERT_EQUAL(ms.frag_refs[0], 2);
	CU_ASSERT(refs(1) == 1 && refs(2) == 1 && refs(3) == 2);
	set(0, 5, 3);					/* the record stays as it is */
	CU_ASSERT_EQUAL(ms.frag_refs[0], 2);
	set(0, 5, 4);					/* 4 is own; 3 joins the record: a new one */
	CU_ASSERT(entry_is(&map, 0, 4, 0x20, ENTRY_FRAG | 1, 7));
	CU_ASSERT(entry_is(&snap, 0, 3, 4, ENTRY_FRAG | 0, 3));
	CU_ASSERT(ms.frag_refs[0] == 1 && ms.frag_refs[1] == 1);
	CU_ASSERT(refs(1) == 2 && refs(2) == 2 && refs(3) == 2 && refs(4) == 1);
	set(0, 2, 4);					/* ours alone: in place */
	CU_ASSERT(entry_is(&map, 0, 4, 0x24, ENTRY_FRAG | 1, 3));
	CU_ASSERT(refs(1) == 2 && refs(2) == 2 && refs(3) == 1);
	CU_ASSERT_EQUAL(map_share_chunk(&ms, &map, (vblk_t){ 9 * BLKS }, &snap, (vblk_t){ 0 }), 0);
	CU_ASSERT_EQUAL(ms.frag_refs[0], 2);
	CU_ASSERT(refs(1) == 2 && refs(3) == 2);
	CU_ASSERT_EQUAL(chunk_at(&map, 9, 1), 2);
	CU_ASSERT_EQUAL(writable(&snap, 0), 0);
	ptree_clear(&ms.env, &snap);
	CU_ASSERT_EQUAL(ms.frag_refs[0], 1);
	CU_ASSERT_EQUAL(nfreed, 0);
	/* And a hole. */
	CU_ASSERT_EQUAL(map_share_chunk(&ms, &map, (vblk_t){ 9 * BLKS }, &map, (vblk_t){ 100 * BLKS }), 0);
	CU_ASSERT_EQUAL(ms.frag_refs[0], 0);
	CU_ASSERT_EQUAL(last_freed, 3);
	clear_maps();
}

/* ------------------------------------------------------------------ runs */
static uint64_t run(uint64_t v, uint64_t max, uint64_t *ret_p)
{
	pblk_t p = { 1 };
	uint64_t n = map_find_run(&ms, &map, (vblk_t){ v }, max, &p);

	*ret_p = p.n;
	return n;
}

static void runs(void)
{
	const uint64_t end = 1ull << 38;		/* blocks of the largest volume */
	uint64_t p;

	open_maps();
	CU_ASSERT(run(0, end, &p) == end && p == 0);
	for (unsigned int c = 0; c < 600; c++)		/* over three leaves */
		for (unsigned int b = 0; b < 16; b++)
			set(100 + c, b, 200 + c);
	CU_ASSERT(run(0, end, &p) == 1600 && p == 0);
	CU_ASSERT(run(1600, end, &p) == 9600 && p == 3200);
	CU_ASSERT(run(1603, 9000, &p) == 9000 && p == 3203);
	CU_ASSERT(run(5555, 1, &p) == 1 && p == 5555 + 1600);
	CU_ASSERT(run(11200, end, &p) == end && p == 0);
	set(200, 7, 1);
	CU_ASSERT(run(1600, end, &p) == 1607 && p == 3200);
	CU_ASSERT(run(3207, end, &p) == 1 && p == 23);
	CU_ASSERT(run(3208, end, &p) == 11200 - 3208 && p == 4808);
	unset(300, 0, 1);
	CU_ASSERT(run(4799, end, &p) == 1 && p == 6399);
	CU_ASSERT(run(4800, end, &p) == 1 && p == 0);
	set((end - 1) / BLKS, 15, 2);			/* the last block of all */
	CU_ASSERT(run(11200, end, &p) == end - 1 - 11200 && p == 0);
	CU_ASSERT(run(end - 1, 1, &p) == 1 && p == 47);
	CU_ASSERT_EQUAL(map_next_mapped(&ms, &map, (vblk_t){ 11200 }).n, end - 1);
	CU_ASSERT_EQUAL(map_next_mapped(&ms, &map, (vblk_t){ end }).n, UINT64_MAX);
	CU_ASSERT_EQUAL(map_count(&ms, &map), 9600);
	clear_maps();
}

/* ------------------------------------------------------------------ many records */
/* Each entry of own and base is prepared; then a third chunk comes to all, with no memory left. */
static void prepares_many(void)
{
	open_maps();
	for (unsigned int c = 0; c < MAP_PREPARED_MAX; c++) {
		set(c, 0, 1);
		set(c, 1, 2);
	}
	ptree_share(&snap, &map);
	for (unsigned int c = 0; c < MAP_PREPARED_MAX; c++)
		CU_ASSERT_EQUAL(map_prepare(&ms, &map, (vblk_t){ c * BLKS }), 0);
	for (unsigned int c = 0; c < MAP_PREPARED_MAX; c++) {
		mem_fail_at(1);
		set(c, 2, 3);
		set(c, 3, 3);
		mem_fail_at(0);
		CHECK(chunk_at(&map, c, 0) == 1 && chunk_at(&map, c, 1) == 2 && chunk_at(&map, c, 3) == 3);
	}
	CU_ASSERT_EQUAL(refs(1), 2 * MAP_PREPARED_MAX);
	CU_ASSERT_EQUAL(refs(3), MAP_PREPARED_MAX);
	/* A leaf of entries for each of the two, 4 of records, and little more. */
	CU_ASSERT(mapset_bytes(&ms) > 6 * 4096 && mapset_bytes(&ms) < 10 * 4096);
	clear_maps();
}

/* What is prepared stays so when other records go, and leaves of records become empty. */
static void prepared_stays(void)
{
	open_maps();
	for (unsigned int c = 0; c < 3 * MAP_PREPARED_MAX; c++)
		for (unsigned int b = 0; b < (c < MAP_PREPARED_MAX ? 2 : 3); b++)
			set(c, b, 1 + b);
	for (unsigned int c = MAP_PREPARED_MAX; c < 3 * MAP_PREPARED_MAX; c += 2)
		unset(c, 0, 1);
	CU_ASSERT_EQUAL(ms.frag_free, MAP_PREPARED_MAX);	/* every other one of each leaf's */
	for (unsigned int c = 0; c < MAP_PREPARED_MAX; c++)
		CU_ASSERT_EQUAL(map_prepare(&ms, &map, (vblk_t){ c * BLKS }), 0);
	for (unsigned int c = MAP_PREPARED_MAX + 1; c < 3 * MAP_PREPARED_MAX; c += 2)
		unset(c, 0, 1);
	for (unsigned int c = 0; c < MAP_PREPARED_MAX; c++) {
		mem_fail_at(1);
		set(c, 2, 3);
		mem_fail_at(0);
	}
	clear_maps();
}

/* A leaf of records is just full, and one that is shared must change: room is made for it, or nothing happens. */
static void records_full(void)
{
	struct map_entry was;

	open_maps();
	for (unsigned int c = 0; c < PER_LEAF; c++)
		for (unsigned int b = 0; b < 3; b++)
			set(c, b, 1 + b);
	CU_ASSERT_EQUAL(ms.frag_free, 0);
	ptree_share(&snap, &map);
	set(256 - 1, 0, 1);				/* the leaf is copied: each record has two holders */
	CU_ASSERT_EQUAL(ms.frag_refs[7], 2);
	was = entry(&map, 7);
	mem_fail_at(1);
	CU_ASSERT_EQUAL(map_set(&ms, &map, (vblk_t){ 7 * BLKS + 1 }, (pblk_t){ 4 * BLKS + 1 }), -ENOMEM);
	mem_fail_at(1);
	CU_ASSERT_EQUAL(map_unset(&ms, &map, (vblk_t){ 7 * BLKS + 1 }, 1), -ENOMEM);
	mem_fail_at(0);
	CU_ASSERT(entry_is(&map, 7, was.own, was.own_bits, was.base, was.base_bits));
	CU_ASSERT_EQUAL(ms.frag_refs[7], 2);
	unset(7, 1, 1);					/* two chunks are left: no record */
	CU_ASSERT(entry_is(&snap, 7, was.own, was.own_bits, was.base, was.base_bits));
	CU_ASSERT_EQUAL(ms.frag_refs[7], 1);
	set(8, 1, 4);
	CU_ASSERT_EQUAL(ms.plain.leaves, 2);
	CU_ASSERT(ms.frag_refs[8] == 1 && ms.frag_refs[PER_LEAF] == 1);
	CU_ASSERT_EQUAL(chunk_at(&snap, 8, 1), 2);
	CU_ASSERT_EQUAL(chunk_at(&map, 8, 1), 4);
	clear_maps();
}

static void many_records(void)
{
	const unsigned int count = 20000;
	struct rng rng = unit_rng();
	uint64_t leaves;

	open_maps();
	for (unsigned int c = 0; c < count; c++)
		for (unsigned int b = 0; b < 3; b++)
			set(c, b, 1 + (c + b) % POOL);
	CU_ASSERT(ms.plain.leaves >= count / PER_LEAF && ms.plain.leaves <= count / PER_LEAF + 1);
	leaves = ms.plain.leaves;
	for (unsigned int i = 0; i < 5 * count; i++) {	/* records go and come, the tree stays small */
		uint64_t c = rng_below(&rng, count);

		unset(c, 0, 3);
		for (unsigned int b = 0; b < 3; b++)
			set(c, b, 1 + (c + b) % POOL);
	}
	CU_ASSERT_EQUAL(ms.plain.leaves, leaves);
	for (unsigned int c = 0; c < count; c++)
		for (unsigned int b = 0; b < 4; b++)
			CHECK(chunk_at(&map, c, b) == (b < 3 ? 1 + (c + b) % POOL : 0));
	for (unsigned int c = 0; c < count; c++)
		if (c % 256)
			unset(c, 0, 1);
	CU_ASSERT(ms.plain.leaves < leaves);
	ptree_clear(&ms.env, &map);
	CU_ASSERT(ms.plain.leaves * PER_LEAF < MAP_PREPARED_MAX + 2 * PER_LEAF);
	CU_ASSERT_EQUAL(nfreed, POOL);
	clear_maps();
}

/* ------------------------------------------------------------------ bad entries */
/* What counting says of a map with this entry: NULL if nothing. */
static const char *fault_of(struct map_entry e)
{
	struct ptr_set counted = { .at = NULL };
	struct map_entry *leaf = ptree_change(&ms.env, &snap, 70000);
	const char *why = NULL;
	int rc;

	CHECK(leaf);
	leaf[200] = e;
	rc = map_count_refs(&ms, &snap, ptr_set_add, &counted, &why);
	CHECK(rc == (why ? -EBADMSG : 0));
	leaf[200] = (struct map_entry){ 0 };
	ptr_set_clear(&counted);
	return why;
}

static bool fault_says(const char *words, uint32_t own, uint32_t base, uint32_t own_bits, uint32_t base_bits)
{
	const char *why = fault_of((struct map_entry){ own, base, own_bits, base_bits });

	return why && strstr(why, words);
}

static void bad_entries(void)
{
	uint32_t *rec;

	open_maps();
	for (unsigned int b = 0; b < 3; b++)
		set(0, b, 1 + b);
	CU_ASSERT(entry_is(&map, 0, 3, 4, ENTRY_FRAG, 3));
	CU_ASSERT(fault_says("own and base at once", 1, 2, 7, 4));
	CU_ASSERT(fault_says("beyond its chunk", 1, 0, 0x10000, 0));
	CU_ASSERT(fault_says("beyond its chunk", 1, 2, 1, 0x80000000));
	CU_ASSERT(fault_says("chunk without blocks", 1, 0, 0, 0));
	CU_ASSERT(fault_says("without a chunk", 0, 0, 1, 0));
	CU_ASSERT(fault_says("chunk without blocks", 1, 2, 1, 0));
	CU_ASSERT(fault_says("without a chunk", 1, 0, 1, 2));
	CU_ASSERT(fault_says("no own chunk", 0, 2, 0, 1));
	CU_ASSERT(fault_says("own chunk that does not exist", POOL + 1, 0, 1, 0));
	CU_ASSERT(fault_says("own chunk that does not exist", ENTRY_FRAG | 1, 0, 1, 0));
	CU_ASSERT(fault_says("base chunk that does not exist", 1, POOL + 1, 1, 2));
	CU_ASSERT(fault_says("the same", 1, 1, 1, 2));
	CU_ASSERT(fault_says("record that does not exist", 5, ENTRY_FRAG | 0x7fffffff, 4, 3));
	CU_ASSERT(fault_says("record that does not exist", 5, ENTRY_FRAG | PER_LEAF, 4, 3));
	CU_ASSERT(fault_says("does not fit", 5, ENTRY_FRAG, 4, 1));
	CU_ASSERT(fault_says("does not fit", 5, ENTRY_FRAG, 4, 0x13));
	CU_ASSERT(fault_says("does not fit", 5, ENTRY_FRAG | 1, 4, 3));		/* a free one */
	CU_ASSERT(fault_says("own chunk of its entry", 1, ENTRY_FRAG, 4, 3));
	rec = ptree_change(&ms.plain, &ms.frags, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rec);
	rec[1] = rec[0];
	CU_ASSERT(fault_says("less than two", 5, ENTRY_FRAG, 4, 3));
	rec[1] = POOL + 1;
	CU_ASSERT(fault_says("names a chunk that does not exist", 5, ENTRY_FRAG, 4, 3));
	rec[1] = 2;
	CU_ASSERT(ms.frag_refs[0] == 1 && refs(1) == 1 && refs(5) == 0);
	CU_ASSERT_PTR_NULL(fault_of((struct map_entry){ 5, ENTRY_FRAG, 4, 3 }));	/* and a good one is counted */
	CU_ASSERT(ms.frag_refs[0] == 2 && refs(1) == 1 && refs(5) == 1);
	close_maps();
}

/* A loaded tree of records may hold any number; the tables must not be made for all of them. */
static void bad_records(void)
{
	struct ptr_set counted = { .at = NULL };
	struct ptree other = { 0 };
	const char *why = NULL;

	open_maps();
	CU_ASSERT_PTR_NOT_NULL(ptree_change(&ms.plain, &ms.frags, 1ull << 39));
	CU_ASSERT_EQUAL(map_count_refs(&ms, &map, ptr_set_add, &counted, &why), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(why);
	close_maps();
	open_maps();
	CU_ASSERT_PTR_NOT_NULL(ptree_change(&ms.plain, &ms.frags, 3));
	ptree_share(&other, &ms.frags);
	why = NULL;
	CU_ASSERT_EQUAL(map_count_refs(&ms, &map, ptr_set_add, &counted, &why), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(why);
	ptree_forget(&ms.plain, &other);
	close_maps();
}

/* ------------------------------------------------------------------ the caller's errors */
static void set_misplaced(void *arg)
{
	(void)arg;
	map_set(&ms, &map, (vblk_t){ 5 }, (pblk_t){ 16 * 3 + 6 });
}

static void set_nowhere(void *arg)
{
	(void)arg;
	map_set(&ms, &map, (vblk_t){ 5 }, (pblk_t){ 5 });
}

static void unset_across(void *arg)
{
	(void)arg;
	map_unset(&ms, &map, (vblk_t){ 5 }, 12);
}

static void share_unaligned(void *arg)
{
	(void)arg;
	map_share_chunk(&ms, &map, (vblk_t){ 16 }, &map, (vblk_t){ 8 });
}

static void dies(void)
{
	open_maps();
	CU_ASSERT(unit_dies(set_misplaced, NULL));
	CU_ASSERT(unit_dies(set_nowhere, NULL));
	CU_ASSERT(unit_dies(unset_across, NULL));
	CU_ASSERT(unit_dies(share_unaligned, NULL));
	close_maps();
}

/* A whole chunk is put in the place of whatever was there; what nothing needs any more is freed. */
static void set_chunk(void)
{
	pblk_t p;

	open_maps();
	for (uint32_t k = 1; k <= 4; k++)
		chunks_take(ms.chunks, (chunk_t){ k });
	CHECK(map_set_chunk(&ms, &map, (vblk_t){ 5 * BLKS }, (chunk_t){ 1 }) == 0);
	CHECK(map_find_run(&ms, &map, (vblk_t){ 5 * BLKS }, 100, &p) == BLKS && p.n == BLKS);
	CHECK(map_count(&ms, &map) == BLKS && chunks_refs(ms.chunks, (chunk_t){ 1 }) == 1 && !nfreed);
	ptree_share(&snap, &map);
	set(5, 3, 2);			/* own and base */
	CHECK(map_set_chunk(&ms, &map, (vblk_t){ 5 * BLKS }, (chunk_t){ 3 }) == 0);
	CHECK(nfreed == 1 && last_freed == 2 && chunks_refs(ms.chunks, (chunk_t){ 3 }) == 1);
	CHECK(map_find(&ms, &snap, (vblk_t){ 5 * BLKS + 3 }).n == BLKS + 3);
	CHECK(map_set_chunk(&ms, &map, (vblk_t){ 5 * BLKS }, (chunk_t){ 4 }) == 0);
	CHECK(nfreed == 2 && last_freed == 3);
	CHECK(map_find(&ms, &map, (vblk_t){ 5 * BLKS + 15 }).n == 4 * BLKS + 15);
	mem_fail_at(1);
	CHECK(map_set_chunk(&ms, &map, (vblk_t){ 5000 * BLKS }, (chunk_t){ 3 }) == -ENOMEM);
	mem_fail_at(0);
	CHECK(map_count(&ms, &map) == BLKS && nfreed == 2);
	clear_maps();
}

const struct hb_suite suite_map = { "map", (CU_TestInfo[]){
	{ "one_layer", one_layer },
	{ "two_layers", two_layers },
	{ "layers_vanish", layers_vanish },
	{ "record_shared", record_shared },
	{ "runs", runs },
	{ "prepares_many", prepares_many },
	{ "set_chunk", set_chunk },
	{ "prepared_stays", prepared_stays },
	{ "records_full", records_full },
	{ "many_records", many_records },
	{ "bad_entries", bad_entries },
	{ "bad_records", bad_records },
	{ "dies", dies },
	CU_TEST_INFO_NULL
} };
