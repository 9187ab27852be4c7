/* SPDX-License-Identifier: GPL-2.0-only */
/* checkpoint.c - the changed pages of all trees, then a new root.
 *
 * START (one turn): the open unit is closed, so that "everything up to unit t" is a place in the log; every dirty
 * page is copied out and given a fresh place. Then, while requests go on:
 *   PAGES   the pages are written, and unit t becomes durable; cache levels save their tables
 *   FLUSH1  the capacity device is flushed
 *   ROOT_A  superblock A is written; FLUSH_A: flushed
 *   ROOT_B  superblock B is written, the same; FLUSH_B: flushed; only now are the pages of the former root free, and
 *   the
 *           log before t
 *
 * Crash stories
 * - A root before t is durable (P1): power fails, and the map names blocks whose data never reached the log: a
 *   reader would get whatever the chunk held before.
 * - A root before its pages are: the tree has holes full of old pages.
 * - Pages or segments reused before FLUSH_B: power fails while A is written, B still has the former root, and that
 *   leads to overwritten pages, or to a log that is no longer there. Writing the same root twice before anything is
 *   reused also means that one damaged copy costs nothing at any time.
 */
#include "engine/pool.h"
#include "format/volrec.h"

#define CKPT_RETRY_NS (5 * SEC_NS)
#define CKPT_TRIES 20 /* of writing what a checkpoint writes */
#define CKPT_TRY_NS SEC_NS

static void free_blocks(struct ckpt *c, bool leak)
{
	while (c->blocks) {
		struct ckpt_block *b = c->blocks;

		c->blocks = b->next;
		if (!leak) {
			mem_free(b->mem);
			mem_free(b);
		}
	}
}

void ckpt_fini(struct hb_pool *p)
{
	free_blocks(&p->ck, p->ck.writes != 0);
	mem_free(p->ck.root_mem);
}

/* A page is copied out and gets its place. */
static uint32_t put_page(void *ctx, const void *data, uint32_t crc)
{
	struct hb_pool *p = ctx;
	struct ckpt *c = &p->ck;
	struct ckpt_block *b = c->blocks;
	uint32_t page;

	(void)crc;
	if (!b || b->n == ARRAY_LEN(b->page)) {
		c->nomem = true;
		b = mem_alloc(sizeof(*b));
		if (!b)
			return PTREE_NO_PAGE;
		b->mem = mem_alloc_aligned(ARRAY_LEN(b->page) * BLK_BYTES);
		if (!b->mem) {
			mem_free(b);
			return PTREE_NO_PAGE;
		}
		c->nomem = false;
		b->n = 0;
		b->pool = p;
		b->tries = 0;
		b->next = c->blocks;
		c->blocks = b;
	}
	page = pages_take(p->pages);
	if (page == PAGE_NONE)
		return PTREE_NO_PAGE;
	memcpy(b->mem + (uint64_t)b->n * BLK_BYTES, data, BLK_BYTES);
	b->page[b->n++] = page;
	return page;
}

static int save_segment(struct hb_pool *p, uint32_t no)
{
	struct seg *g = &p->segs.v[no];
	uint8_t *leaf = ptree_change(&p->maps.plain, &p->seg_tree, no / SEGREC_PER_PAGE);
	struct segrec r = {0};

	if (!leaf)
		return -ENOMEM;
	if (g->state == SEG_OPEN || g->state == SEG_SEALED) {
		r.seg_seq = g->seq;
		r.used_blk = g->used;
		for (uint32_t i = 0; i < g->used; i++)
			segrec_set(&r, i, idx_state(p->idx, (slot_t){no * p->sb.seg_blk + i}));
	}
	segrec_encode(&r, leaf + no % SEGREC_PER_PAGE * SEGREC_BYTES);
	g->changed = false;
	return 0;
}

static int save_trees(struct hb_pool *p, struct super *next)
{
	struct ptree *const trees[] = {&p->vol_tree, &p->seg_tree, &p->maps.frags, &p->touched};
	static const enum super_tree which[] = {TREE_VOLUMES, TREE_SEGMENTS, TREE_FRAGS, TREE_TOUCHED};
	int rc;

	for (uint32_t i = 1; i <= p->segs.nsegs; i++) {
		if (!p->segs.v[i].changed || (BUG(STALE_SEGMENT_BITS) && p->segs.v[i].state == SEG_SEALED && i % 2))
			continue;
		rc = save_segment(p, i);
		if (rc)
			return rc;
	}
	rc = vol_save_all(p, put_page, p);
	for (int i = 0; !rc && i < TREE_COUNT; i++) {
		struct page_ptr root = {PTREE_NO_PAGE, 0};

		rc = ptree_save(&p->maps.plain, trees[i], put_page, p, &root);
		next->roots[which[i]] = (struct super_root){root.page, root.crc, trees[i]->levels};
	}
	next->meta_high = pages_high(p->pages);
	return rc;
}

static void page_written(struct dev_io *io)
{
	struct ckpt_block *b = io->owner;
	struct hb_pool *p = b->pool;

	if (io->error)
		p->ck.error = io->error;
	p->ck.late |= io->error == -ETIMEDOUT;
	p->ck.writes--;
}

/* Neighbouring pages in one write. */
static void write_block(struct hb_pool *p, struct ckpt_block *b)
{
	uint32_t i = 0;

	while (i < b->n) {
		uint32_t n = 1;

		while (i + n < b->n && b->page[i + n] == b->page[i] + n)
			n++;
		b->iov[i] = (struct iovec){b->mem + (uint64_t)i * BLK_BYTES, (size_t)n * BLK_BYTES};
		b->io[i] = (struct dev_io){.op = DEV_WRITE,
					   .iov = &b->iov[i],
					   .niov = 1,
					   .done = page_written,
					   .owner = b,
					   .off_bytes = (p->sb.meta_start_blk + b->page[i]) * BLK_BYTES,
					   .len_bytes = (uint64_t)n * BLK_BYTES};
		p->ck.writes++;
		dev_queue(p->cap, &b->io[i]);
		i += n;
	}
}

/* ---------------------------------------------------------------- growing
 * Crash story: a chunk behind the old end is used, power fails before a root says that it exists, and replay meets a
 * block that cannot be. So the root goes first, and the chunks become free when it is durable. */
static void grow_root(struct super *s, uint64_t size_blk)
{
	s->size_blk = s->devs[s->index].size_blk = size_blk;
	s->nchunks = (uint32_t)MIN(size_blk / s->chunk_blk - s->first_chunk, INT32_MAX - (uint64_t)s->first_chunk);
}

int hb_pool_grow(struct hb_pool *p, struct err *err)
{
	struct super next = p->sb;
	uint64_t blk;
	int rc;

	if (p->read_only || p->failed)
		return err_set(err, p->failed ? -EIO : -EROFS, "pool %s takes no changes", p->sb.name);
	rc = dev_rescan(p->cap);
	if (rc)
		return err_set(err, rc, "%s: %s", p->cap->name, strerror(-rc));
	blk = MIN(p->cap->geom.size_bytes / BLK_BYTES, PBLK_MAX);
	if (blk <= MAX(p->sb.size_blk, p->ck.grow_blk))
		return 1;
	grow_root(&next, blk);
	if (chunks_reserve(p->chunks, next.nchunks))
		return err_set(err, -ENOMEM, "out of memory");
	p->ck.grow_blk = blk;
	p->ck.wanted = true;
	return 0;
}

bool hb_pool_growing(const struct hb_pool *p)
{
	return p->ck.grow_blk != 0;
}

/* False: not now. `flags` go to the root. */
static bool start(struct hb_pool *p, uint32_t flags)
{
	struct ckpt *c = &p->ck;
	struct log *l = &p->log;
	struct seg *g;
	int rc;

	if (!c->root_mem)
		c->root_mem = mem_alloc_aligned(BLK_BYTES);
	if (!c->root_mem || !log_close_unit(p))
		return false;
	c->next = p->sb;
	pages_begin(p->pages);
	c->nomem = false;
	rc = save_trees(p, &c->next);
	c->nomem |= rc == -ENOMEM;
	c->no_root = rc != 0; /* the pages written so far are good; the rest is tried again */
	if (!rc)
		pages_rooted(p->pages);
	c->error = c->flush_error = 0;
	c->tries = 0;
	c->target_seq = l->unit_seq - 1;
	g = segs_at(&p->segs, l->cur->seg);
	if (c->grow_blk)
		grow_root(&c->next, c->grow_blk);
	c->next.seq++;
	c->next.ckpt_seq++;
	c->next.ckpt_nonce = p->env.random(p->env.ctx);
	c->next.flags = flags;
	c->next.log_unit_seq = l->unit_seq;
	c->next.log_seg = l->cur->seg.n;
	c->next.log_off = MIN(g->used, p->sb.seg_blk - 1);
	c->next.log_seg_seq = g->seq;
	c->next.log_next_seg = l->next_seg.n;
	c->next.next_volume_id = p->next_volume_id;
	c->state = CKPT_PAGES;
	c->wanted = false;
	c->segs_since = 0;
	c->last_ns = pool_now(p);
	for (struct ckpt_block *b = c->blocks; b; b = b->next)
		write_block(p, b);
	log_want(p, c->target_seq);
	level_save_begin(p, c->next.ckpt_seq, c->next.ckpt_nonce);
	return true;
}

static void step_done(struct dev_io *io)
{
	struct hb_pool *p = io->owner;

	if (io->error)
		p->ck.error = io->error;
	if (io->error && io->op == DEV_FLUSH)
		bypass_flush_lost(p);
	p->ck.late |= io->error == -ETIMEDOUT;
	p->ck.writes--;
}

static void issue(struct hb_pool *p, enum dev_op op, uint64_t blk)
{
	struct ckpt *c = &p->ck;

	c->iov = (struct iovec){c->root_mem, BLK_BYTES};
	c->io = (struct dev_io){.op = op, .done = step_done, .owner = p};
	if (op == DEV_WRITE) {
		c->io.iov = &c->iov;
		c->io.niov = 1;
		c->io.off_bytes = blk * BLK_BYTES;
		c->io.len_bytes = BLK_BYTES;
	}
	c->writes = 1;
	dev_queue(p->cap, &c->io);
}

/* The pages stay where they are; no root names them yet; the next attempt goes on from here, after a while. */
static void give_up(struct hb_pool *p)
{
	struct ckpt *c = &p->ck;
	bool late = c->late;

	c->state = CKPT_IDLE;
	c->wanted = true;
	c->retry_ns = pool_now(p) + CKPT_RETRY_NS;
	if (c->error || c->flush_error) {
		/* Pages that are clean in memory may be missing on the device: no later root may name them. */
		pool_fail(p, "the capacity device does not take the checkpoint");
		if (late)
			c->root_mem = NULL;
	}
	free_blocks(c, late);
	c->error = c->flush_error = 0;
}

static void commit(struct hb_pool *p)
{
	struct ckpt *c = &p->ck;

	p->sb = c->next;
	if (c->grow_blk && p->sb.size_blk == c->grow_blk) {
		chunks_grow(p->chunks, p->sb.nchunks);
		c->grow_blk = 0;
		pool_log(p, HB_LOG_INFO, "the capacity device has %llu MiB now",
			 (unsigned long long)(p->sb.size_blk * BLK_BYTES / MIB(1)));
	}
	pages_commit(p->pages);
	free_blocks(c, false);
	c->state = CKPT_IDLE;
	p->st.checkpoints++;
	c->retry_ns = 0;
	req_wake_all(&p->log_waiters);
}

static void write_root(struct hb_pool *p, enum ckpt_state state, uint64_t at_blk)
{
	super_encode(&p->ck.next, at_blk, p->ck.root_mem);
	p->ck.state = state;
	issue(p, DEV_WRITE, at_blk);
}

/* A write failed: all of this state's writes again, after a while; their bytes are in memory. A flush that failed, or a
 * device that is gone: the pool fails (what a failed flush has lost, no second flush brings back). */
static bool try_again(struct hb_pool *p)
{
	struct ckpt *c = &p->ck;
	bool write = c->state == CKPT_PAGES || c->state == CKPT_ROOT_A || c->state == CKPT_ROOT_B;

	if (!write || c->flush_error || c->late || p->cap->failed || c->tries >= CKPT_TRIES) {
		give_up(p);
		return true;
	}
	if (!c->retry_ns) {
		c->retry_ns = pool_now(p) + CKPT_TRY_NS;
		return false;
	}
	if (pool_now(p) < c->retry_ns)
		return false;
	c->retry_ns = 0;
	c->error = 0;
	c->tries++;
	if (c->state == CKPT_PAGES) {
		for (struct ckpt_block *b = c->blocks; b; b = b->next)
			write_block(p, b);
	} else {
		write_root(p, c->state, c->state == CKPT_ROOT_A ? SUPER_A : SUPER_B);
	}
	return true;
}

static bool go_on(struct hb_pool *p)
{
	struct ckpt *c = &p->ck;

	if (c->writes)
		return false;
	if (c->error || c->flush_error)
		return try_again(p);
	switch (c->state) {
	case CKPT_PAGES:
		if ((p->log.durable_seq < c->target_seq && !BUG(ROOT_BEFORE_LOG)) || level_saving(p))
			return false;
		if (c->no_root) {
			give_up(p);
			return true;
		}
		c->state = CKPT_FLUSH1;
		if (!BUG(ROOT_BEFORE_PAGES))
			issue(p, DEV_FLUSH, 0);
		return true;
	case CKPT_FLUSH1:
		if (halves_busy(p))
			return false;
		c->next.seq = p->sb.seq + 1;
		c->next.mirror_epoch = p->sb.mirror_epoch;
		c->next.mirror_out = p->sb.mirror_out;
		memcpy(c->next.devs, p->sb.devs, sizeof(c->next.devs));
		if (c->grow_blk)
			grow_root(&c->next, c->grow_blk);
		write_root(p, CKPT_ROOT_A, SUPER_A);
		return true;
	case CKPT_ROOT_A:
		c->state = CKPT_FLUSH_A;
		if (!BUG(ROOTS_TOGETHER))
			issue(p, DEV_FLUSH, 0);
		return true;
	case CKPT_FLUSH_A:
		write_root(p, CKPT_ROOT_B, SUPER_B);
		return true;
	case CKPT_ROOT_B:
		c->state = CKPT_FLUSH_B;
		issue(p, DEV_FLUSH, 0);
		return true;
	case CKPT_FLUSH_B:
		commit(p);
		return true;
	default:
		return false;
	}
}

static bool due(const struct hb_pool *p)
{
	const struct ckpt *c = &p->ck;

	if (p->failed || p->closing || pool_now(p) < c->retry_ns)
		return false;
	return c->wanted || level_wants_table(p) ||
	       c->segs_since >= MAX(2, p->segs.nsegs / 8) || p->maps.env.dirty >= CKPT_PAGES_SOFT;
}

bool meta_room(struct hb_pool *p, uint32_t spare)
{
	uint64_t need = p->maps.env.dirty + p->maps.plain.dirty + p->segs.nsegs / SEGREC_PER_PAGE + 16;
	uint64_t table = p->next_volume_id / VOLREC_PER_PAGE + 1; /* of volumes; ids are never used again */

	need += MIN(table, p->nvolumes) + table / PTREE_FAN;

	return pages_free_count(p->pages) >= need + spare;
}

uint32_t meta_frag_spare(const struct hb_pool *p)
{
	return MIN(p->maps.frag_leaves, MAP_LEAF_ENTRIES);
}

bool meta_wait(struct hb_pool *p)
{
	/* Who wanted another one while one is under way would, asking at each turn, never see the end of them. */
	if (p->ck.state != CKPT_IDLE)
		return true;
	if (!p->maps.env.dirty && !p->maps.plain.dirty)
		return false;
	p->ck.wanted = true;
	return true;
}

bool ckpt_pump(struct hb_pool *p)
{
	if (p->ck.state == CKPT_IDLE)
		return due(p) && start(p, 0);
	return go_on(p);
}

int ckpt_sync(struct hb_pool *p, uint32_t flags)
{
	bool started = false;

	while (!p->failed) {
		bool did = dev_drain(p->wt, pool_now(p)) + dev_drain(p->cap, pool_now(p)) > 0;

		did |= log_pump(p);
		did |= level_drain(p);
		did |= level_save_pump(p);
		did |= halves_pump(p);
		if (p->ck.state != CKPT_IDLE) {
			did |= go_on(p);
		} else if (!started) {
			started = start(p, flags);
			did |= started;
		} else if (p->halves.mirrored && p->halves.state != HALVES_IDLE) {
			; /* its I/O is the pool's */
		} else if (p->ck.no_root) {
			return p->ck.nomem ? -ENOMEM : -ENOSPC;
		} else {
			return 0;
		}
		dev_kick(p->wt);
		dev_kick(p->cap);
		level_kick(p);
		if (!did)
			p->env.wait(p->env.ctx, pool_now(p) + SEC_NS);
	}
	return -EIO;
}
