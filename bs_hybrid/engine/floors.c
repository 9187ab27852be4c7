/* SPDX-License-Identifier: GPL-2.0-only */
/* floors.c - room in the caches that is set aside for a volume: as long as it has less than its floor there, others do
 * not take it away.
 *
 * A floor is so much of the write tier, and the same part of RAM. Caches know pool blocks, and a slot has no bits to
 * spare; but few volumes have floors. So the pool keeps whose a chunk is (cache/owners.h): by walking the maps of these
 * volumes, some chunks a turn, when the pool was opened or a floor was set, and at once when such a volume maps a
 * block. A chunk that several of them share is the first one's. From chunks follow counts of slots, which are exact:
 * whoever enters or leaves the index is counted, and when a chunk changes hands its blocks are looked up.
 *
 * What a floor does. Write tier: a clean block whose owner has not more than its floor is appended again when its
 * segment is emptied, hit or not; and one that leaves RAM is admitted, earned or not, while its owner has less. RAM:
 * see cache/guard.h. A chunk that a write left behind to a snapshot stays its owner's: what is unused goes, as soon as
 * the owner has more than its floor. Cache levels know no floors: they have what these two had no room for.
 *
 * Writers come first. A segment full of such blocks takes as much as it gives back, so the cleaner has to go on to
 * others. It does so only until what it has emptied will do, for segments become free in the order in which they were
 * emptied, and none sooner because more were. When free segments, those to come included, are short all the same, half
 * a segment at most is appended again, and the owner falls below its floor for a while.
 *
 * Crash story: there is none. Owners, counts and queues are of this life of the process; the attribute is in its
 * record.
 */
#include "engine/pool.h"
#include "format/volrec.h"

#define WALK_CHUNKS 256u /* in a turn: half a millisecond */
#define WALK_PAUSE_NS (2 * MSEC_NS)
#define WALK_AGAIN_NS (60 * SEC_NS) /* what came by sharing, or found no memory */
#define SWEEP_BYTES 65536u
#define MIB_BLK (MIB(1) / BLK_BYTES)

/* ---------------------------------------------------------------- whose */

static uint8_t owner_of(const struct hb_pool *p, pblk_t b)
{
	return p->floors.own ? owners_get(p->floors.own, chunk_of(p, b)) : 0;
}

static void walk_again(struct hb_pool *p)
{
	p->floors.again = true;
	if (p->floors.walk_ns == UINT64_MAX)
		p->floors.walk_ns = pool_now(p) + WALK_AGAIN_NS;
}

/* The chunk changes hands, or its frames are to stand as the floor is now. */
static void hand_over(struct hb_pool *p, chunk_t k, uint8_t no)
{
	struct floors *s = &p->floors;
	uint8_t was = owners_get(s->own, k);
	uint32_t n = 0;

	if (was != no && owners_set(s->own, k, no)) {
		walk_again(p);
		return;
	}
	for (uint32_t i = 0; i < p->sb.chunk_blk; i++) {
		pblk_t b = {(uint64_t)k.n * p->sb.chunk_blk + i};
		struct frame *f = ram_find(p->ram, b);

		n += was != no && idx_find(p->idx, b).n;
		if (f)
			ram_own(p->ram, f, no);
	}
	s->of[was].cached_blk -= was ? n : 0;
	s->of[no].cached_blk += no ? n : 0;
}

static void claim(struct hb_volume *v, chunk_t k, bool again)
{
	struct hb_pool *p = v->pool;
	uint8_t was = owners_get(p->floors.own, k);

	if (was == v->owner ? again : !p->floors.of[was].v)
		hand_over(p, k, v->owner);
}

void floors_mapped(struct hb_volume *v, pblk_t b)
{
	claim(v, chunk_of(v->pool, b), false);
}

void floors_freed(struct hb_pool *p, chunk_t k)
{
	if (p->floors.own && owners_get(p->floors.own, k))
		hand_over(p, k, 0);
}

void floors_shared(struct hb_volume *v)
{
	if (v->owner)
		walk_again(v->pool);
}

void floors_count(struct hb_pool *p, pblk_t b, int by)
{
	uint8_t no = owner_of(p, b);

	if (no)
		p->floors.of[no].cached_blk += (uint64_t)(int64_t)by;
}

void floors_frame(struct hb_pool *p, struct frame *f, pblk_t b)
{
	uint8_t no = owner_of(p, b);

	if (no)
		ram_own(p->ram, f, no);
}

/* ---------------------------------------------------------------- what they do */

bool floors_keep(const struct hb_pool *p, pblk_t b)
{
	const struct floor_of *f = &p->floors.of[owner_of(p, b)];

	return f->v && f->cached_blk <= f->blk && !BUG(FLOOR_FORGOTTEN);
}

bool floors_admit(struct hb_pool *p, pblk_t b)
{
	const struct floor_of *f = &p->floors.of[owner_of(p, b)];
	slot_t s;

	return f->v && f->cached_blk < f->blk && !level_find(p, b, &s);
}

static uint64_t tier_blk(const struct hb_pool *p)
{
	return (uint64_t)p->segs.nsegs * p->sb.seg_blk;
}

bool floors_at_ease(struct hb_pool *p)
{
	struct floors *s = &p->floors;
	uint64_t kept = p->pins.set ? MIN(dirty_count(p->pins.set), tier_blk(p) / 2) : 0;

	if (!s->own)
		return true;
	for (uint32_t i = 1; i <= OWNERS_MAX; i++)
		kept += s->of[i].blk;
	return kept <= tier_blk(p) / 4 * 3 &&
	       p->segs.nfree + segs_coming(&p->segs) > MAX(FREE_SEGS_USER, clean_low(p) / 2);
}

bool floors_enough_coming(struct hb_pool *p)
{
	return p->floors.own && p->segs.nfree + segs_coming(&p->segs) >= clean_low(p);
}

/* ---------------------------------------------------------------- who has one */

static bool has_floor(const struct hb_volume *v)
{
	return v->attr.cache_floor_mib && !(v->flags & VOLREC_DELETING);
}

int floors_check(const struct hb_volume *v, uint32_t mib, struct err *err)
{
	uint64_t sum = mib, most = tier_blk(v->pool) / 2 / MIB_BLK;
	uint32_t n = 1;

	list_each(l, &v->pool->floors.vols) {
		const struct hb_volume *o = list_entry(l, struct hb_volume, flooring);

		sum += o == v ? 0 : o->attr.cache_floor_mib;
		n += o != v;
	}
	if (n > HB_FLOORS_MAX)
		return err_set(err, -ENOSPC, "at most %u volumes can have a cache floor", HB_FLOORS_MAX);
	if (sum > most)
		return err_set(err, -ENOSPC, "with this cache floor %llu MiB would be set aside: at most half "
			       "of the write tier can be, %llu MiB", (unsigned long long)sum,
			       (unsigned long long)most);
	return 0;
}

static void retire(struct hb_volume *v)
{
	struct hb_pool *p = v->pool;
	struct floor_of *f = &p->floors.of[v->owner];

	if (!v->owner)
		return;
	f->v = NULL;
	f->old = true;
	f->blk = 0;
	ram_floor(p->ram, v->owner, 0);
	v->owner = 0;
}

void floors_volume(struct hb_volume *v, bool gone)
{
	struct floors *s = &v->pool->floors;
	bool on = !gone && has_floor(v);

	if (!on && !link_on_list(&v->flooring))
		return;
	if (!on) {
		list_del(&v->flooring);
		retire(v);
	} else if (!link_on_list(&v->flooring)) {
		list_push(&s->vols, &v->flooring);
	}
	s->changed = true;
	s->walk = NULL;
	s->walk_ns = 0;
	v->pool->due = true;
}

static uint64_t frames_for(const struct hb_pool *p, uint64_t blk)
{
	return (uint64_t)((unsigned __int128)blk * ram_frames(p->ram) / tier_blk(p));
}

static uint8_t number(struct floors *s)
{
	for (uint32_t i = 1; i <= OWNERS_MAX; i++)
		if (!s->of[i].v && !s->of[i].old)
			return (uint8_t)i;
	return 0; /* until one was swept */
}

/* Floors as the attributes are. They were checked when they were set; should they be more than half all the same, each
 * is so much smaller. */
static void settle(struct hb_pool *p)
{
	struct floors *s = &p->floors;
	uint64_t sum = 0, most = tier_blk(p) / 2;

	s->changed = false;
	if (!s->own && !list_empty(&s->vols))
		s->own = owners_new();
	if (!s->own)
		return;
	list_each(l, &s->vols) {
		struct hb_volume *v = list_entry(l, struct hb_volume, flooring);

		if (!v->owner)
			v->owner = number(s);
		if (v->owner)
			s->of[v->owner].v = v;
		sum += (uint64_t)v->attr.cache_floor_mib * MIB_BLK;
	}
	list_each(l, &s->vols) {
		struct hb_volume *v = list_entry(l, struct hb_volume, flooring);
		uint64_t blk = v->attr.mode == HB_MODE_NONE ? 0 : (uint64_t)v->attr.cache_floor_mib * MIB_BLK;

		if (sum > most)
			blk = (uint64_t)((unsigned __int128)blk * most / sum);
		if (v->owner) {
			s->of[v->owner].blk = (uint32_t)blk;
			ram_floor(p->ram, v->owner, (uint32_t)frames_for(p, blk));
		}
	}
}

/* ---------------------------------------------------------------- walking and sweeping */

static struct hb_volume *after(struct floors *s, struct hb_volume *v)
{
	struct link *l = v ? v->flooring.next : s->vols.next;

	return l == &s->vols ? NULL : list_entry(l, struct hb_volume, flooring);
}

/* One chunk of the volume's. */
static void walk_chunk(struct hb_pool *p, struct hb_volume *v)
{
	struct floors *s = &p->floors;
	uint64_t end;

	s->at = v->owner ? map_next_mapped(&p->maps, &v->map, (vblk_t){s->at}).n : UINT64_MAX;
	if (s->at >= v->size_blk) {
		s->walk = after(s, v);
		s->at = 0;
		return;
	}
	end = ROUND_DOWN(s->at, p->sb.chunk_blk) + p->sb.chunk_blk;
	while (s->at < end) {
		pblk_t b;
		uint64_t n = map_find_run(&p->maps, &v->map, (vblk_t){s->at}, end - s->at, &b);

		if (b.n)
			claim(v, chunk_of(p, b), true);
		s->at += n;
	}
}

/* Chunks with numbers that are nobody's any more; then these can be somebody's again. False: there are none. */
static bool sweep_some(struct hb_pool *p)
{
	struct floors *s = &p->floors;
	uint32_t no = 1;

	while (no <= OWNERS_MAX && !s->of[no].old)
		no++;
	if (no > OWNERS_MAX)
		return false;
	for (uint32_t i = 0; i < WALK_CHUNKS; i++) {
		int rc = owners_next(s->own, (uint8_t)no, &s->sweep, SWEEP_BYTES);

		if (rc > 0) {
			hand_over(p, s->sweep, 0);
			continue;
		}
		if (rc < 0) {
			assert(!s->of[no].cached_blk);
			s->of[no].old = false;
			s->sweep = CHUNK_NONE;
			s->changed = true;
		}
		break;
	}
	return true;
}

void floors_pump(struct hb_pool *p)
{
	struct floors *s = &p->floors;
	uint64_t now;

	if (s->walk_ns == UINT64_MAX || p->closing || p->failed || p->read_only)
		return;
	now = pool_now(p);
	if (now < s->walk_ns)
		return;
	s->walk_ns = now + WALK_PAUSE_NS;
	if (s->changed)
		settle(p);
	if (!s->own) {
		s->walk_ns = list_empty(&s->vols) ? UINT64_MAX : now + WALK_AGAIN_NS;
		s->changed = !list_empty(&s->vols);
		return;
	}
	if (sweep_some(p))
		return;
	if (list_empty(&s->vols)) {
		owners_free(s->own);
		s->own = NULL;
		s->walk_ns = UINT64_MAX;
		return;
	}
	if (!s->walk) {
		s->walk = after(s, NULL);
		s->at = 0;
		s->again = false;
	}
	for (uint32_t i = 0; i < WALK_CHUNKS && s->walk; i++)
		walk_chunk(p, s->walk);
	if (!s->walk)
		s->walk_ns = s->again ? now + WALK_AGAIN_NS : UINT64_MAX;
}

uint64_t floors_deadline(const struct hb_pool *p)
{
	return p->closing || p->failed || p->read_only ? UINT64_MAX : p->floors.walk_ns;
}

void floors_init(struct hb_pool *p)
{
	list_init(&p->floors.vols);
	p->floors.walk_ns = UINT64_MAX;
}

void floors_fini(struct hb_pool *p)
{
	owners_free(p->floors.own);
}

/* ---------------------------------------------------------------- looking at it */

void floors_info(const struct hb_volume *v, struct hb_volume_info *ret)
{
	const struct hb_pool *p = v->pool;
	const struct floor_of *f = &p->floors.of[v->owner];

	if (!v->owner)
		return;
	ret->floor_write_bytes = (uint64_t)f->blk * BLK_BYTES;
	ret->floor_ram_bytes = frames_for(p, f->blk) * BLK_BYTES;
	ret->cached_write_bytes = f->cached_blk * BLK_BYTES;
	ret->cached_ram_bytes = ram_owned(p->ram, v->owner) * BLK_BYTES;
}

unsigned floors_miscounted(struct hb_pool *p)
{
	uint64_t n[OWNERS_MAX + 1] = {0};

	for (uint32_t i = p->sb.seg_blk; p->floors.own && i < (p->segs.nsegs + 1) * p->sb.seg_blk; i++)
		if (idx_state(p->idx, (slot_t){i}) != SLOT_DEAD)
			n[owner_of(p, idx_pblk(p->idx, (slot_t){i}))]++;
	for (uint32_t i = 1; i <= OWNERS_MAX; i++)
		if (n[i] != p->floors.of[i].cached_blk)
			return i;
	return 0;
}
