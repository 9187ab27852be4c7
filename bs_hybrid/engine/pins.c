/* SPDX-License-Identifier: GPL-2.0-only */
/* pins.c - blocks that stay on the fast tiers, since a volume's attributes say so.
 *
 * Pins name blocks of volumes; caches know pool blocks. So the pool keeps the set of pool blocks that are pinned. It is
 * filled by walking the maps of all pinned ranges, some blocks a turn, into a new set, while the old one counts; writes
 * to pinned ranges enter their blocks at once, into both, and blocks that are freed leave both. A block that a write
 * left behind to a snapshot stays in the set until it is filled again: that costs room, never bytes.
 *
 * What a pin does: the cleaner appends a pinned clean block again, always; one that leaves RAM is admitted as if it had
 * earned it; and those that no fast tier holds are brought into RAM in the background, while the capacity device has
 * little else to do. Nothing else: a pinned block is as clean or dirty as any other, and a tier that needs the room for
 * writes lets it go for a while.
 *
 * At most half of a tier is for pins. If more is pinned, which part is not depends on a hash of the block, so that
 * cleaner, admission and loader agree without keeping a list.
 */
#include "engine/pool.h"
#include "format/volrec.h"

#define STEP_BLK 8192u /* of a walk, in a turn */
#define STEP_RUNS 256u
#define LOAD_DEPTH 8u
#define LOAD_PAUSE_NS (10 * MSEC_NS)
#define LOAD_AGAIN_NS (10 * SEC_NS) /* after a pass that found something missing */
#define LOAD_IDLE_NS (60 * SEC_NS) /* after one that did not */
#define FILL_AGAIN_NS (60 * SEC_NS)

/* ---------------------------------------------------------------- the set */

bool pins_has(const struct hb_pool *p, pblk_t b)
{
	return p->pins.set && dirty_test(p->pins.set, b);
}

/* How many pinned blocks the tiers down to number `no` keep. */
static uint64_t room(const struct hb_pool *p, unsigned no)
{
	uint64_t n = (uint64_t)p->segs.nsegs * p->sb.seg_blk;

	for (uint32_t i = 0; i < p->nlevels; i++)
		if (p->levels[i].no <= no && p->levels[i].state == LEVEL_ON)
			n += (uint64_t)p->levels[i].segs.nsegs * p->levels[i].sb.seg_blk;
	return n / 2;
}

bool pins_keep(const struct hb_pool *p, pblk_t b, unsigned no)
{
	uint64_t n, most;

	if (!pins_has(p, b) || (BUG(PIN_FORGOTTEN) && !no))
		return false;
	n = dirty_count(p->pins.set);
	most = room(p, no);
	return n <= most || (unsigned __int128)hash64(b.n) * n >> 64 < most;
}

bool pins_admit(struct hb_pool *p, pblk_t b)
{
	slot_t s;

	return pins_keep(p, b, HB_LEVELS_MAX) && !level_find(p, b, &s);
}

static bool in_pins(const struct hb_volume *v, uint64_t vb)
{
	for (uint32_t i = 0; i < v->attr.npins; i++)
		if (vb >= v->attr.pin[i].first_blk && vb - v->attr.pin[i].first_blk < v->attr.pin[i].nblk)
			return true;
	return false;
}

bool pins_overlap(const struct hb_volume *v, uint64_t from, uint64_t to)
{
	for (uint32_t i = 0; i < v->attr.npins && v->attr.mode != HB_MODE_NONE; i++) {
		const struct hb_pin *pin = &v->attr.pin[i];

		if (to > pin->first_blk && (from <= pin->first_blk || from - pin->first_blk < pin->nblk))
			return true;
	}
	return false;
}

static void stale(struct hb_pool *p)
{
	p->pins.fill_ns = MIN(p->pins.fill_ns, pool_now(p) + FILL_AGAIN_NS);
}

void pins_written(struct hb_pool *p, const struct hb_volume *v, vblk_t vb, pblk_t old, pblk_t b)
{
	struct pins *s = &p->pins;

	if (!s->set || v->attr.mode == HB_MODE_NONE || !in_pins(v, vb.n))
		return;
	if (dirty_set(s->set, b) || (s->next && dirty_set(s->next, b)) || (old.n && old.n != b.n))
		stale(p);
}

void pins_killed(struct hb_pool *p, pblk_t b)
{
	if (p->pins.set)
		dirty_clear(p->pins.set, b);
	if (p->pins.next)
		dirty_clear(p->pins.next, b);
}

void pins_shared(struct hb_pool *p, const struct hb_volume *v)
{
	if (v->attr.npins && p->pins.set)
		stale(p);
}

void pins_volume(struct hb_volume *v, bool gone)
{
	struct hb_pool *p = v->pool;
	bool on = v->attr.npins && v->attr.mode != HB_MODE_NONE && !gone && !(v->flags & VOLREC_DELETING);

	if (!on && !link_on_list(&v->pinning))
		return;
	if (on != link_on_list(&v->pinning)) {
		if (on)
			list_push(&p->pins.vols, &v->pinning);
		else
			list_del(&v->pinning);
	}
	v->pinned_blk = v->pinned_cached_blk = 0;
	p->pins.changed = true;
	p->due = true;
}

void pins_init(struct hb_pool *p)
{
	list_init(&p->pins.vols);
	p->pins.fill_ns = p->pins.load_ns = UINT64_MAX;
}

void pins_fini(struct hb_pool *p)
{
	if (p->pins.set)
		dirty_free(p->pins.set);
	if (p->pins.next)
		dirty_free(p->pins.next);
}

/* ---------------------------------------------------------------- walking */

static void walk_start(struct hb_pool *p, struct pin_walk *w)
{
	*w = (struct pin_walk){0};
	if (!list_empty(&p->pins.vols))
		w->v = list_first(&p->pins.vols, struct hb_volume, pinning);
}

/* The next run of mapped blocks, at most `most`. 0: the walk is over. */
static uint64_t walk_next(struct hb_pool *p, struct pin_walk *w, uint64_t most, pblk_t *ret)
{
	while (w->v) {
		struct hb_volume *v = w->v;
		const struct hb_pin *pin = &v->attr.pin[w->pin];
		uint64_t end, n;

		if (w->pin >= v->attr.npins) {
			struct link *next = v->pinning.next;

			v->pinned_blk = w->blk;
			w->blk = 0;
			w->v = next == &p->pins.vols ? NULL : list_entry(next, struct hb_volume, pinning);
			w->pin = 0;
			w->at = 0;
			continue;
		}
		end = pin->nblk > v->size_blk - MIN(pin->first_blk, v->size_blk) ? v->size_blk :
										    pin->first_blk + pin->nblk;
		w->at = MAX(w->at, pin->first_blk);
		if (w->at < end)
			w->at = map_next_mapped(&p->maps, &v->map, (vblk_t){w->at}).n;
		if (w->at >= end) {
			w->pin++;
			w->at = 0; /* of the next range: what lies before it is skipped above */
			continue;
		}
		n = map_find_run(&p->maps, &v->map, (vblk_t){w->at}, MIN(end - w->at, most), ret);
		w->at += n;
		w->blk += n;
		return n;
	}
	return 0;
}

/* ---------------------------------------------------------------- filling */

static void fill_start(struct hb_pool *p)
{
	struct pins *s = &p->pins;

	if (s->next)
		dirty_free(s->next);
	s->next = NULL;
	s->live |= s->changed;
	s->changed = false;
	s->load_ns = s->fill_ns = UINT64_MAX;
	if (list_empty(&s->vols)) {
		if (s->set)
			dirty_free(s->set);
		s->set = NULL;
		return;
	}
	if (!s->set) /* so that writes enter theirs from now on */
		s->set = dirty_new();
	s->next = s->set ? dirty_new() : NULL;
	if (!s->next)
		stale(p);
	walk_start(p, &s->fill);
}

static void say_excess(struct hb_pool *p)
{
	uint64_t n = dirty_count(p->pins.set), most = room(p, HB_LEVELS_MAX);

	if (n > most && !p->pins.said)
		pool_log(p, HB_LOG_WARN,
			 "%llu MiB are pinned, and half of the SSD tiers is %llu MiB: the rest is cached like "
			 "anything else",
			 (unsigned long long)(n * BLK_BYTES / MIB(1)),
			 (unsigned long long)(most * BLK_BYTES / MIB(1)));
	p->pins.said = n > most;
}

static void fill_some(struct hb_pool *p)
{
	struct pins *s = &p->pins;
	uint64_t n, blks = 0;
	pblk_t b;

	for (uint32_t i = 0; i < STEP_RUNS && blks < STEP_BLK; i++, blks += n) {
		n = walk_next(p, &s->fill, STEP_BLK, &b);
		for (uint64_t k = 0; k < n; k++) {
			if (dirty_set(s->next, (pblk_t){b.n + k})) { /* no memory: the old set counts on */
				dirty_free(s->next);
				s->next = NULL;
				stale(p);
				return;
			}
		}
		if (!n) {
			dirty_free(s->set);
			s->set = s->next;
			s->next = NULL;
			say_excess(p);
			s->load_ns = pool_now(p);
			walk_start(p, &s->load);
			s->run = s->missing = s->cached = 0;
			return;
		}
	}
}

/* ---------------------------------------------------------------- loading */

static bool held(struct hb_pool *p, pblk_t b)
{
	slot_t s;

	return ram_find(p->ram, b) || idx_find(p->idx, b).n || level_find(p, b, &s);
}

/* What the tiers hold is not all known yet. */
static bool still_loading(const struct hb_pool *p)
{
	bool any = p->loading;

	for (uint32_t i = 0; i < p->nlevels; i++)
		any |= p->levels[i].state == LEVEL_ON && p->levels[i].load_table;
	return any;
}

static bool load_one(struct hb_pool *p, pblk_t b)
{
	struct pins *s = &p->pins;

	if (s->loading >= LOAD_DEPTH || p->cap->inflight > s->loading + 1 || !fetch_own(p, b))
		return false;
	s->missing++;
	return true;
}

/* The blocks of one run. False: the device, or what reads need, is busy; later. */
static bool load_run(struct hb_pool *p)
{
	struct pins *s = &p->pins;

	for (; s->run; s->run--, s->at.n++) {
		bool there = held(p, s->at), keep = there || pins_keep(p, s->at, HB_LEVELS_MAX);

		if (!there && keep && !load_one(p, s->at))
			return false;
		s->cached += keep;
	}
	return true;
}

static void load_some(struct hb_pool *p, uint64_t now)
{
	struct pins *s = &p->pins;
	uint64_t blks = 0;

	if (still_loading(p) || p->cap->failed) {
		s->load_ns = now + SEC_NS;
		return;
	}
	s->load_ns = now + LOAD_PAUSE_NS;
	for (uint32_t i = 0; i < STEP_RUNS && blks < STEP_BLK; i++) {
		bool all = load_run(p);

		if (s->counting && s->live) /* the first pass tells how far it is */
			s->counting->pinned_cached_blk = s->cached;
		if (!all)
			break;
		s->run = walk_next(p, &s->load, STEP_BLK, &s->at);
		blks += s->run;
		if (s->load.v != s->counting) {
			if (s->counting)
				s->counting->pinned_cached_blk = s->cached;
			s->cached = 0;
			s->counting = s->load.v;
		}
		if (!s->run) { /* the pass is over */
			s->load_ns = now + (s->missing ? LOAD_AGAIN_NS : LOAD_IDLE_NS);
			s->live = false;
			s->missing = 0;
			walk_start(p, &s->load);
			break;
		}
	}
	fetch_flush(p);
}

void pins_left(struct hb_pool *p, pblk_t b)
{
	if (p->pins.load_ns != UINT64_MAX && pins_keep(p, b, HB_LEVELS_MAX) && !held(p, b))
		p->pins.load_ns = MIN(p->pins.load_ns, pool_now(p) + SEC_NS);
}

bool pins_pump(struct hb_pool *p)
{
	struct pins *s = &p->pins;
	uint64_t now;

	if (p->closing || p->failed || p->read_only || (!s->changed && !s->set && !s->next))
		return false;
	now = pool_now(p);
	if (s->changed || now >= s->fill_ns) {
		s->counting = NULL;
		fill_start(p);
	}
	if (s->next)
		fill_some(p);
	else if (now >= s->load_ns)
		load_some(p, now);
	return s->next != NULL;
}

uint64_t pins_deadline(const struct hb_pool *p)
{
	const struct pins *s = &p->pins;

	return p->closing || p->failed || p->read_only ? UINT64_MAX : MIN(s->fill_ns, s->load_ns);
}
