/* SPDX-License-Identifier: GPL-2.0-only */
/* load.c - from a device to memory at open: superblocks, trees, segments. Nothing here writes.
 *
 * Pages are read in windows of the metadata area, so that a disk sees long reads. A segment's slots come from its
 * footer; where that is missing or damaged (the segment was not full, or a bit flipped), from its units.
 */
#include <stdlib.h>

#include "engine/pool.h"
#include "format/volrec.h"

#define WINDOW_PAGES 512u /* what a disk reads while it seeks; an inner page lies behind its leaves */

/* ---------------------------------------------------------------- superblocks */

int super_read(const struct hb_env *env, struct dev *dev, struct super *ret, int *ret_mend, struct err *err)
{
	static const uint64_t places[2] = {SUPER_A, SUPER_B};
	struct super got[2];
	struct err why[2] = {ERR_INIT, ERR_INIT};
	bool ok[2];
	int best;

	for (int i = 0; i < 2; i++) {
		uint8_t block[BLK_BYTES];
		int rc = dev->geom.size_bytes < (places[i] + 1) * BLK_BYTES ? -ENODATA : 0;

		if (rc)
			err_set(&why[i], rc, "no superblock of a pool (the device is too small)");
		else if ((rc = sync_io(env, dev, DEV_READ, places[i], block, 1)))
			err_set(&why[i], rc, "cannot be read: %s", strerror(-rc));
		else
			rc = super_decode(&got[i], places[i], block, &why[i]);
		if (rc == -ENOMEM)
			return err_set(err, rc, "%s: out of memory", dev->name);
		ok[i] = rc == 0;
	}
	if (!ok[0] && !ok[1]) {
		/* The copy that says more: damaged rather than absent. */
		int i = why[0].code == -ENODATA ? 1 : 0;

		err_set(err, why[i].code, "%s", why[i].text);
		return err_wrap(err, "%s: superblock %c", dev->name, "AB"[i]);
	}
	best = ok[0] && (!ok[1] || got[0].seq > got[1].seq) ? 0 : 1;
	*ret = got[best];
	*ret_mend = ok[0] && ok[1] && got[0].seq == got[1].seq ? -1 : !best;
	if (ret->size_blk > dev->geom.size_bytes / BLK_BYTES)
		return err_set(err, -EBADMSG, "%s: the device has %llu bytes, the pool was made on %llu", dev->name,
			       (unsigned long long)dev->geom.size_bytes,
			       (unsigned long long)(ret->size_blk * BLK_BYTES));
	return 0;
}

int super_mend(const struct hb_env *env, struct dev *dev, uint8_t side, const struct super *s, int which)
{
	uint64_t at = which ? SUPER_B : SUPER_A;
	uint8_t block[BLK_BYTES];
	int rc;

	/* After the death of a process the good copy may still be in the device's cache only: were both there, a power
	 * cut could tear both. */
	rc = sync_io_at(env, dev, side, DEV_FLUSH, 0, NULL, 0);
	if (rc)
		return rc;
	super_encode(s, at, block);
	rc = sync_io_at(env, dev, side, DEV_WRITE, at, block, 1);
	return rc ? rc : sync_io_at(env, dev, side, DEV_FLUSH, 0, NULL, 0);
}

/* ---------------------------------------------------------------- trees */

struct loading {
	struct hb_pool *p;
	uint8_t **window; /* by page / WINDOW_PAGES */
	struct pnode **node; /* by page: loaded already */
	struct err *err;
};

static int get_page(void *ctx, uint32_t page, void *data)
{
	struct loading *l = ctx;
	struct hb_pool *p = l->p;
	uint32_t w = page / WINDOW_PAGES, first = w * WINDOW_PAGES;
	uint32_t n;

	if (page >= p->sb.meta_high)
		return -EBADMSG;
	if (!l->window[w]) {
		int rc;

		n = MIN(WINDOW_PAGES, p->sb.meta_pages - first);
		l->window[w] = mem_alloc_aligned((size_t)n * BLK_BYTES);
		if (!l->window[w])
			return -ENOMEM;
		rc = sync_io(&p->env, p->cap, DEV_READ, p->sb.meta_start_blk + first, l->window[w], n);
		if (rc) {
			mem_free(l->window[w]);
			l->window[w] = NULL;
			/* A bad sector among pages that nobody wants is nobody's loss. */
			return sync_io(&p->env, p->cap, DEV_READ, p->sb.meta_start_blk + page, data, 1);
		}
	}
	memcpy(data, l->window[w] + (uint64_t)(page - first) * BLK_BYTES, BLK_BYTES);
	return 0;
}

static struct pnode *seen(void *ctx, uint32_t page)
{
	struct loading *l = ctx;

	return page < l->p->sb.meta_high ? l->node[page] : NULL;
}

static void remember(void *ctx, uint32_t page, struct pnode *node)
{
	struct loading *l = ctx;

	l->node[page] = node;
}

static int load_tree(struct loading *l, struct ptree_env *env, struct ptree *t, uint32_t levels, struct page_ptr root,
		     const char *what)
{
	struct ptree_load how = {.ctx = l, .get = get_page, .seen = seen, .remember = remember};
	int rc;

	if (root.page == PTREE_NO_PAGE)
		return 0;
	rc = ptree_load(env, t, (uint8_t)levels, root, &how);
	if (rc == -EBADMSG)
		return err_set(l->err, rc, "%s: metadata page %u: bad checksum", what, how.ret_bad);
	if (rc)
		return err_set(l->err, rc, "%s: %s", what, strerror(-rc));
	return 0;
}

static int load_volume(struct loading *l, const struct volrec *r)
{
	struct hb_pool *p = l->p;
	struct page_ptr root = {r->root_page, r->root_crc};
	struct hb_volume *v;
	int rc;

	if (vol_by_id(p, r->id) || (!(r->flags & VOLREC_DELETING) && (vol_by_name(p, r->name) || !hb_name_ok(r->name))))
		return err_set(l->err, -EBADMSG, "volume table: volume %u stands twice or has no name", r->id);
	rc = vol_enter(p, r, &v);
	if (rc)
		return err_set(l->err, rc, "out of memory");
	rc = load_tree(l, &p->maps.env, &v->map, r->root_levels, root, v->name);
	v->saved_root = root;
	return rc;
}

static int load_volumes(struct loading *l)
{
	struct hb_pool *p = l->p;

	for (uint64_t leaf = ptree_next(&p->vol_tree, 0); leaf != UINT64_MAX;
	     leaf = ptree_next(&p->vol_tree, leaf + 1)) {
		const uint8_t *data = ptree_get(&p->vol_tree, leaf);

		for (uint32_t i = 0; i < VOLREC_PER_PAGE; i++) {
			struct volrec r;
			int rc = volrec_decode(&r, data + i * VOLREC_BYTES);

			if (!rc && r.id && r.id != leaf * VOLREC_PER_PAGE + i)
				rc = -EBADMSG;
			if (rc)
				return err_set(l->err, rc, "volume table: place %llu holds no sane record",
					       (unsigned long long)leaf * VOLREC_PER_PAGE + i);
			if (r.id)
				rc = load_volume(l, &r);
			if (rc)
				return rc;
		}
	}
	return 0;
}

/* ---------------------------------------------------------------- counting */

/* Whether this shared node was asked for before. */
static bool counted(void *ctx, const void *node)
{
	return ptrset_add(ctx, node);
}

struct marking {
	struct hb_pool *p;
	struct ptrset *met;
	bool shared; /* maps may share nodes, the other trees never do */
	bool twice;
};

static bool mark(void *ctx, const struct pnode *node, uint8_t level, uint32_t page, uint32_t refs, uint64_t leaf,
		 const void *data)
{
	struct marking *m = ctx;

	(void)level;
	(void)leaf;
	(void)data;
	if (refs > 1 && !m->shared)
		m->twice = true;
	if (refs > 1 && ptrset_add(m->met, node))
		return false;
	if (!pages_mark(m->p->pages, page))
		m->twice = true;
	return true;
}

/* References of chunks, free pages: all derived from the trees. */
static int derive(struct hb_pool *p, struct err *err)
{
	struct ptrset refs = {0}, pages = {0};
	struct marking m = {.p = p, .met = &pages};
	const struct ptree *const plain[] = {&p->vol_tree, &p->seg_tree, &p->maps.frags, &p->touched};
	int rc = 0;

	for (unsigned i = 0; i < ARRAY_LEN(plain); i++)
		ptree_walk(plain[i], mark, &m);
	m.shared = true;
	for (uint32_t i = 0; i < VOL_HASH && !rc; i++) {
		list_each(l, &p->vol_hash[i]) {
			struct hb_volume *v = list_entry(l, struct hb_volume, by_id);
			const char *why = "out of memory";

			ptree_walk(&v->map, mark, &m);
			rc = map_count_refs(&p->maps, &v->map, counted, &refs, &why);
			if (!rc && (refs.nomem || pages.nomem))
				rc = -ENOMEM;
			if (!rc && m.twice)
				rc = -EBADMSG, why = "a metadata page is used twice";
			if (rc) {
				err_set(err, rc, "map of volume %s: %s", v->name, why);
				break;
			}
		}
	}
	if (!rc && m.twice)
		rc = err_set(err, -EBADMSG, "a metadata page is used twice");
	ptrset_free(&refs);
	ptrset_free(&pages);
	return rc;
}

int load_trees(struct hb_pool *p, struct err *err)
{
	static const enum super_tree which[] = {TREE_VOLUMES, TREE_SEGMENTS, TREE_FRAGS, TREE_TOUCHED};
	static const char *const names[] = {"volume table", "segment table", "fragment table", "superseded blocks"};
	struct ptree *const trees[] = {&p->vol_tree, &p->seg_tree, &p->maps.frags, &p->touched};
	uint32_t nwin = DIV_UP(p->sb.meta_high, WINDOW_PAGES) + 1;
	struct loading l = {.p = p,
			    .err = err,
			    .window = mem_calloc(nwin, sizeof(*l.window)),
			    .node = mem_calloc(p->sb.meta_high + 1, sizeof(*l.node))};
	int rc = l.window && l.node ? 0 : err_set(err, -ENOMEM, "out of memory");

	for (int i = 0; i < TREE_COUNT && !rc; i++) {
		const struct super_root *r = &p->sb.roots[which[i]];

		rc = load_tree(&l, &p->maps.plain, trees[i], r->levels, (struct page_ptr){r->page, r->crc}, names[i]);
	}
	if (!rc)
		rc = load_volumes(&l);
	if (!rc)
		rc = derive(p, err);
	for (uint32_t i = 0; l.window && i < nwin; i++)
		mem_free(l.window[i]);
	mem_free(l.window);
	mem_free(l.node);
	return rc;
}

/* ---------------------------------------------------------------- segments */

/* Fills slots from the units of a segment, wherever a valid header stands. */
static bool unit_of(const struct hb_pool *p, struct unit_head *h, const uint8_t *head, uint32_t no,
		    const struct segrec *sr, uint32_t off)
{
	return !unit_decode(h, head, false) && !memcmp(h->pool_uuid, p->sb.pool_uuid, 16) && h->seg == no &&
	       h->seg_seq == sr->seg_seq && h->off == off && off + 1u + h->nblk <= p->sb.seg_blk;
}

static int slots_from_units(struct hb_pool *p, uint32_t no, const struct segrec *sr, struct footer_slot *slots)
{
	uint8_t *head = mem_alloc(BLK_BYTES);
	uint32_t off = 0;
	int rc = head ? 0 : -ENOMEM;

	memset(slots, 0, p->sb.seg_blk * sizeof(*slots));
	while (!rc && off < sr->used_blk) {
		struct unit_head h;
		uint32_t at = 0, blk = off + 1;

		bool good = false;

		/* Of two halves, one will do. */
		for (uint8_t side = p->halves.mirrored; !rc && !good && side <= 2u * p->halves.mirrored; side++) {
			rc = sync_io_at(&p->env, p->wt, side, DEV_READ, (uint64_t)no * p->sb.seg_blk + off, head, 1);
			good = !rc && unit_of(p, &h, head, no, sr, off);
			if ((rc == -EIO && !p->wt->failed) || rc == -ENODEV)
				rc = 0;
		}
		if (rc)
			break;
		if (!good) {
			off++; /* a damaged header: the next good one tells its own place */
			continue;
		}
		for (uint32_t i = 0; i < h.nrec; i++) {
			struct rec r;
			uint32_t n = rec_decode(&r, unit_stream(head) + at, h.stream_bytes - at);

			if (!n)
				break;
			at += n;
			if (r.type == REC_DATA && blk < off + 1u + h.nblk)
				slots[blk++] = (struct footer_slot){r.pblk, r.crc};
		}
		off += 1u + h.nblk;
	}
	mem_free(head);
	return rc;
}

static int read_slots(struct hb_pool *p, uint32_t no, const struct segrec *sr, struct footer_slot *slots)
{
	uint8_t *blocks = mem_alloc(2 * BLK_BYTES);
	uint32_t n = footer_blk(p->sb.seg_blk);
	struct footer f;
	int rc = blocks ? 0 : -ENOMEM;

	bool good = false;

	for (uint8_t side = p->halves.mirrored; rc != -ENOMEM && !good && side <= 2u * p->halves.mirrored; side++) {
		rc = sync_io_at(&p->env, p->wt, side, DEV_READ, (uint64_t)(no + 1) * p->sb.seg_blk - n, blocks, n);
		if (!rc)
			rc = footer_decode(&f, slots, p->sb.seg_blk, blocks);
		good = !rc && f.seg == no && f.seg_seq == sr->seg_seq && !memcmp(f.pool_uuid, p->sb.pool_uuid, 16);
	}
	mem_free(blocks);
	if (rc == -ENOMEM)
		return rc;
	if (good)
		return 0;
	return slots_from_units(p, no, sr, slots);
}

#define SLOTS_AHEAD 8u

void load_ahead(const struct hb_pool *p, const struct idx *x, const struct footer_slot *slots, uint32_t i, uint32_t n)
{
	uint32_t far = i + 2 * SLOTS_AHEAD, near = i + SLOTS_AHEAD;

	if (far < n && pblk_ok(p, slots[far].pblk))
		idx_prefetch(x, (pblk_t){slots[far].pblk}, 0);
	if (near < n && pblk_ok(p, slots[near].pblk))
		idx_prefetch(x, (pblk_t){slots[near].pblk}, 1);
}

/* `late`: requests have gone on since the record was true, see (L4); all slots are clean. */
static int enter_slots(struct hb_pool *p, uint32_t no, const struct segrec *sr, const struct footer_slot *slots,
		       bool late)
{
	bool skipped = false;

	for (uint32_t i = 0; i < sr->used_blk; i++) {
		enum slot_state st = segrec_get(sr, i);
		pblk_t b = {slots[i].pblk};
		slot_t other;
		int rc;

		load_ahead(p, p->idx, slots, i, sr->used_blk);
		if (st == SLOT_DEAD)
			continue;
		if (!pblk_ok(p, b.n) || idx_find(p->idx, b).n) {
			segs_at(&p->segs, (segno_t){no})->missing += st != SLOT_CLEAN;
			continue;
		}
		if (st == SLOT_DIRTY && BUG(DIRTY_LOADED_CLEAN))
			st = SLOT_CLEAN;
		if (st == SLOT_DIRTY) {
			rc = dirty_set(p->dirty, b);
			if (rc)
				return rc;
		}
		if (st == SLOT_CLEAN && level_touched(p, b)) { /* the record may be from before an unfinished loading */
			skipped = true;
			continue;
		}
		if (late && (!chunks_refs(p->chunks, chunk_of(p, b)) || level_find(p, b, &other)))
			continue;
		blk_put(p, (slot_t){no * p->sb.seg_blk + i}, b, slots[i].crc, st);
		idx_set_earned(p->idx, (slot_t){no * p->sb.seg_blk + i}, st == SLOT_CLEAN);
	}
	segs_at(&p->segs, (segno_t){no})->changed = late || skipped; /* else the record is as it was found */
	return 0;
}

static bool only_clean(const struct segrec *sr)
{
	for (uint32_t i = 0; i < sr->used_blk; i++)
		if (segrec_get(sr, i) > SLOT_CLEAN)
			return false;
	return true;
}

/* *ret_now: what it holds must be read before requests come. */
static int take_segment(struct hb_pool *p, uint32_t no, const struct segrec *sr, bool *ret_now, struct err *err)
{
	struct seg *g = &p->segs.v[no];
	bool any = !all_zero(sr->state, sizeof(sr->state));

	if (sr->used_blk > p->sb.seg_blk)
		return err_set(err, -EBADMSG, "segment table: segment %u is longer than a segment", no);
	g->state = SEG_SEALED;
	g->seq = sr->seg_seq;
	g->used = sr->used_blk;
	p->segs.nfree--;
	g->unloaded = any && !p->read_only && sr->seg_seq < p->sb.log_seg_seq && only_clean(sr);
	g->changed = false;
	*ret_now = any && !g->unloaded;
	return 0;
}

static int loader_make(struct hb_pool *p, uint32_t most, bool (*want)(void *ctx, uint32_t no),
		       void (*enter)(void *ctx, uint32_t no, uint64_t seq, const struct footer_slot *slots, int error))
{
	p->loader = (struct loader){.dev = p->wt, .ctx = p, .seg_blk = p->sb.seg_blk, .wanted = want, .enter = enter};
	memcpy(p->loader.pool_uuid, p->sb.pool_uuid, 16);
	return loader_init(&p->loader, most);
}

/* ---------------------------------------------------------------- before requests come
 * After a crash one segment in ten or more has something dirty: their footers are read many at a time. Those that
 * cannot be had so come after the others, one by one, from the other half of a mirror or from their units. */
struct load_now {
	struct hb_pool *p;
	uint32_t nagain; /* the first places of the loader's order, which are behind it, hold them */
	uint32_t at; /* the segment at fault */
	int rc;
};

static void segrec_of(const struct hb_pool *p, uint32_t no, struct segrec *ret)
{
	const uint8_t *leaf = ptree_get(&p->seg_tree, no / SEGREC_PER_PAGE);

	segrec_decode(ret, leaf + no % SEGREC_PER_PAGE * SEGREC_BYTES);
}

static void enter_one(struct load_now *n, uint32_t no, const struct segrec *sr, const struct footer_slot *slots)
{
	if (n->rc)
		return;
	n->rc = enter_slots(n->p, no, sr, slots, false);
	n->at = no;
}

static bool always(void *ctx, uint32_t no)
{
	(void)ctx;
	(void)no;
	return true;
}

static void enter_now(void *ctx, uint32_t no, uint64_t seq, const struct footer_slot *slots, int error)
{
	struct load_now *n = ctx;
	struct segrec sr;

	segrec_of(n->p, no, &sr);
	if (slots && !error && seq == sr.seg_seq)
		enter_one(n, no, &sr, slots);
	else /* not from here: devices are not waited for in the middle of a drain */
		n->p->loader.order[n->nagain++] = no;
}

static int read_again(struct load_now *n, uint32_t no)
{
	struct footer_slot *slots = mem_calloc(SEG_BLK_MAX, sizeof(*slots));
	struct segrec sr;

	segrec_of(n->p, no, &sr);
	n->at = no;
	n->rc = slots ? read_slots(n->p, no, &sr, slots) : -ENOMEM;
	enter_one(n, no, &sr, slots);
	mem_free(slots);
	return n->rc;
}

/* The loader's order names the segments. */
static int load_now(struct hb_pool *p, struct err *err)
{
	struct load_now n = {.p = p};
	struct loader *l = &p->loader;

	l->ctx = &n;
	for (;;) {
		bool did = loader_pump(l);

		if (loader_done(l) || (!did && !l->busy)) /* the latter: all its memory was given up */
			break;
		dev_kick(p->wt);
		if (!dev_drain(p->wt, pool_now(p)))
			p->env.wait(p->env.ctx, pool_now(p) + SEC_NS);
	}
	for (uint32_t i = 0; i < n.nagain && !n.rc; i++)
		read_again(&n, l->order[i]);
	while (l->at < l->n && !n.rc)
		read_again(&n, l->order[l->at++]);
	return n.rc ? err_set(err, n.rc, "segment %u: %s", n.at, strerror(-n.rc)) : 0;
}

static int by_seq(const void *a, const void *b)
{
	const struct seg *x = *(struct seg *const *)a, *y = *(struct seg *const *)b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Sealed segments stand in the order of their lives. */
static int sort_sealed(struct hb_pool *p)
{
	struct seg **v = mem_calloc(p->segs.nsegs, sizeof(*v));
	uint32_t n = 0;

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 1; i <= p->segs.nsegs; i++)
		if (p->segs.v[i].state == SEG_SEALED)
			v[n++] = &p->segs.v[i];
	qsort(v, n, sizeof(*v), by_seq);
	for (uint32_t i = 0; i < n; i++)
		list_push(&p->segs.sealed, &v[i]->fifo);
	mem_free(v);
	return 0;
}

/* ---------------------------------------------------------------- later, in the background */

static bool wanted(void *ctx, uint32_t no)
{
	const struct hb_pool *p = ctx;

	return p->segs.v[no].unloaded && p->segs.v[no].state == SEG_SEALED && !p->touch_failed;
}

static void enter_later(void *ctx, uint32_t no, uint64_t seq, const struct footer_slot *slots, int error)
{
	struct hb_pool *p = ctx;
	struct seg *g = &p->segs.v[no];
	struct segrec sr;

	g->unloaded = false;
	g->changed = true;
	if (!slots || seq != g->seq || error) /* clean blocks: they are forgotten */
		return;
	segrec_of(p, no, &sr);
	enter_slots(p, no, &sr, slots, true);
}

/* The newest first. */
static int load_later(struct hb_pool *p)
{
	uint32_t n = 0;

	list_each(l, &p->segs.sealed)
		n += list_entry(l, struct seg, fifo)->unloaded;
	if (!n)
		return 0;
	p->loading = true;
	p->touching = true;
	if (loader_make(p, n, wanted, enter_later))
		return -ENOMEM;
	p->loader.n = n;
	list_each(l, &p->segs.sealed) {
		struct seg *g = list_entry(l, struct seg, fifo);

		if (g->unloaded)
			p->loader.order[--n] = segs_no(&p->segs, g).n;
	}
	return 0;
}

void load_fini(struct hb_pool *p)
{
	if (p->loading)
		loader_fini(&p->loader);
	p->loading = false;
}

bool load_pump(struct hb_pool *p)
{
	bool did;

	if (!p->loading)
		return false;
	if (p->touch_failed)
		p->loader.at = p->loader.n;
	did = loader_pump(&p->loader);
	if (!loader_done(&p->loader))
		return did;
	list_each(l, &p->segs.sealed) { /* loading was given up: they hold nothing */
		struct seg *g = list_entry(l, struct seg, fifo);

		g->changed |= g->unloaded;
		g->unloaded = false;
	}
	load_fini(p);
	pool_log(p, HB_LOG_INFO, "the write tier holds %llu MiB of clean blocks",
		 (unsigned long long)(idx_count(p->idx, SLOT_CLEAN) * BLK_BYTES / MIB(1)));
	return true;
}

static int take_segments(struct hb_pool *p, struct err *err)
{
	for (uint64_t leaf = ptree_next(&p->seg_tree, 0); leaf != UINT64_MAX;
	     leaf = ptree_next(&p->seg_tree, leaf + 1)) {
		const uint8_t *data = ptree_get(&p->seg_tree, leaf);

		for (uint32_t i = 0; i < SEGREC_PER_PAGE; i++) {
			uint64_t no = leaf * SEGREC_PER_PAGE + i;
			struct segrec sr;
			bool now = false;
			int rc;

			segrec_decode(&sr, data + i * SEGREC_BYTES);
			if (!sr.seg_seq)
				continue;
			if (!no || no > p->segs.nsegs)
				return err_set(err, -EBADMSG, "segment table: there is no segment %llu",
					       (unsigned long long)no);
			rc = take_segment(p, (uint32_t)no, &sr, &now, err);
			if (rc)
				return rc;
			if (now)
				p->loader.order[p->loader.n++] = (uint32_t)no;
		}
	}
	return 0;
}

int load_segments(struct hb_pool *p, struct err *err)
{
	int rc = loader_make(p, p->segs.nsegs, always, enter_now) ? err_set(err, -ENOMEM, "out of memory") : 0;

	if (!rc)
		rc = take_segments(p, err);
	if (!rc)
		rc = load_now(p, err);
	loader_fini(&p->loader);
	if (rc)
		return rc;
	return sort_sealed(p) || load_later(p) ? err_set(err, -ENOMEM, "out of memory") : 0;
}
