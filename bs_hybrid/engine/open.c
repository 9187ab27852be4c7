/* SPDX-License-Identifier: GPL-2.0-only */
/* open.c - opening a pool, closing it, letting go of it.
 *
 * Opening is a table of steps. Its order is its crash story:
 *   superblocks, memory, trees, segments, replay   read only; staged units are written to the places they belong to
 *   settle    the write tier is flushed: what was replayed is durable now, staging is no longer needed; superblocks
 *             that differ are made equal
 *   restart   staging becomes this generation's, the log begins a new segment, a checkpoint is written
 * A crash before the checkpoint's root finds everything as before (the generation in the root is the old one, and
 * all of staging has reached the write tier); after it, what was torn is never looked at again. No request is taken
 * before.
 */

#include "engine/pool.h"

static const struct map_chunks_ops chunk_ops = {chunks_ref, chunks_unref, chunks_refs, chunks_exists};

struct opening {
	struct hb_pool *p;
	const struct hb_open *how;
	struct err *err;
	bool staged;
	int mend_cap, mend_wt; /* the superblock copy that must be made equal, or -1 */
	uint64_t start_ns;
};

static int open_supers(struct opening *o)
{
	struct hb_pool *p = o->p;
	int rc = super_read(&p->env, p->cap, &p->sb, &o->mend_cap, o->err);

	if (!rc && dev_is_mirror(p->wt))
		rc = halves_read(p, o->err);
	else if (!rc)
		rc = super_read(&p->env, p->wt, &p->wt_sb, &o->mend_wt, o->err);
	if (rc)
		return rc;
	if ((p->sb.ndevs == 3) != p->halves.mirrored)
		return err_set(o->err, -EXDEV, "the write tier of pool %s is %s", p->sb.name,
			       p->halves.mirrored ? "no mirror" : "a mirror: both of its devices are to be named");
	if (!p->read_only && p->sb.feat_ro & ~FEAT_RO_KNOWN)
		return err_set(o->err, -EPROTONOSUPPORT,
			       "the pool uses features this program can only read: '%s' (bits %#llx)", p->sb.features,
			       (unsigned long long)(p->sb.feat_ro & ~FEAT_RO_KNOWN));
	if (p->sb.role != HB_ROLE_CAPACITY)
		return err_set(o->err, -EXDEV, "%s is not the capacity device of pool %s", p->cap->name, p->sb.name);
	if (p->wt_sb.role != HB_ROLE_WRITE)
		return err_set(o->err, -EXDEV, "%s is not the write tier of pool %s", p->wt->name, p->wt_sb.name);
	if (memcmp(p->sb.pool_uuid, p->wt_sb.pool_uuid, 16))
		return err_set(o->err, -EXDEV, "%s belongs to pool %s, %s to pool %s (another one)", p->cap->name,
			       p->sb.name, p->wt->name, p->wt_sb.name);
	if (memcmp(p->sb.devs[p->wt_sb.index].uuid, p->wt_sb.dev_uuid, 16) || p->wt_sb.nsegs != p->sb.nsegs ||
	    p->wt_sb.seg_blk != p->sb.seg_blk)
		return err_set(o->err, -EXDEV, "%s is not a device this pool knows", p->wt->name);
	if (p->wt_sb.generation < p->sb.generation || p->wt_sb.generation > p->sb.generation + 1)
		return err_set(o->err, -EXDEV, "%s is a copy of the write tier from another time", p->wt->name);
	p->was_clean = p->sb.flags & SUPER_CLEAN;
	return 0;
}

static void retire(void *ctx, uint32_t page)
{
	struct hb_pool *p = ctx;

	pages_retire(p->pages, page);
	if (BUG(EARLY_PAGE_REUSE)) {
		pages_begin(p->pages);
		pages_commit(p->pages);
	}
}

static int open_memory(struct opening *o)
{
	struct hb_pool *p = o->p;
	const struct hb_open *h = o->how;
	uint64_t slots = ((uint64_t)p->sb.nsegs + 1) * p->sb.seg_blk;
	int rc = segs_init(&p->segs, p->sb.nsegs, p->sb.seg_blk);

	p->idx = idx_new((uint32_t)slots);
	p->dirty = dirty_new();
	p->chunks = chunks_new((chunk_t){p->sb.first_chunk}, p->sb.nchunks);
	p->pages = pages_new(p->sb.meta_pages);
	p->ram_size = MAX(h->ram_bytes, h->any_size ? KIB(512) : MIB(4));
	p->ram = ram_new(p->ram_size, &policy_tuned);
	p->scratch = mem_alloc_aligned(BLK_BYTES);
	if (rc || !p->idx || !p->dirty || !p->chunks || !p->pages || !p->ram || !p->scratch)
		return err_set(o->err, -ENOMEM, "out of memory");
	rc = mapset_init(&p->maps, p->chunks, chunk_ops, p->sb.chunk_blk);
	p->maps_ready = !rc;
	p->maps.chunk_freed = limbo_add;
	p->maps.page_retire = retire;
	p->maps.ctx = p;
	if (!rc)
		rc = reader_init(p);
	if (!rc)
		rc = wb_init(p, h->writeback_depth ? h->writeback_depth : WB_DEPTH);
	if (!rc)
		rc = clean_init(p);
	if (!rc)
		rc = ahead_init(p);
	if (!rc)
		rc = bypass_init(p);
	if (!rc)
		rc = log_init(p);
	if (rc)
		return err_set(o->err, rc, rc == -EINVAL ? "the staging memory is too small" : "out of memory");
	p->next_volume_id = p->sb.next_volume_id;
	p->dirty_low = (uint32_t)(slots * (h->dirty_low_pct ? h->dirty_low_pct : 40) / 100);
	p->dirty_high = (uint32_t)(slots * (h->dirty_high_pct ? h->dirty_high_pct : 70) / 100);
	p->dirty_high = MAX(p->dirty_high, p->dirty_low + 1);
	p->idle_ns = h->writeback_idle_ns ? h->writeback_idle_ns : 5 * SEC_NS;
	return 0;
}

static int open_trees(struct opening *o)
{
	return load_trees(o->p, o->err);
}

static int open_segments(struct opening *o)
{
	return load_segments(o->p, o->err);
}

static int open_levels(struct opening *o)
{
	struct hb_pool *p = o->p;
	int rc = p->read_only ? 0 : level_open_all(p, o->how->levels, o->how->nlevels);

	if (rc)
		return err_set(o->err, rc, "out of memory");
	if (!p->touching)
		ptree_clear(&p->maps.plain, &p->touched);
	return 0;
}

static int open_replay(struct opening *o)
{
	struct hb_pool *p = o->p;
	struct stage_id id;
	int rc, fits;

	fits = stage_read(p->stage, p->stage_bytes, &id);
	o->staged = fits != -ENODATA && id.generation == p->sb.generation && id.boot_token == p->boot_token &&
		    id.seg_blk == p->sb.seg_blk && !memcmp(id.pool_uuid, p->sb.pool_uuid, 16) && !BUG(IGNORE_STAGING);
	if (o->staged && fits == -E2BIG)
		return err_set(o->err, -E2BIG, "the staging memory holds unsaved writes and was larger when they came");
	p->stage_nbuf = o->staged ? id.nbuf : 0;
	p->replaying = true;
	rc = replay(p, o->staged, o->err);
	p->replaying = false;
	return rc;
}

static int open_settle(struct opening *o)
{
	struct hb_pool *p = o->p;
	int rc;

	p->log.durable_seq = p->log.written_seq;
	if (p->read_only)
		return 0;
	rc = sync_io(&p->env, p->wt, DEV_FLUSH, 0, NULL, 0);
	if (rc)
		return err_set(o->err, rc, "%s: flush: %s", p->wt->name, strerror(-rc));
	/* Before anything is reused: the copy that differs is older or torn. Were the newer one torn by the next
	 * checkpoint, open would go back two roots, to pages that are no longer there. */
	if (o->mend_cap >= 0 && !BUG(NO_MEND))
		rc = super_mend(&p->env, p->cap, 0, &p->sb, o->mend_cap);
	if (!rc && o->mend_wt >= 0)
		rc = super_mend(&p->env, p->wt, 0, &p->wt_sb, o->mend_wt);
	return rc ? err_set(o->err, rc, "superblock: %s", strerror(-rc)) : 0;
}

/* Segments in which nothing counts need no SEG_FREE record: the checkpoint that follows says so. */
static void free_empty(struct hb_pool *p)
{
	list_each(l, &p->segs.sealed) {
		struct seg *g = list_entry(l, struct seg, fifo);

		if (!g->live && !g->missing && !g->unloaded)
			segs_freeing(&p->segs, segs_no(&p->segs, g), 0);
	}
}

static int open_restart(struct opening *o)
{
	struct hb_pool *p = o->p;
	struct stage_id id = {.boot_token = p->boot_token, .seg_blk = p->sb.seg_blk, .nbuf = p->log.nbuf};
	int rc;

	if (p->read_only)
		return 0;
	p->sb.generation++;
	p->sb.feat_incompat |= FEAT_CHUNK_RECORDS; /* in the root before the log has any */
	text_fmt(p->sb.features, sizeof(p->sb.features), "%s", FEAT_NAMES);
	/* Before the root: a write tier that is two generations behind is an old copy of ours, and refused. */
	p->wt_sb.generation = p->sb.generation;
	p->wt_sb.seq++;
	rc = p->halves.mirrored ? halves_stamp(p, o->err) : 0;
	if (rc)
		return rc;
	for (int i = 0; i < 2 && !p->halves.mirrored; i++) {
		rc = super_mend(&p->env, p->wt, 0, &p->wt_sb, i);
		if (rc)
			return err_set(o->err, rc, "%s: superblock: %s", p->wt->name, strerror(-rc));
	}
	memcpy(id.pool_uuid, p->sb.pool_uuid, 16);
	id.generation = p->sb.generation;
	stage_init(p->stage, &id);
	p->log.next_seg = segs_choose(&p->segs);
	free_empty(p);
	if (!p->log.next_seg.n || !log_open_segment(p, FREE_SEGS_OPEN))
		return err_set(o->err, -ENOSPC, "no free segment in the log");
	rc = ckpt_sync(p, 0);
	if (!rc)
		halves_start(p);
	return rc ? err_set(o->err, rc, "checkpoint: %s", strerror(-rc)) : 0;
}

static const struct {
	const char *name;
	int (*run)(struct opening *o);
} steps[] = {
	{"superblocks", open_supers}, {"memory", open_memory}, {"trees", open_trees},   {"segments", open_segments},
	{"levels", open_levels},      {"replay", open_replay}, {"settle", open_settle}, {"restart", open_restart},
};

static void free_pool(struct hb_pool *p)
{
	vol_fini(p);
	if (p->maps_ready) {
		ptree_forget(&p->maps.plain, &p->vol_tree);
		ptree_forget(&p->maps.plain, &p->seg_tree);
		ptree_forget(&p->maps.plain, &p->touched);
		mapset_fini(&p->maps);
	}
	ckpt_fini(p);
	wb_fini(p);
	bypass_fini(p);
	clean_fini(p);
	scrub_fini(p);
	halves_fini(p);
	streams_free(p->streams);
	load_fini(p);
	reader_fini(p);
	pins_fini(p);
	floors_fini(p);
	ram_free(p->ram);
	dirty_free(p->dirty);
	idx_free(p->idx);
	segs_fini(&p->segs);
	pages_free(p->pages);
	chunks_free(p->chunks);
	mem_free(p->limbo);
	mem_free(p->scratch);
	mem_free(p);
}

static struct hb_pool *new_pool(const struct hb_env *env, const struct hb_open *how)
{
	struct hb_pool *p = mem_zalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->env = *env;
	p->cap = how->capacity;
	p->wt = how->write_tier;
	p->stage = how->staging;
	p->boot_token = how->boot_token;
	p->read_only = how->read_only;
	p->stage_bytes = how->staging_bytes ? how->staging_bytes : hb_staging_bytes();
	list_init(&p->ready);
	list_init(&p->finished);
	list_init(&p->log_waiters);
	list_init(&p->space_waiters);
	list_init(&p->starved);
	list_init(&p->flush_waiters);
	list_init(&p->limited);
	list_init(&p->through.waiters);
	list_init(&p->through.settling);
	pins_init(p);
	floors_init(p);
	list_init(&p->bypass.waiters);
	list_init(&p->bypass.unflushed);
	list_init(&p->bypass.line);
	turns_init(&p->read_turns.turns);
	turns_init(&p->write_turns);
	list_init(&p->segs.sealed);
	list_init(&p->deleting);
	list_init(&p->log.inflight);
	for (uint32_t i = 0; i < VOL_HASH; i++)
		list_init(&p->vol_hash[i]);
	return p;
}

int hb_pool_open(const struct hb_env *env, const struct hb_open *how, struct hb_pool **ret, struct err *err)
{
	struct hb_pool *p = new_pool(env, how);
	struct opening o = {.p = p, .how = how, .err = err, .mend_cap = -1, .mend_wt = -1,
			    .start_ns = env->now_ns(env->ctx)};
	int rc = p ? 0 : err_set(err, -ENOMEM, "out of memory");

	if (rc)
		return rc;
	for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
		rc = steps[i].run(&o);
		if (rc) {
			if (err && !err->code)
				err_set(err, rc, "%s", strerror(-rc));
			err_wrap(err, "open pool%s%s", p->sb.name[0] ? " " : "", p->sb.name);
			for (uint32_t k = 0; k < p->nlevels; k++) { /* the devices stay the caller's */
				p->levels[k].dev = NULL;
				level_fini(&p->levels[k]);
			}
			free_pool(p);
			return rc;
		}
	}
	p->st.recovery_ns = pool_now(p) - o.start_ns;
	p->st.was_clean = p->was_clean;
	p->wb.last_activity_ns = pool_now(p);
	pool_log(p, HB_LOG_INFO,
		 "opened in %llu ms%s: %llu log units (%llu blocks) replayed, %llu of them from staging",
		 (unsigned long long)(p->st.recovery_ns / MSEC_NS), p->st.was_clean ? " after a clean close" : "",
		 (unsigned long long)p->st.replayed_units, (unsigned long long)p->st.replayed_blocks,
		 (unsigned long long)p->st.staged_units);
	through_warn(p);
	*ret = p;
	return 0;
}

/* Lets everything in flight end (devices answer in bounded time). */
static void drain(struct hb_pool *p)
{
	while (p->cap->inflight || p->wt->inflight || level_inflight(p) || p->ck.state != CKPT_IDLE) {
		uint64_t next = hb_pool_run(p);

		if (p->failed && !p->cap->inflight && !p->wt->inflight && !level_inflight(p))
			break;
		if (next > pool_now(p))
			p->env.wait(p->env.ctx, MIN(next, pool_now(p) + SEC_NS));
	}
}

static void let_go(struct hb_pool *p)
{
	struct dev *cap = p->cap, *wt = p->wt;

	for (uint32_t i = 0; i < p->nlevels; i++)
		level_fini(&p->levels[i]);
	free_pool(p);
	dev_close(wt);
	dev_close(cap);
}

int hb_pool_close(struct hb_pool *p, struct err *err)
{
	int rc = 0;

	p->closing = true;
	level_close(p);
	halves_close(p);
	drain(p);
	if (!p->read_only) {
		if (p->failed) {
			rc = err_set(err, -EIO, "close pool %s: %s", p->sb.name, p->trouble);
		} else {
			rc = ckpt_sync(p, SUPER_CLEAN);
			if (rc)
				err_set(err, rc, "close pool %s: checkpoint: %s", p->sb.name, strerror(-rc));
			else /* the root says that the log before it is durable, and nothing came after */
				stage_wipe(p->stage);
		}
	}
	let_go(p);
	return rc;
}

void hb_pool_abandon(struct hb_pool *p)
{
	let_go(p);
}

void hb_pool_edge_events(struct hb_pool *p, bool edge)
{
	p->cap->edge_events = p->wt->edge_events = edge;
	for (uint32_t i = 0; i < p->nlevels; i++)
		if (p->levels[i].dev)
			p->levels[i].dev->edge_events = edge;
}

bool hb_pool_due(const struct hb_pool *p)
{
	return p->due;
}

unsigned hb_pool_requests(const struct hb_pool *p)
{
	return p->inflight;
}

int hb_pool_event_fds(const struct hb_pool *p, int fds[HB_DEVS_MAX])
{
	int n = 0;

	for (uint32_t i = 0; i < 2 + p->nlevels; i++) {
		struct dev *dev = i == 0 ? p->cap : i == 1 ? p->wt : p->levels[i - 2].dev;
		int fd = dev ? dev_event_fd(dev) : -1;

		if (fd >= 0)
			fds[n++] = fd;
	}
	return n;
}

const char *hb_pool_name(const struct hb_pool *p)
{
	return p->sb.name;
}

const uint8_t *hb_pool_uuid(const struct hb_pool *p)
{
	return p->sb.pool_uuid;
}

struct dev *hb_pool_dev(struct hb_pool *p, enum hb_role role)
{
	return role == HB_ROLE_CAPACITY ? p->cap : p->wt;
}
