/* SPDX-License-Identifier: GPL-2.0-only */
/* scrub.c - the course of a scrub: beginning, finding the next stretch, reading it, pace, ending; see scrub.h. What is
 * done about bad blocks is in scrub_bad.c. Requests come first: while some read or flush waits for the device, the
 * scrub does not begin a stretch there, but for one a second.
 */
#include "engine/pool.h"

#define LOOK_MAX 4096u /* segments or chunks passed over in one turn */
#define BUSY_NS (2 * MSEC_NS) /* between looks at a device that is busy */
#define PATIENCE_NS SEC_NS
#define RETRY_NS SEC_NS
#define LOADING_NS (20 * MSEC_NS)

/* What the write tier and a cache level have in common here. */
struct tier {
	struct dev *dev;
	struct idx *idx;
	struct segs *segs;
	struct level *l; /* NULL: the write tier */
};

static bool tier_of(struct hb_pool *p, unsigned no, struct tier *ret)
{
	struct level *l = no ? &p->levels[no - 1] : NULL;

	if (no > p->nlevels || (l && (l->state != LEVEL_ON || l->dev->failed)))
		return false;
	*ret = l ? (struct tier){l->dev, l->idx, &l->segs, l} : (struct tier){p->wt, p->idx, &p->segs, NULL};
	return true;
}

static bool under_way(const struct scrub *s)
{
	return s->st.state == HB_SCRUB_RUNNING || s->st.state == HB_SCRUB_STOPPING;
}

/* ---------------------------------------------------------------- how much */

static uint64_t tier_bytes(struct hb_pool *p, unsigned tier)
{
	struct tier t;

	if (tier == SCRUB_CAPACITY)
		return (uint64_t)(chunks_total(p->chunks) - chunks_free_count(p->chunks) -
				  chunks_limbo_count(p->chunks)) * p->sb.chunk_blk * BLK_BYTES;
	if (!tier_of(p, tier, &t))
		return 0;
	return (idx_count(t.idx, SLOT_CLEAN) + idx_count(t.idx, SLOT_DIRTY)) * BLK_BYTES;
}

/* About what is left of the tier that it is in, by how far it has come there. */
static uint64_t left_here(struct hb_pool *p, const struct scrub *s)
{
	struct tier t;
	uint64_t places = 0, left;

	if (s->st.tier == SCRUB_CAPACITY)
		places = chunks_total(p->chunks);
	else if (tier_of(p, s->st.tier, &t))
		places = t.segs->nsegs + 1ull;
	left = places > s->no ? places - s->no : 0;
	return places ? tier_bytes(p, s->st.tier) / BLK_BYTES * left / places * BLK_BYTES : 0;
}

/* ---------------------------------------------------------------- ends */

void scrub_let_go(struct scrub *s)
{
	if (s->held)
		s->held->readers--;
	s->held = NULL;
}

static void over(struct scrub *s, enum hb_scrub_state state)
{
	const struct hb_scrub_status *st = &s->st;
	bool bad = st->lost_blocks || st->unreadable_blocks;

	scrub_let_go(s);
	s->mend = s->again = s->unread = 0;
	s->st.state = state;
	s->st.finished_s = s->pool->env.wall_s(s->pool->env.ctx);
	pool_log(s->pool, bad ? HB_LOG_WARN : HB_LOG_INFO,
		 "scrub %s: %llu MiB read; of %llu bad blocks %llu were healed, %llu are lost, %llu cannot be read",
		 state == HB_SCRUB_DONE ? "done" : "stopped", (unsigned long long)(st->done_bytes / MIB(1)),
		 (unsigned long long)st->found_blocks, (unsigned long long)st->healed_blocks,
		 (unsigned long long)st->lost_blocks, (unsigned long long)st->unreadable_blocks);
}

bool scrub_cut_off(struct scrub *s)
{
	struct hb_pool *p = s->pool;

	if (s->st.state != HB_SCRUB_STOPPING && !p->closing && !p->failed)
		return false;
	over(s, HB_SCRUB_STOPPED);
	return true;
}

void scrub_stretch_over(struct scrub *s)
{
	scrub_let_go(s);
	s->mend = s->again = s->unread = 0;
	s->st.done_bytes += s->live * BLK_BYTES;
}

void scrub_stretch_skipped(struct scrub *s)
{
	s->st.skipped_bytes += s->live * BLK_BYTES;
	s->wait_ns = pool_now(s->pool) + RETRY_NS;
	scrub_stretch_over(s);
}

/* ---------------------------------------------------------------- reading */

static uint64_t slot_off(const struct scrub *s, const struct tier *t)
{
	return t->l ? level_off(t->l, s->slot) : (uint64_t)s->slot.n * BLK_BYTES;
}

static void stretch_read(struct image *m)
{
	struct scrub *s = m->owner;
	struct hb_pool *p = s->pool;
	unsigned tier = s->st.tier;

	s->io = false;
	if (tier && tier < SCRUB_CAPACITY)
		level_read_ended(&p->levels[tier - 1], m->n, m->error);
	if (scrub_cut_off(s))
		return;
	if (m->error == -ETIMEDOUT || m->dev->failed) {
		scrub_stretch_skipped(s);
		return;
	}
	if (s->both && m == &s->image[0]) {
		s->io = image_read(&s->image[1], p->wt, 2, (uint64_t)s->slot.n * BLK_BYTES, 0, s->n);
		if (s->io)
			return;
		s->both = false;
	}
	scrub_judge(s);
	if (!scrub_has_work(s))
		scrub_stretch_over(s);
}

/* From now on the stretch of s->n blocks is being read. */
static bool begin(struct scrub *s, struct dev *dev, uint64_t off, struct seg *g)
{
	struct hb_pool *p = s->pool;
	uint64_t now = pool_now(p), rate = s->st.how.rate_bytes_s;

	s->both = dev == p->wt && dev_is_mirror(dev) && dev_mirror_state(dev, 0) == MIRROR_IN &&
		  dev_mirror_state(dev, 1) == MIRROR_IN;
	for (unsigned i = 0; i < 2; i++) {
		s->image[i].done = stretch_read;
		s->image[i].owner = s;
	}
	if (!image_read(&s->image[0], dev, s->both, off, 0, s->n)) {
		s->wait_ns = now + RETRY_NS;
		return false;
	}
	s->io = true;
	s->tries = 0;
	s->busy_ns = 0;
	s->held = g;
	if (g)
		g->readers++;
	if (rate)
		s->pace_ns = MAX(s->pace_ns, now) + s->n * BLK_BYTES * SEC_NS / rate;
	return true;
}

/* ---------------------------------------------------------------- the next stretch */

static bool readable(const struct tier *t, uint32_t no)
{
	const struct seg *g = &t->segs->v[no];

	return g->state == SEG_SEALED && g->buf < 0 && g->live && !g->unloaded &&
	       !(t->l && level_unloaded(t->l, (segno_t){no}));
}

/* A place that has nothing (more) to look at was passed; a stretch begins; not now; the tier ends. */
enum found { PASSED, BEGUN, NOT_NOW, END };

static enum found next_slots(struct scrub *s, const struct tier *t)
{
	struct seg *g = &t->segs->v[s->no];
	uint32_t base = s->no * t->segs->seg_blk, end;

	if (s->no > t->segs->nsegs)
		return END;
	while (readable(t, s->no) && s->at < g->used && idx_state(t->idx, (slot_t){base + s->at}) == SLOT_DEAD)
		s->at++;
	if (!readable(t, s->no) || s->at >= g->used) {
		s->no++;
		s->at = 0;
		return PASSED;
	}
	s->slot.n = base + s->at;
	s->n = s->live = 0;
	s->was_live = s->was_dirty = 0;
	end = MIN(g->used - s->at, SCRUB_BLK);
	for (uint32_t i = 0; i < end; i++) {
		enum slot_state st = idx_state(t->idx, (slot_t){s->slot.n + i});

		if (st == SLOT_DEAD || st == SLOT_LOST)
			continue;
		s->n = i + 1;
		s->live++;
		s->was_live |= 1ull << i;
		s->was_dirty |= (uint64_t)(st == SLOT_DIRTY) << i;
	}
	if (!s->n) { /* nothing but marks of loss */
		s->at += end;
		return PASSED;
	}
	if (!begin(s, t->dev, slot_off(s, t), g))
		return NOT_NOW;
	s->at += s->n;
	return BEGUN;
}

static bool in_use(const struct hb_pool *p, uint32_t i)
{
	chunk_t k = {p->sb.first_chunk + i};

	return chunks_exists(p->chunks, k) && chunks_refs(p->chunks, k);
}

/* The bytes are not kept, so it is no matter whose the chunk is when they come (P4). */
static enum found next_chunks(struct scrub *s)
{
	struct hb_pool *p = s->pool;
	uint32_t n = 0;

	if (!chunks_exists(p->chunks, (chunk_t){p->sb.first_chunk + s->no}))
		return END;
	while ((n + 1) * p->sb.chunk_blk <= SCRUB_BLK && in_use(p, s->no + n))
		n++;
	if (!n) {
		s->no++;
		return PASSED;
	}
	s->home.n = (uint64_t)(p->sb.first_chunk + s->no) * p->sb.chunk_blk;
	s->n = s->live = n * p->sb.chunk_blk;
	if (!begin(s, p->cap, s->home.n * BLK_BYTES, NULL))
		return NOT_NOW;
	s->no += n;
	return BEGUN;
}

static bool wanted(const struct scrub *s, unsigned tier)
{
	return s->st.how.what & (tier == SCRUB_CAPACITY ? HB_SCRUB_CAPACITY : HB_SCRUB_FAST);
}

/* NULL: there is none, or not any more. */
static struct dev *device(struct scrub *s)
{
	struct tier t;

	if (s->st.tier == SCRUB_CAPACITY)
		return s->pool->cap;
	return tier_of(s->pool, s->st.tier, &t) ? t.dev : NULL;
}

static enum found next_in_tier(struct scrub *s)
{
	const struct dev *dev = device(s);
	struct tier t;

	if (!dev || !wanted(s, s->st.tier))
		return END;
	if (dev->failed) {
		uint64_t left = left_here(s->pool, s);

		s->st.skipped_bytes += left;
		s->st.done_bytes += left;
		return END;
	}
	if (s->st.tier == SCRUB_CAPACITY)
		return next_chunks(s);
	if (!tier_of(s->pool, s->st.tier, &t))
		return END;
	if (t.l ? t.l->load_table != NULL : s->pool->loading) { /* what it holds is not known yet */
		s->wait_ns = pool_now(s->pool) + LOADING_NS;
		return NOT_NOW;
	}
	return next_slots(s, &t);
}

/* Somebody waits for this device. */
static bool busy(struct scrub *s, uint64_t now)
{
	const struct hb_pool *p = s->pool;
	const struct dev *dev = device(s);

	if (!dev || !dev->inflight || (!p->rd.nfetch && list_empty(&p->flush_waiters)))
		return false;
	if (!s->busy_ns)
		s->busy_ns = now;
	if (now - s->busy_ns >= PATIENCE_NS)
		return false;
	s->wait_ns = now + BUSY_NS;
	return true;
}

bool scrub_pump(struct hb_pool *p)
{
	struct scrub *s = p->scrub;
	uint64_t now;

	if (!s || s->io || !under_way(s))
		return false;
	if (scrub_cut_off(s))
		return true;
	now = pool_now(p);
	if (now < s->wait_ns)
		return false;
	if (scrub_has_work(s))
		return scrub_work(s);
	if (now < s->pace_ns || busy(s, now))
		return false;
	for (unsigned i = 0; i < LOOK_MAX; i++) {
		enum found f = next_in_tier(s);

		if (f == BEGUN || f == NOT_NOW)
			return f == BEGUN;
		if (f != END)
			continue;
		if (s->st.tier == SCRUB_CAPACITY) {
			over(s, HB_SCRUB_DONE);
			return true;
		}
		s->st.tier++;
		s->no = s->st.tier != SCRUB_CAPACITY;
		s->at = 0;
	}
	return true;
}

uint64_t scrub_deadline(const struct hb_pool *p)
{
	const struct scrub *s = p->scrub;

	if (!s || s->io || !under_way(s))
		return UINT64_MAX;
	return scrub_has_work(s) ? s->wait_ns : MAX(s->wait_ns, s->pace_ns);
}

/* ---------------------------------------------------------------- the face */

void scrub_fini(struct hb_pool *p)
{
	struct scrub *s = p->scrub;

	for (unsigned i = 0; s && !s->writing && i < 2; i++)
		image_fini(&s->image[i]);
	mem_free(s);
	p->scrub = NULL;
}

static struct scrub *scrub_new(struct hb_pool *p)
{
	struct scrub *s = mem_zalloc(sizeof(*s));

	if (!s)
		return NULL;
	p->scrub = s;
	s->pool = p;
	for (unsigned i = 0; i < 2; i++) {
		if (image_init(&s->image[i], SCRUB_BLK)) {
			scrub_fini(p);
			return NULL;
		}
	}
	return s;
}

int hb_scrub_start(struct hb_pool *p, const struct hb_scrub *how, struct err *err)
{
	struct scrub *s = p->scrub;

	if (!how->what || how->what & ~HB_SCRUB_ALL)
		return err_set(err, -EINVAL, "scrub: there is nothing of that kind to scrub");
	if (s && under_way(s))
		return err_set(err, -EBUSY, "pool %s is being scrubbed already", p->sb.name);
	if (p->read_only || p->failed || p->closing)
		return err_set(err, p->failed ? -EIO : -EROFS, "pool %s takes no changes", p->sb.name);
	if (!s)
		s = scrub_new(p);
	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	s->st = (struct hb_scrub_status){.state = HB_SCRUB_RUNNING, .how = *how,
					 .started_s = p->env.wall_s(p->env.ctx)};
	s->start_ns = pool_now(p);
	s->pace_ns = s->wait_ns = s->busy_ns = 0;
	s->no = 1;
	s->at = 0;
	p->due = true;
	return 0;
}

void hb_scrub_stop(struct hb_pool *p)
{
	struct scrub *s = p->scrub;

	if (!s || !under_way(s))
		return;
	s->st.state = HB_SCRUB_STOPPING;
	if (!s->io)
		scrub_cut_off(s);
}

void hb_scrub_status(const struct hb_pool *pool, struct hb_scrub_status *ret)
{
	struct hb_pool *p = (struct hb_pool *)pool; /* nothing is changed */
	const struct scrub *s = p->scrub;
	uint64_t left = 0, ms, per_ms;

	*ret = s ? s->st : (struct hb_scrub_status){.state = HB_SCRUB_NEVER};
	ret->total_bytes = ret->done_bytes;
	if (!s || !under_way(s))
		return;
	if (wanted(s, s->st.tier))
		left = left_here(p, s);
	for (unsigned t = s->st.tier + 1; t <= SCRUB_CAPACITY; t++)
		left += wanted(s, t) ? tier_bytes(p, t) : 0;
	ret->total_bytes += left;
	ms = (pool_now(p) - s->start_ns) / MSEC_NS;
	per_ms = ms ? ret->done_bytes / ms : 0;
	if (!per_ms)
		per_ms = s->st.how.rate_bytes_s / 1000;
	ret->eta_s = per_ms ? DIV_UP(left / per_ms, 1000) : UINT64_MAX;
}
