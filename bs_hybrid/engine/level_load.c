/* SPDX-License-Identifier: GPL-2.0-only */
/* level_load.c - cache levels at open: the table at once, the footers in the background, newest segments first, so that
 * the first request does not wait for a terabyte of index.
 *
 * A slot is entered if the table says that it counts, and nothing has superseded its block since the table was true
 * (L4). That is remembered by block, and is in every checkpoint until all is loaded, since the tables that these
 * checkpoints write repeat what was found for segments not loaded yet.
 */
#include <stdlib.h>

#include "engine/pool.h"

#define TOUCH_PER_LEAF (BLK_BYTES * 8u) /* blocks */
#define TABLE_WINDOW 64u /* pages of one read */

/* ---------------------------------------------------------------- what was superseded */

static void give_up_loading(struct hb_pool *p)
{
	for (uint32_t i = 0; i < p->nlevels; i++) {
		struct level *l = &p->levels[i];

		l->loader.at = l->loader.n;
		if (l->stale)
			memset(l->stale, 3, l->sb.meta_pages);
	}
	p->touch_failed = true;
}

void level_touch(struct hb_pool *p, pblk_t b)
{
	uint64_t at = b.n / TOUCH_PER_LEAF;
	uint8_t *leaf = NULL;

	if (!p->touching || p->touch_failed || BUG(LEVEL_TOUCH_LOST))
		return;
	if (ptree_get(&p->touched, at) || meta_room(p, META_SPARE_WRITE))
		leaf = ptree_change(&p->maps.plain, &p->touched, at);
	if (!leaf) {
		pool_log(p, HB_LOG_WARN,
			 "no memory or no room for metadata: the rest of the cache levels is not loaded");
		give_up_loading(p);
		return;
	}
	leaf[b.n % TOUCH_PER_LEAF / 8] |= (uint8_t)(1u << b.n % 8);
}

bool level_touched(const struct hb_pool *p, pblk_t b)
{
	const uint8_t *leaf = ptree_get(&p->touched, b.n / TOUCH_PER_LEAF);

	return p->touch_failed || (leaf && leaf[b.n % TOUCH_PER_LEAF / 8] & 1u << b.n % 8);
}

/* ---------------------------------------------------------------- the table as found */

static uint8_t *found_page(const struct level *l, segno_t seg)
{
	return l->load_table + (size_t)(seg.n / LEVELTAB_PER_PAGE) * BLK_BYTES;
}

void level_load_entry(const struct level *l, segno_t seg, struct leveltab_entry *ret)
{
	leveltab_get(found_page(l, seg), seg.n % LEVELTAB_PER_PAGE, ret);
}

bool level_unloaded(const struct level *l, segno_t seg)
{
	const struct seg *g = &l->segs.v[seg.n];
	struct leveltab_entry e;

	if (!l->load_table || l->pool->touch_failed || g->state != SEG_SEALED)
		return false;
	level_load_entry(l, seg, &e);
	return e.seq && e.seq == g->seq;
}

static void forget_entry(struct level *l, segno_t seg)
{
	static const struct leveltab_entry none;

	leveltab_put(found_page(l, seg), seg.n % LEVELTAB_PER_PAGE, &none);
	level_changed(l, seg);
}

static int newest_first(const void *a, const void *b, void *ctx)
{
	const struct level *l = ctx;
	uint64_t x = l->segs.v[*(const uint32_t *)a].seq, y = l->segs.v[*(const uint32_t *)b].seq;

	return x > y ? -1 : x < y;
}

static bool wanted(void *ctx, uint32_t seg);
static void enter(void *ctx, uint32_t seg, uint64_t seq, const struct footer_slot *slots, int error);

/* Segments that the table names exist, full of what is not known yet. */
static int take_table(struct level *l)
{
	uint32_t max_used = l->sb.seg_blk - footer_blk(l->sb.seg_blk);

	l->loader = (struct loader){.dev = l->dev,
				    .ctx = l,
				    .seg_blk = l->sb.seg_blk,
				    .shift_blk = l->shift_blk,
				    .wanted = wanted,
				    .enter = enter};
	memcpy(l->loader.pool_uuid, l->sb.pool_uuid, 16);
	if (loader_init(&l->loader, l->segs.nsegs))
		return -ENOMEM;
	for (uint32_t no = 1; no <= l->segs.nsegs; no++) {
		struct seg *g = &l->segs.v[no];
		struct leveltab_entry e;

		level_load_entry(l, (segno_t){no}, &e);
		if (!e.seq || e.used_blk > max_used)
			continue;
		g->state = SEG_SEALED;
		g->seq = e.seq;
		g->used = e.used_blk;
		l->segs.nfree--;
		l->loader.order[l->loader.n++] = no;
	}
	qsort_r(l->loader.order, l->loader.n, sizeof(*l->loader.order), newest_first, l);
	for (uint32_t i = l->loader.n; i--;)
		list_push(&l->segs.sealed, &l->segs.v[l->loader.order[i]].fifo);
	return 0;
}

static int read_pages(struct level *l, unsigned copy, uint64_t first_blk)
{
	struct hb_pool *p = l->pool;
	uint32_t *crcs = l->page_crc + copy * l->sb.meta_pages;

	for (uint32_t at = 0; at < l->sb.meta_pages; at += TABLE_WINDOW) {
		uint32_t n = MIN(TABLE_WINDOW, l->sb.meta_pages - at);
		uint8_t *to = l->load_table + (size_t)at * BLK_BYTES;
		int rc = sync_io(&p->env, l->dev, DEV_READ, first_blk + at, to, n);

		if (rc)
			return rc;
		for (uint32_t i = 0; i < n; i++) {
			crcs[at + i] = leveltab_crc(to + (size_t)i * BLK_BYTES);
			if (leveltab_check(to + (size_t)i * BLK_BYTES, at + i))
				memset(to + (size_t)i * BLK_BYTES, 0, BLK_BYTES);
		}
	}
	return 0;
}

/* The copy of the table that belongs to the pool's root. 1: there is one, 0: none, or -errno. */
static int find_table(struct level *l, struct leveltab_head *h)
{
	struct hb_pool *p = l->pool;
	unsigned copy = p->sb.ckpt_seq % 2;
	uint64_t at = l->sb.meta_start_blk + copy * (l->sb.meta_pages + 1ull);
	uint8_t *block = mem_alloc(BLK_BYTES);
	int rc = block ? sync_io(&p->env, l->dev, DEV_READ, at, block, 1) : -ENOMEM;

	if (!rc && !leveltab_head_decode(h, block) && h->pages == l->sb.meta_pages &&
	    !memcmp(h->pool_uuid, p->sb.pool_uuid, 16) && !memcmp(h->dev_uuid, l->sb.dev_uuid, 16) &&
	    ((h->ckpt_seq == p->sb.ckpt_seq && h->nonce == p->sb.ckpt_nonce) || BUG(LEVEL_STALE_TABLE)))
		rc = 1;
	mem_free(block);
	if (rc != 1)
		return rc;
	l->load_table = mem_map((size_t)l->sb.meta_pages * BLK_BYTES);
	if (!l->load_table)
		return -ENOMEM;
	rc = read_pages(l, copy, at + 1);
	if (rc)
		return rc;
	if (leveltab_vouch(l->page_crc + copy * l->sb.meta_pages, l->sb.meta_pages) == h->pages_crc ||
	    BUG(LEVEL_PAGES_UNVOUCHED))
		return 1;
	mem_unmap(l->load_table, (size_t)l->sb.meta_pages * BLK_BYTES);
	l->load_table = NULL;
	return 0;
}

/* ---------------------------------------------------------------- opening */

static int memory(struct level *l)
{
	int rc = segs_init(&l->segs, l->sb.nsegs, l->sb.seg_blk);

	l->idx = idx_new((l->sb.nsegs + 1) * l->sb.seg_blk);
	l->stale = mem_alloc(l->sb.meta_pages);
	l->page_crc = mem_calloc(2 * (size_t)l->sb.meta_pages, sizeof(*l->page_crc));
	l->save_mem = mem_alloc_aligned(LEVEL_SAVE_PAGES * BLK_BYTES);
	if (rc || !l->idx || !l->stale || !l->page_crc || !l->save_mem || image_init(&l->image, l->sb.seg_blk))
		return -ENOMEM;
	memset(l->stale, 3, l->sb.meta_pages);
	for (uint32_t i = 0; i < LEVEL_BUFS; i++) {
		l->bufs[i].l = l;
		l->bufs[i].mem = mem_map((size_t)l->sb.seg_blk * BLK_BYTES);
		if (!l->bufs[i].mem)
			return -ENOMEM;
	}
	return 0;
}

int level_start(struct hb_pool *p, unsigned no, struct dev *dev, const struct super *sb)
{
	struct level *l = &p->levels[no - 1];
	struct leveltab_head h = {0};
	int rc;

	*l = (struct level){.pool = p, .dev = dev, .no = no, .sb = *sb, .next_seq = 1};
	l->shift_blk =
		ROUND_UP(sb->meta_start_blk + 2 * (sb->meta_pages + 1ull), (uint64_t)sb->seg_blk) - sb->seg_blk;
	dev->timeout_ns = MIN(dev->timeout_ns, LEVEL_TIMEOUT_NS);
	rc = memory(l);
	if (!rc)
		rc = find_table(l, &h);
	if (rc == 1) {
		l->next_seq = h.next_seq + l->segs.nsegs;
		memset(l->stale, 1 << !(p->sb.ckpt_seq % 2), sb->meta_pages);
		rc = take_table(l);
		p->touching |= l->loader.n > 0;
		if (!l->loader.n) {
			mem_unmap(l->load_table, (size_t)l->sb.meta_pages * BLK_BYTES);
			l->load_table = NULL;
		}
	}
	if (rc == -ENOMEM)
		return rc;
	l->state = LEVEL_ON;
	l->load_start_ns = pool_now(p);
	if (rc)
		level_out(l, "its table cannot be read");
	else if (!l->loader.n)
		pool_log(p, HB_LOG_INFO, "cache level %u (%s) is empty", no, dev->name);
	return 0;
}

static int level_super(struct hb_pool *p, struct dev *dev, struct super *ret, struct err *err)
{
	int mend, rc = super_read(&p->env, dev, ret, &mend, err);

	if (rc)
		return rc;
	if (ret->role != HB_ROLE_CACHE)
		return err_set(err, -EXDEV, "it is no cache level's device");
	if (memcmp(ret->pool_uuid, p->sb.pool_uuid, 16))
		return err_set(err, -EXDEV, "it belongs to pool %s (another one)", ret->name);
	return 0;
}

int level_open_all(struct hb_pool *p, struct dev *const devs[], uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct level *l = &p->levels[p->nlevels];
		struct err why = ERR_INIT;
		struct super sb;
		int rc = level_super(p, devs[i], &sb, &why);

		if (!rc)
			rc = level_start(p, p->nlevels + 1, devs[i], &sb);
		if (rc == -ENOMEM)
			return rc;
		if (rc) {
			*l = (struct level){.pool = p, .dev = devs[i], .no = p->nlevels + 1, .state = LEVEL_OUT};
			pool_log(p, HB_LOG_WARN, "cache level %u (%s) is left out: %s", l->no, devs[i]->name, why.text);
		}
		p->nlevels++;
	}
	return 0;
}

int hb_level_add(struct hb_pool *p, struct dev *dev, struct err *err)
{
	struct super sb = p->sb;
	uint32_t i = 0;
	int rc;

	if (p->read_only || p->failed)
		return err_set(err, p->failed ? -EIO : -EROFS, "pool %s takes no changes", p->sb.name);
	while (i < p->nlevels && p->levels[i].state != LEVEL_NONE)
		i++;
	if (i == HB_LEVELS_MAX)
		return err_set(err, -ENOSPC, "pool %s has %u cache levels already", p->sb.name, i);
	rc = level_format(&p->env, &sb, dev, 0, err);
	if (rc)
		return rc;
	rc = level_start(p, i + 1, dev, &sb);
	if (rc) {
		p->levels[i].dev = NULL;
		level_fini(&p->levels[i]);
		return err_set(err, rc, "out of memory");
	}
	p->nlevels = MAX(p->nlevels, i + 1);
	dev->edge_events = p->cap->edge_events;
	return 0;
}

static const uint8_t no_super[BLK_BYTES];

int hb_level_remove(struct hb_pool *p, unsigned no, struct err *err)
{
	struct level *l = no && no <= p->nlevels ? &p->levels[no - 1] : NULL;

	if (!l || l->state == LEVEL_NONE || l->leaving)
		return err_set(err, -ENOENT, "pool %s has no cache level %u", p->sb.name, no);
	/* It is not to come back by itself; if that cannot be written, never mind. */
	if (l->state == LEVEL_ON && !l->dev->failed && l->sb.size_blk) {
		if (!sync_io(&p->env, l->dev, DEV_WRITE, SUPER_A, (void *)no_super, 1) &&
		    !sync_io(&p->env, l->dev, DEV_WRITE, SUPER_B, (void *)no_super, 1))
			sync_io(&p->env, l->dev, DEV_FLUSH, 0, NULL, 0);
	}
	level_out(l, "it was removed");
	l->leaving = true;
	p->due = true;
	return 0;
}

/* A level that leaves, and that nothing is in flight of, is gone. The others keep their numbers. */
bool level_leave(struct hb_pool *p)
{
	for (uint32_t i = 0; i < p->nlevels; i++) {
		struct level *l = &p->levels[i];

		if (!l->leaving || l->dev->inflight)
			continue;
		level_fini(l); /* LEVEL_NONE */
		return true;
	}
	return false;
}

void level_fini(struct level *l)
{
	bool busy = l->dev && (l->dev->inflight || l->dev->orphans);

	for (uint32_t i = 0; i < LEVEL_BUFS && !busy; i++)
		if (l->bufs[i].mem)
			mem_unmap(l->bufs[i].mem, (size_t)l->sb.seg_blk * BLK_BYTES);
	if (!busy)
		mem_free(l->save_mem);
	image_fini(&l->image);
	if (l->load_table)
		mem_unmap(l->load_table, (size_t)l->sb.meta_pages * BLK_BYTES);
	loader_fini(&l->loader);
	mem_free(l->stale);
	mem_free(l->page_crc);
	segs_fini(&l->segs);
	idx_free(l->idx);
	dev_close(l->dev);
	*l = (struct level){0};
}

/* ---------------------------------------------------------------- in the background */

static bool wanted(void *ctx, uint32_t seg)
{
	struct level *l = ctx;

	return l->state == LEVEL_ON && level_unloaded(l, (segno_t){seg});
}

static void enter(void *ctx, uint32_t seg, uint64_t seq, const struct footer_slot *slots, int error)
{
	struct level *l = ctx;
	struct hb_pool *p = l->pool;
	segno_t no = {seg};
	struct seg *g = segs_at(&l->segs, no);
	struct leveltab_entry e;

	level_read_ended(l, 1, error);
	level_load_entry(l, no, &e);
	forget_entry(l, no);
	for (uint32_t i = 0; slots && seq == g->seq && i < g->used; i++) {
		slot_t s = {no.n * l->sb.seg_blk + i}, other;
		pblk_t b = {slots[i].pblk};

		load_ahead(p, l->idx, slots, i, g->used);
		if (!(e.live[i / 8] & 1u << i % 8) || !pblk_ok(p, b.n) || !chunks_refs(p->chunks, chunk_of(p, b)) ||
		    level_touched(p, b) || idx_find(p->idx, b).n || level_find(p, b, &other))
			continue;
		idx_put(l->idx, s, b, slots[i].crc, SLOT_CLEAN);
		idx_set_earned(l->idx, s, true);
		g->live++;
	}
}

static void loaded(struct level *l)
{
	struct hb_pool *p = l->pool;

	mem_unmap(l->load_table, (size_t)l->sb.meta_pages * BLK_BYTES);
	l->load_table = NULL;
	loader_fini(&l->loader);
	if (l->state == LEVEL_ON)
		pool_log(p, HB_LOG_INFO, "cache level %u (%s) holds %llu MiB, loaded in %llu ms", l->no, l->dev->name,
			 (unsigned long long)(idx_count(l->idx, SLOT_CLEAN) * BLK_BYTES / MIB(1)),
			 (unsigned long long)((pool_now(p) - l->load_start_ns) / MSEC_NS));
}

bool level_load_pump(struct hb_pool *p)
{
	bool did = false, any = false;

	if (!p->touching || p->closing)
		return false;
	did = load_pump(p);
	any = p->loading;
	for (uint32_t i = 0; i < p->nlevels; i++) {
		struct level *l = &p->levels[i];

		if (l->load_table) {
			did |= loader_pump(&l->loader);
			if (loader_done(&l->loader))
				loaded(l);
		}
		any |= l->load_table != NULL;
	}
	if (!any) { /* the tables are true again */
		p->touching = false;
		ptree_clear(&p->maps.plain, &p->touched);
	}
	return did || !any;
}
