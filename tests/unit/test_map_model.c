/* SPDX-License-Identifier: GPL-2.0-only */
/* test_map_model.c - maps of several volumes that share, against a naive model, with memory running out now and then.
 *
 * The model is an array: for each volume and each block the pool block it must be at. From it follow the chunks that
 * may be referred to at all; the counts themselves are counted again from all leaves, met once each.
 */
#include "suites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/map.h"
#include "page_store.h"
#include "space/chunks.h"

static const struct map_chunks_ops chunk_ops = { chunks_ref, chunks_unref, chunks_refs, chunks_exists };

#define VOLS 5
#define FIRST 10u		/* the pool's chunks: FIRST .. FIRST + POOL - 1 */
#define POOL 260u
#define SPOTS 21
#define PAGES 4096u

/* The chunks of a volume that are used: where entries, leaves and nodes begin and end. */
static const uint64_t spots[SPOTS] = { 0, 1, 2, 3, 4, 5, 6, 254, 255, 256, 257, 511, 512, 65534, 65535, 65536, 65537,
				       65791, 65792, 16777215, 16777216 };

struct world {
	struct rng rng;
	struct mapset ms;
	struct ptree map[VOLS];
	struct page_store *store;
	uint32_t blks;
	uint64_t model[VOLS][SPOTS][CHUNK_BLK_MAX];	/* pool block; 0: nowhere */
	uint32_t limbo[POOL];				/* chunks freed, not released */
	uint32_t nlimbo;
	uint64_t freed;
	/* What was met, so that the test knows what it tested. */
	uint64_t failures, frag_peak, records_shared, reloads, in_place, full, parts, diffs, exclusive;
};

static void on_freed(void *ctx, chunk_t k)
{
	struct world *w = ctx;

	CHECK(chunks_refs(w->ms.chunks, k) == 0);
	CHECK(w->nlimbo < POOL);
	for (uint32_t i = 0; i < w->nlimbo; i++)
		CHECK(w->limbo[i] != k.n);
	w->limbo[w->nlimbo++] = k.n;
	w->freed++;
}

static void on_retire(void *ctx, uint32_t page)
{
	page_store_retire(((struct world *)ctx)->store, page);
}

static void maps_open(struct world *w)
{
	struct chunks *chunks = chunks_new((chunk_t){ FIRST }, POOL);

	CHECK(chunks);
	CHECK(mapset_init(&w->ms, chunks, chunk_ops, w->blks) == 0);
	w->ms.chunk_freed = on_freed;
	w->ms.page_retire = on_retire;
	w->ms.ctx = w;
}

static void maps_close(struct world *w)
{
	struct chunks *chunks = w->ms.chunks;

	for (unsigned int v = 0; v < VOLS; v++)
		ptree_forget(&w->ms.env, &w->map[v]);
	mapset_fini(&w->ms);
	chunks_free(chunks);
}

static struct world *world_new(uint32_t blks)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->rng = unit_rng();
	w->blks = blks;
	w->store = page_store_new(PAGES);
	maps_open(w);
	return w;
}

static void world_free(struct world *w)
{
	maps_close(w);
	page_store_free(w->store);
	free(w);
}

static uint64_t below(struct world *w, uint64_t n)
{
	return rng_below(&w->rng, n);
}

static void limbo_release(struct world *w)
{
	while (w->nlimbo)
		chunks_release(w->ms.chunks, (chunk_t){ w->limbo[--w->nlimbo] });
}

static vblk_t vblk(const struct world *w, unsigned int spot, unsigned int b)
{
	return (vblk_t){ spots[spot] * w->blks + b };
}

static uint32_t chunk_of(const struct world *w, uint64_t p)
{
	return (uint32_t)(p / w->blks);
}

/* ------------------------------------------------------------------ the model */
/* -1: a chunk that is never used. */
static int spot_of(uint64_t chunk)
{
	for (unsigned int s = 0; s < SPOTS; s++)
		if (spots[s] == chunk)
			return (int)s;
	return -1;
}

static uint64_t model_find(const struct world *w, unsigned int vol, uint64_t v)
{
	int s = spot_of(v / w->blks);

	return s < 0 ? 0 : w->model[vol][s][v % w->blks];
}

/* Whether another chunk of another place has a block in this chunk: then nobody may write there in place. */
static bool model_elsewhere(const struct world *w, uint32_t k, unsigned int vol, unsigned int spot)
{
	for (unsigned int v = 0; v < VOLS; v++)
		for (unsigned int s = 0; s < SPOTS; s++)
			for (unsigned int b = 0; b < w->blks && (v != vol || s != spot); b++)
				if (w->model[v][s][b] && chunk_of(w, w->model[v][s][b]) == k)
					return true;
	return false;
}

static void model_needs(const struct world *w, bool needed[FIRST + POOL])
{
	for (unsigned int v = 0; v < VOLS; v++)
		for (unsigned int s = 0; s < SPOTS; s++)
			for (unsigned int b = 0; b < w->blks; b++)
				needed[chunk_of(w, w->model[v][s][b])] = true;
}

/* ------------------------------------------------------------------ counting from scratch */
struct census {
	const struct world *w;
	struct ptr_set met;
	uint64_t nodes, leaves, pages, dirty;
	uint32_t refs[FIRST + POOL];
	uint32_t *frag_refs;
};

static bool census_node(void *ctx, const struct pnode *node, uint8_t level, uint32_t page, uint32_t refs,
			uint64_t first, const void *data)
{
	struct census *c = ctx;
	const struct map_entry *e = data;

	(void)refs, (void)first;
	if (ptr_set_add(&c->met, node))
		return false;
	*(level ? &c->nodes : &c->leaves) += 1;
	*(page == PTREE_NO_PAGE ? &c->dirty : &c->pages) += 1;
	for (unsigned int i = 0; e && i < MAP_LEAF_ENTRIES; i++, e++) {
		uint32_t all = (uint32_t)((1ull << c->w->blks) - 1);

		CHECK(!(e->own_bits & e->base_bits) && !((e->own_bits | e->base_bits) & ~all));
		CHECK(!e->own == !e->own_bits && !e->base == !e->base_bits && (e->own || !e->base));
		CHECK(e->own != e->base || !e->own);
		if (e->own)
			c->refs[e->own]++;
		if (e->base & ENTRY_FRAG) {
			CHECK((e->base & ~ENTRY_FRAG) < c->w->ms.frag_leaves * (1024 / c->w->blks));
			c->frag_refs[e->base & ~ENTRY_FRAG]++;
		} else if (e->base) {
			c->refs[e->base]++;
		}
	}
	return true;
}

static bool plain_node(void *ctx, const struct pnode *node, uint8_t level, uint32_t page, uint32_t refs, uint64_t first,
		       const void *data)
{
	struct census *c = ctx;

	(void)node, (void)level, (void)first, (void)data;
	CHECK(refs == 1);
	*(page == PTREE_NO_PAGE ? &c->dirty : &c->pages) += 1;
	return true;
}

/* A record that is named refers once to each of its chunks. */
static void census_records(struct world *w, struct census *c)
{
	uint32_t each = 1024 / w->blks, live = 0, room = 0;

	for (uint32_t f = 0; f < w->ms.frag_leaves * each; f++) {
		const uint32_t *leaf = ptree_get(&w->ms.frags, f / each), *rec = leaf + f % each * w->blks;
		uint32_t distinct = 0;

		CHECK(c->frag_refs[f] == w->ms.frag_refs[f]);
		CHECK(leaf || !c->frag_refs[f]);
		room += leaf != NULL;
		live += c->frag_refs[f] > 0;
		w->records_shared += c->frag_refs[f] > 1;
		for (unsigned int b = 0, i; leaf && b < w->blks; b++) {
			CHECK(c->frag_refs[f] || !rec[b]);
			for (i = 0; i < b && rec[i] != rec[b]; i++)
				;
			if (rec[b] && i == b) {
				c->refs[rec[b]]++;
				distinct++;
			}
		}
		CHECK(!c->frag_refs[f] || distinct >= 2);
	}
	CHECK(room - live == w->ms.frag_free);
	w->frag_peak = MAX(w->frag_peak, live);
}

/* Each chunk's count is right, and a chunk that no block needs has none. */
static void check_counts(struct world *w)
{
	struct census c = { .w = w };
	bool needed[FIRST + POOL] = { false };
	uint32_t used = 0;

	c.frag_refs = calloc((size_t)w->ms.frag_leaves * (1024 / w->blks) + 1, sizeof(*c.frag_refs));
	CHECK(c.frag_refs);
	for (unsigned int v = 0; v < VOLS; v++)
		ptree_walk(&w->map[v], census_node, &c);
	CHECK(c.nodes == w->ms.env.nodes && c.leaves == w->ms.env.leaves && c.dirty == w->ms.env.dirty);
	ptree_walk(&w->ms.frags, plain_node, &c);
	CHECK(c.pages == w->store->nused);
	census_records(w, &c);
	model_needs(w, needed);
	for (uint32_t k = FIRST; k < FIRST + POOL; k++) {
		CHECK(chunks_refs(w->ms.chunks, (chunk_t){ k }) == c.refs[k]);
		CHECK(needed[k] == (c.refs[k] > 0));
		used += needed[k];
	}
	CHECK(chunks_limbo_count(w->ms.chunks) == w->nlimbo);
	CHECK(chunks_free_count(w->ms.chunks) + w->nlimbo + used == POOL);
	free(c.frag_refs);
	ptr_set_clear(&c.met);
}

static void check_blocks(struct world *w)
{
	for (unsigned int vol = 0; vol < VOLS; vol++) {
		uint64_t count = 0, next = UINT64_MAX;

		for (unsigned int s = SPOTS; s-- > 0;) {
			for (unsigned int b = w->blks; b-- > 0;) {
				vblk_t v = vblk(w, s, b);

				CHECK(map_find(&w->ms, &w->map[vol], v).n == w->model[vol][s][b]);
				count += w->model[vol][s][b] != 0;
				if (w->model[vol][s][b])
					next = v.n;
				if (b % 5 == 0)
					CHECK(map_next_mapped(&w->ms, &w->map[vol], v).n == next);
			}
		}
		CHECK(map_count(&w->ms, &w->map[vol]) == count);
	}
}

/* From one leaf to the next all that differs between two volumes, and nothing else. */
static void check_diff(struct world *w)
{
	unsigned int a = (unsigned int)below(w, VOLS), b = (unsigned int)below(w, VOLS);
	static const struct ptree nothing;
	bool empty = below(w, 8) == 0;
	uint64_t at = 0;

	for (unsigned int s = 0; s < SPOTS; s++) {
		for (unsigned int i = 0; i < w->blks; i++) {
			uint64_t was = empty ? 0 : w->model[a][s][i], is = w->model[b][s][i], len = 1;
			vblk_t v = vblk(w, s, i), found = { 0 };
			bool mapped = false;
			int rc;

			if (was == is || v.n < at)
				continue;
			do {	/* nothing is reported before v */
				rc = map_next_diff(&w->ms, empty ? &nothing : &w->map[a], &w->map[b], (vblk_t){ at },
						   &found, &len, &mapped);
				CHECK(rc != 0);
				at = rc < 0 ? found.n : at;
			} while (rc < 0);
			CHECK(found.n == v.n && len && mapped == (is != 0));
			for (uint64_t n = 1; n < len; n++) {
				was = empty ? 0 : model_find(w, a, v.n + n);
				is = model_find(w, b, v.n + n);
				CHECK(was != is && mapped == (is != 0));
			}
			at = v.n + len;
			w->diffs++;
		}
	}
	{
		vblk_t found = { at };
		uint64_t len;
		bool mapped;
		int rc = -EAGAIN;

		while (rc == -EAGAIN)
			rc = map_next_diff(&w->ms, empty ? &nothing : &w->map[a], &w->map[b], found, &found, &len,
					   &mapped);
		CHECK(rc == 0);
	}
}

/* What clearing a volume gives back is what was called exclusive; at least, if it names a chunk in several places. */
static void do_clear_counted(struct world *w)
{
	unsigned int vol = (unsigned int)below(w, VOLS);
	uint64_t blocks = 0, chunks = 0, before = w->freed, leaf = 0, mapped = map_count(&w->ms, &w->map[vol]);
	unsigned int level;

	while ((leaf = ptree_next_exclusive(&w->map[vol], leaf)) != UINT64_MAX)
		map_count_exclusive(&w->ms, &w->map[vol], leaf++, &blocks, &chunks);
	CHECK(blocks <= mapped && chunks * w->blks >= blocks);
	while (ptree_first_part(&w->map[vol], &leaf, &level)) {
		CHECK(map_drop_part(&w->ms, &w->map[vol], leaf, level) == 0);
		for (unsigned int s = 0; s < SPOTS; s++)
			if (spots[s] / MAP_LEAF_ENTRIES >> (8 * level) == leaf >> (8 * level))
				memset(w->model[vol][s], 0, sizeof(w->model[0][0]));
		check_blocks(w);
		w->parts += level > 0;
	}
	CHECK(w->freed - before >= chunks);
	CHECK(!w->map[vol].root);
	w->exclusive += chunks;
}

static void check_world(struct world *w)
{
	check_blocks(w);
	check_counts(w);
}

static void check_run(struct world *w)
{
	unsigned int vol = (unsigned int)below(w, VOLS);
	uint64_t v = vblk(w, (unsigned int)below(w, SPOTS), (unsigned int)below(w, w->blks)).n;
	uint64_t max = 1 + below(w, below(w, 8) ? 4 * w->blks : 300ull * w->blks), first, got, back, len = 1;
	pblk_t p = { 77 };

	back = below(w, 3) * w->blks;
	v -= MIN(v, back);
	first = model_find(w, vol, v);
	while (len < max && model_find(w, vol, v + len) == (first ? first + len : 0))
		len++;
	got = map_find_run(&w->ms, &w->map[vol], (vblk_t){ v }, max, &p);
	CHECK(p.n == first);
	CHECK(got == len);
}

/* ------------------------------------------------------------------ what is done to the volumes */
/* Runs an operation with the first, second, ... allocation failing, until it succeeds; each failure must have changed
 * nothing. Without `fail` it must succeed at once. */
static void must(struct world *w, bool fail, int (*op)(struct world *w, const void *how), const void *how)
{
	unsigned long n = 0;
	int rc;

	do {
		mem_fail_at(fail ? ++n : 0);
		rc = op(w, how);
		mem_fail_at(0);
		CHECK(rc == 0 || (fail && rc == -ENOMEM && n < 100));
		if (rc) {
			w->failures++;
			check_world(w);
		}
	} while (rc);
}

struct block_op {
	unsigned int vol, spot, b, count;
	uint64_t p;
	unsigned int from_vol, from_spot;
};

static int op_set(struct world *w, const void *how)
{
	const struct block_op *o = how;

	return map_set(&w->ms, &w->map[o->vol], vblk(w, o->spot, o->b), (pblk_t){ o->p });
}

static int op_unset(struct world *w, const void *how)
{
	const struct block_op *o = how;

	return map_unset(&w->ms, &w->map[o->vol], vblk(w, o->spot, o->b), o->count);
}

static int op_drop(struct world *w, const void *how)
{
	const struct block_op *o = how;

	return map_drop_part(&w->ms, &w->map[o->vol], spots[o->spot] / MAP_LEAF_ENTRIES >> (8 * o->count)
						     << (8 * o->count), o->count);
}

static int op_share(struct world *w, const void *how)
{
	const struct block_op *o = how;

	return map_share_chunk(&w->ms, &w->map[o->vol], vblk(w, o->spot, 0), &w->map[o->from_vol],
			       vblk(w, o->from_spot, 0));
}

static int op_prepare(struct world *w, const void *how)
{
	const struct block_op *o = how;

	return map_prepare(&w->ms, &w->map[o->vol], vblk(w, o->spot, o->b));
}

static struct block_op any_blocks(struct world *w)
{
	struct block_op o = { .vol = (unsigned int)below(w, VOLS), .spot = (unsigned int)below(w, SPOTS) };

	o.from_vol = (unsigned int)below(w, VOLS);
	o.from_spot = (unsigned int)below(w, SPOTS);
	o.b = (unsigned int)below(w, w->blks);
	o.count = 1 + (unsigned int)below(w, below(w, 2) ? 3 : w->blks);
	o.count = MIN(o.count, w->blks - o.b);
	return o;
}

/* The chunk to write to, as the engine finds it; CHUNK_NONE when the pool is full. */
static chunk_t chunk_to_write(struct world *w, const struct block_op *o, bool *ret_taken)
{
	chunk_t k = map_writable(&w->ms, &w->map[o->vol], vblk(w, o->spot, o->b)), near;

	*ret_taken = !k.n;
	if (k.n) {
		CHECK(chunks_refs(w->ms.chunks, k) == 1 && !model_elsewhere(w, k.n, o->vol, o->spot));
		w->in_place++;
		return k;
	}
	near = map_near(&w->ms, &w->map[o->vol], vblk(w, o->spot, o->b));
	CHECK(!near.n || chunks_exists(w->ms.chunks, near));
	k = chunks_take(w->ms.chunks, near);
	w->full += !k.n;
	return k;
}

/* A write of a few blocks of one chunk. Prepared, it cannot fail, whatever is prepared or set beside it. */
static void do_write(struct world *w, bool fail)
{
	struct block_op o = any_blocks(w), other = any_blocks(w);
	bool taken, prepare = below(w, 4) == 0;
	chunk_t k;

	if (prepare) {
		must(w, fail, op_prepare, &o);
		must(w, fail, op_prepare, &other);
	}
	k = chunk_to_write(w, &o, &taken);
	if (!k.n)
		return;
	for (unsigned int end = o.b + o.count; o.b < end; o.b++) {
		o.p = (uint64_t)k.n * w->blks + o.b;
		if (prepare) {
			mem_fail_at(1);
			CHECK(op_set(w, &o) == 0);
			mem_fail_at(0);
		} else if (taken && fail && o.b + o.count == end) {
			/* A chunk that is taken is not in any map: check_world would miss it. */
			mem_fail_at(1 + below(w, 4));
			if (op_set(w, &o)) {
				mem_fail_at(0);
				chunks_release(w->ms.chunks, k);
				check_world(w);
				w->failures++;
				return;
			}
			mem_fail_at(0);
		} else {
			must(w, fail, op_set, &o);
		}
		w->model[o.vol][o.spot][o.b] = o.p;
	}
}

/* A block comes to be in any chunk that is in use (as after a replay of the log). */
static void do_alias(struct world *w, bool fail)
{
	struct block_op o = any_blocks(w);
	uint64_t p = w->model[o.from_vol][o.from_spot][below(w, w->blks)];
	chunk_t k;

	if (!p)
		return;
	o.p = (uint64_t)chunk_of(w, p) * w->blks + o.b;
	must(w, fail, op_set, &o);
	w->model[o.vol][o.spot][o.b] = o.p;
	k = map_writable(&w->ms, &w->map[o.vol], vblk(w, o.spot, o.b));
	CHECK(!k.n || !model_elsewhere(w, k.n, o.vol, o.spot));
}

static void do_unset(struct world *w, bool fail)
{
	struct block_op o = any_blocks(w);

	if (below(w, 3) == 0) {
		o.b = 0;
		o.count = w->blks;
	}
	must(w, fail, op_unset, &o);
	memset(&w->model[o.vol][o.spot][o.b], 0, o.count * sizeof(o.p));
}

static void do_share_chunk(struct world *w, bool fail)
{
	struct block_op o = any_blocks(w);

	must(w, fail, op_share, &o);
	memmove(w->model[o.vol][o.spot], w->model[o.from_vol][o.from_spot], sizeof(w->model[0][0]));
}

static void do_snapshot(struct world *w)
{
	struct block_op o = any_blocks(w);

	if (o.vol == o.from_vol)
		return;
	ptree_clear(&w->ms.env, &w->map[o.vol]);
	ptree_share(&w->map[o.vol], &w->map[o.from_vol]);
	memcpy(w->model[o.vol], w->model[o.from_vol], sizeof(w->model[0]));
}

static void do_clear(struct world *w)
{
	struct block_op o = any_blocks(w);

	ptree_clear(&w->ms.env, &w->map[o.vol]);
	memset(w->model[o.vol], 0, sizeof(w->model[0]));
}

static void do_drop(struct world *w, bool fail)
{
	struct block_op o = any_blocks(w);

	o.count = below(w, 3) ? 0 : (unsigned int)below(w, 4);		/* the part's level */
	must(w, fail, op_drop, &o);
	for (unsigned int s = 0; s < SPOTS; s++)
		if (spots[s] / MAP_LEAF_ENTRIES >> (8 * o.count) == spots[o.spot] / MAP_LEAF_ENTRIES >> (8 * o.count))
			memset(w->model[o.vol][s], 0, sizeof(w->model[0][0]));
}

/* Saves all, closes, and opens again from the pages. */
static void do_reload(struct world *w)
{
	struct page_ptr at[VOLS + 1];
	uint8_t levels[VOLS + 1];
	struct ptree_load how;
	struct ptr_set counted = { .at = NULL };
	const char *why = NULL;
	int rc;

	for (unsigned int v = 0; v <= VOLS; v++) {
		struct ptree *t = v < VOLS ? &w->map[v] : &w->ms.frags;

		w->store->room = PAGES;
		CHECK(ptree_save(v < VOLS ? &w->ms.env : &w->ms.plain, t, page_store_put, w->store, &at[v]) == 0);
		levels[v] = t->levels;
	}
	maps_close(w);
	w->nlimbo = 0;
	maps_open(w);
	how = page_store_loader(w->store);
	CHECK(ptree_load(&w->ms.plain, &w->ms.frags, levels[VOLS], at[VOLS], &how) == 0);
	for (unsigned int v = 0; v < VOLS; v++)
		CHECK(ptree_load(&w->ms.env, &w->map[v], levels[v], at[v], &how) == 0);
	/* Out of memory, nothing was counted: again. */
	mem_fail_at(1 + below(w, 3));
	rc = map_count_refs(&w->ms, &w->map[0], ptr_set_add, &counted, &why);
	mem_fail_at(0);
	CHECK(rc == 0 || (rc == -ENOMEM && !counted.count));
	for (unsigned int v = rc ? 0 : 1; v < VOLS; v++)
		CHECK(map_count_refs(&w->ms, &w->map[v], ptr_set_add, &counted, &why) == 0);
	ptr_set_clear(&counted);
	w->reloads++;
	check_world(w);
}

static void world_step(struct world *w)
{
	uint64_t dice = below(w, 10000);
	bool fail = below(w, 16) == 0;

	if (dice < 5500)
		do_write(w, fail);
	else if (dice < 6500)
		do_alias(w, fail);
	else if (dice < 8600)
		do_unset(w, fail);
	else if (dice < 9300)
		do_share_chunk(w, fail);
	else if (dice < 9650)
		do_snapshot(w);
	else if (dice < 9700)
		do_drop(w, fail);
	else if (dice < 9710)
		do_clear(w);
	else if (dice < 9720)
		do_clear_counted(w);
	else if (dice < 9750)
		do_reload(w);
	else if (dice < 9900)
		check_world(w);
	else
		limbo_release(w);
	check_run(w);
	if (below(w, 16) == 0)
		check_diff(w);
	if (chunks_free_count(w->ms.chunks) < 5 && below(w, 8))
		limbo_release(w);
}

static void random_world(uint32_t blks, uint64_t steps)
{
	struct world *w = world_new(blks);

	for (unit_step = 0; unit_step < steps; unit_step++)
		world_step(w);
	check_world(w);
	CU_ASSERT(w->failures > 100 && w->frag_peak > 30 && w->records_shared > 1000 && w->reloads > 10);
	CU_ASSERT(w->in_place > 1000 && w->freed > 1000 && w->parts > 10 && w->diffs > 10000 && w->exclusive > 100);
	for (unsigned int v = 0; v < VOLS; v++) {
		ptree_clear(&w->ms.env, &w->map[v]);
		memset(w->model[v], 0, sizeof(w->model[v]));
		check_world(w);
	}
	limbo_release(w);
	CU_ASSERT_EQUAL(chunks_free_count(w->ms.chunks), POOL);
	CU_ASSERT_EQUAL(w->ms.env.nodes + w->ms.env.leaves, 0);
	world_free(w);
}

static void random16(void)
{
	random_world(16, 150000);
}

static void random32(void)
{
	random_world(32, 100000);
}

const struct hb_suite suite_map_model = { "map_model", (CU_TestInfo[]){
	{ "random16", random16 },
	{ "random32", random32 },
	CU_TEST_INFO_NULL
} };
