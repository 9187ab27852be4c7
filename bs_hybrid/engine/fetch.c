/* SPDX-License-Identifier: GPL-2.0-only */
/* fetch.c - bringing blocks from a device into frames of the RAM tier.
 *
 * One fetch per block, joined by all who want it; neighbours on the same device share one read. When the bytes are
 * there: check them (write tier), hand them to those who wait, publish the frame if the block was not overwritten
 * meanwhile (P6), and offer what the RAM tier evicted to the write tier if it earned it.
 *
 * A bad checksum or a read error on the write tier: a clean block is read from the capacity device instead; a dirty
 * one is lost, its readers get -EBADMSG (or the device's error) and it stays marked until somebody rewrites it.
 * A device that answers too late may still write into the frame: it is given up (ram_leak).
 */
#include "engine/pool.h"

static void start(struct hb_pool *p, struct fetch *f);

static struct seg *segs_of(struct hb_pool *p, uint8_t from, slot_t s)
{
	return segs_of_slot(from == FROM_WRITE ? &p->segs : &p->levels[from - FROM_WRITE - 1].segs, s);
}

int reader_init(struct hb_pool *p)
{
	struct reader *r = &p->rd;

	r->fetches = mem_calloc(FETCHES, sizeof(*r->fetches));
	r->waiters = mem_calloc(WAITERS, sizeof(*r->waiters));
	r->ios = mem_calloc(READ_IOS, sizeof(*r->ios));
	if (!r->fetches || !r->waiters || !r->ios)
		return -ENOMEM;
	for (uint32_t i = 0; i < FETCHES; i++) {
		r->fetches[i].next_free = r->fetch_free;
		r->fetch_free = &r->fetches[i];
	}
	for (uint32_t i = 0; i < WAITERS; i++) {
		r->waiters[i].next = r->waiter_free;
		r->waiter_free = &r->waiters[i];
	}
	for (uint32_t i = 0; i < READ_IOS; i++) {
		r->ios[i].pool = p;
		r->ios[i].next_free = r->io_free;
		r->io_free = &r->ios[i];
	}
	for (uint32_t i = 0; i < FETCH_HASH; i++)
		list_init(&r->hash[i]);
	r->nio_free = READ_IOS;
	list_init(&r->cap_order);
	r->next_read_id = 1;
	return 0;
}

void reader_fini(struct hb_pool *p)
{
	mem_free(p->rd.fetches);
	mem_free(p->rd.waiters);
	mem_free(p->rd.ios);
}

/* To the write tier, unless the log needs the room itself. */
static bool admit_to_log(struct hb_pool *p, pblk_t b, const void *data)
{
	struct rec r = {.pblk = b.n, .flags = REC_CLEAN | REC_MOVED};
	uint32_t crc;
	slot_t s;

	if (p->segs.nfree <= clean_low(p) / 2 || !log_room(p, 1, 0, false))
		return false;
	s = log_data(p, &r, data, &crc);
	log_publish(p);
	blk_put(p, s, b, crc, SLOT_CLEAN);
	idx_set_earned(p->idx, s, true);
	p->st.admitted_blocks++;
	return true;
}

/* Offers a clean block that leaves RAM, and that was worth a second look, to the write tier; if it has no room, to the
 * level below. One that some level holds rises by one. */
static void admit_clean(struct hb_pool *p, pblk_t b, const void *data)
{
	struct level *l, *up = NULL;
	slot_t s;

	if (p->failed || p->read_only || p->closing || idx_find(p->idx, b).n)
		return;
	l = level_find(p, b, &s);
	if (l) {
		for (uint32_t i = 0; i + 1 < l->no; i++)
			if (p->levels[i].state == LEVEL_ON)
				up = &p->levels[i];
		level_drop(l, s); /* first: (L1) */
		l->st.risen_blocks++;
	}
	if (!up && admit_to_log(p, b, data))
		return;
	if (!up)
		up = level_below(p, 0);
	if (up)
		level_put(up, b, data, crc32c(0, data, BLK_BYTES), true);
}

/* A frame to read into, with one pin; makes room by evicting. */
static struct frame *take_frame(struct hb_pool *p)
{
	pblk_t victim = {0};
	bool earned = false;
	struct frame *f = ram_take(p->ram, &victim, &earned);

	if (f && victim.n && (earned || pins_admit(p, victim) || floors_admit(p, victim)))
		admit_clean(p, victim, ram_data(p->ram, f));
	if (victim.n)
		pins_left(p, victim);
	return f;
}

static void put_fetch(struct hb_pool *p, struct fetch *f)
{
	if (link_on_list(&f->hash))
		list_del(&f->hash);
	f->next_free = p->rd.fetch_free;
	p->rd.fetch_free = f;
	p->rd.nfetch--;
	p->pins.loading -= f->own;
	read_ended(p, f);
}

static void answer_waiters(struct hb_pool *p, struct fetch *f, int error)
{
	struct waiter *w = f->waiters;

	while (w) {
		struct waiter *next = w->next;
		struct hb_req *r = w->req;

		if (error) {
			uint64_t at = w->dst ? (uint64_t)(w->dst - (uint8_t *)r->buf) : r->pos;

			req_fail(r, error, r->off_bytes + at);
		} else {
			if (w->dst)
				memcpy(w->dst, (uint8_t *)ram_data(p->ram, f->f) + w->off, w->len);
			if (w->pin) {
				ram_pin(f->f);
				r->pinned[r->npinned++] = f->f;
			}
		}
		assert(r->waiting > 0);
		if (--r->waiting == 0)
			req_wake(r);
		w->next = p->rd.waiter_free;
		p->rd.waiter_free = w;
		w = next;
	}
	f->waiters = NULL;
}

static void finish(struct hb_pool *p, struct fetch *f, int error)
{
	if (!error && f->keep && !f->poisoned && !ram_find(p->ram, f->p)) {
		ram_insert(p->ram, f->f, f->p);
		f->f->ahead = f->ahead;
		if (p->floors.own)
			floors_frame(p, f->f, f->p);
		p->st.filled_blocks++;
	}
	answer_waiters(p, f, error);
	if (error == -ETIMEDOUT)
		ram_leak(p->ram, f->f);
	else
		ram_unpin(p->ram, f->f);
	put_fetch(p, f);
	req_wake_all(&p->starved);
}

/* Where f's block is now. */
static void place(struct hb_pool *p, struct fetch *f)
{
	struct level *l;

	f->from = FROM_CAPACITY;
	f->slot = idx_find(p->idx, f->p);
	if (f->slot.n) {
		f->from = FROM_WRITE;
		f->crc = idx_crc(p->idx, f->slot);
	} else if ((l = level_find(p, f->p, &f->slot))) {
		f->from = (uint8_t)(FROM_WRITE + l->no);
		f->crc = idx_crc(l->idx, f->slot);
	}
}

/* Once more, from where the block is now. A frame that a late device may still write into is given up first. */
static void fetch_again(struct hb_pool *p, struct fetch *f, int error)
{
	const uint8_t *newest;

	if (error == -ETIMEDOUT) {
		struct frame *frame = take_frame(p);

		if (frame) {
			ram_leak(p->ram, f->f);
			f->f = frame;
			error = -EIO;
		}
	}
	if (error == -ETIMEDOUT || !p->rd.io_free) {
		finish(p, f, error);
		return;
	}
	newest = blk_in_memory(p, f->p);
	if (newest) {
		memcpy(ram_data(p->ram, f->f), newest, BLK_BYTES);
		finish(p, f, 0);
		return;
	}
	f->side = 0;
	place(p, f);
	start(p, f);
	fetch_flush(p);
}

/* A level did not give the right bytes: the slot is no good. */
static void heal_level(struct hb_pool *p, struct fetch *f, int error)
{
	struct level *l = &p->levels[f->from - FROM_WRITE - 1];
	slot_t now = l->state == LEVEL_ON ? idx_find(l->idx, f->p) : SLOT_NONE;

	l->st.bad_blocks += error == -EBADMSG;
	if (now.n && now.n == f->slot.n)
		level_drop(l, now);
	fetch_again(p, f, error);
}

/* The slot did not give the right bytes. */
static void heal(struct hb_pool *p, struct fetch *f, int error)
{
	slot_t now = idx_find(p->idx, f->p);
	bool current = now.n == f->slot.n && idx_crc(p->idx, now) == f->crc;

	/* A half that does not answer is out by now: the other one, into another frame. */
	if (error == -ETIMEDOUT && current && p->halves.mirrored && !p->wt->failed) {
		fetch_again(p, f, error);
		return;
	}

	p->st.checksum_errors++;
	if (current && idx_state(p->idx, now) == SLOT_LOST) { /* another read found it first: the mark stays */
		finish(p, f, -EBADMSG);
		return;
	}
	if (current && idx_state(p->idx, now) == SLOT_DIRTY) {
		if (error == -EBADMSG) { /* a read error may go away; wrong bytes will not */
			pool_log(p, HB_LOG_ERROR, "block %llu is lost: the write tier returned wrong bytes",
				 (unsigned long long)f->p.n);
			blk_set_state(p, now, SLOT_LOST);
		}
		finish(p, f, error);
		return;
	}
	if (f->poisoned || (!current && now.n)) { /* overwritten meanwhile: the newest will do as well */
		const uint8_t *newest = now.n ? blk_in_memory(p, f->p) : NULL;

		if (newest && error != -ETIMEDOUT)
			memcpy(ram_data(p->ram, f->f), newest, BLK_BYTES);
		finish(p, f, newest && error != -ETIMEDOUT ? 0 : error);
		return;
	}
	if (current)
		blk_drop(p, now);
	fetch_again(p, f, error);
}

/* A bad copy on one half of a mirrored write tier: perhaps the other one is good. */
static bool ask_other_half(struct hb_pool *p, struct fetch *f, uint8_t served, int error)
{
	if (f->from != FROM_WRITE || f->side || !served || error != -EBADMSG || !p->rd.io_free ||
	    dev_mirror_state(p->wt, 2 - served) != MIRROR_IN)
		return false;
	p->st.checksum_errors++;
	f->side = 3 - served;
	start(p, f);
	fetch_flush(p);
	return true;
}

static void read_done(struct dev_io *io)
{
	struct read_io *r = container_of(io, struct read_io, io);
	struct hb_pool *p = r->pool;
	uint8_t from = r->from, served = r->io.served;
	struct fetch *list[READ_IO_BLK];
	uint32_t n = r->n;
	int error = io->error;

	if (from == FROM_CAPACITY)
		list_del(&r->order);
	memcpy(list, r->fetch, n * sizeof(list[0]));
	r->next_free = p->rd.io_free;
	p->rd.io_free = r;
	p->rd.nio_free++;
	if (from > FROM_WRITE)
		level_read_ended(&p->levels[from - FROM_WRITE - 1], n, error);
	for (uint32_t i = 0; i < n; i++) {
		struct fetch *f = list[i];
		int bad = error;

		if (from == FROM_CAPACITY) {
			finish(p, f, error);
			continue;
		}
		segs_of(p, from, f->slot)->readers--;
		if (!bad && crc32c(0, ram_data(p->ram, f->f), BLK_BYTES) != f->crc && !BUG(SKIP_CHECKSUM))
			bad = -EBADMSG;
		if (!bad) {
			if (f->side) /* the other half's copy was bad */
				half_repair(p, f->slot, 3 - f->side, ram_data(p->ram, f->f));
			finish(p, f, 0);
		} else if (f->killed) { /* what lies there by now may be another volume's (P4) */
			finish(p, f, bad);
		} else if (ask_other_half(p, f, served, bad)) {
			continue;
		} else if (from == FROM_WRITE) {
			heal(p, f, bad);
		} else {
			heal_level(p, f, bad);
		}
	}
}

static struct dev *dev_of(struct hb_pool *p, uint32_t from)
{
	return from == FROM_CAPACITY ? p->cap : from == FROM_WRITE ? p->wt : p->levels[from - FROM_WRITE - 1].dev;
}

static uint64_t offset_of(struct hb_pool *p, const struct fetch *f)
{
	if (f->from > FROM_WRITE)
		return level_off(&p->levels[f->from - FROM_WRITE - 1], f->slot);
	return (f->from == FROM_WRITE ? (uint64_t)f->slot.n : f->p.n) * BLK_BYTES;
}

void fetch_flush(struct hb_pool *p)
{
	for (uint32_t i = 0; i < FROM_WRITE + 1 + p->nlevels; i++) {
		struct read_io *r = p->rd.gather[i];

		if (!r)
			continue;
		p->rd.gather[i] = NULL;
		r->io.len_bytes = (uint64_t)r->n * BLK_BYTES;
		r->io.niov = (int)r->n;
		if (i == FROM_CAPACITY) {
			r->id = p->rd.next_read_id++;
			list_push(&p->rd.cap_order, &r->order);
		}
		dev_queue(dev_of(p, i), &r->io);
	}
}

/* Adds f to the read being gathered for its device, or begins a new one; the caller saw to a free read_io. */
static void start(struct hb_pool *p, struct fetch *f)
{
	uint8_t which = f->from;
	uint64_t off = offset_of(p, f);
	struct read_io *r = p->rd.gather[which];

	if (r && (f->side || r->side || r->n == READ_IO_BLK || r->io.off_bytes + (uint64_t)r->n * BLK_BYTES != off)) {
		fetch_flush(p);
		r = NULL;
	}
	if (!r) {
		r = p->rd.io_free;
		p->rd.io_free = r->next_free;
		p->rd.nio_free--;
		r->n = 0;
		r->from = which;
		r->side = f->side;
		r->io = (struct dev_io){
			.op = DEV_READ, .side = f->side, .off_bytes = off, .iov = r->iov, .done = read_done};
		p->rd.gather[which] = r;
	}
	if (which != FROM_CAPACITY)
		segs_of(p, which, f->slot)->readers++;
	r->iov[r->n] = (struct iovec){ram_data(p->ram, f->f), BLK_BYTES};
	r->fetch[r->n++] = f;
}

static struct fetch *find_fetch(struct hb_pool *p, pblk_t b)
{
	list_each(l, &p->rd.hash[hash64(b.n) % FETCH_HASH]) {
		struct fetch *f = list_entry(l, struct fetch, hash);

		if (f->p.n == b.n && !f->poisoned)
			return f;
	}
	return NULL;
}

/* A new fetch of b, under way; NULL when something has run out. Keeps reads in hand for a whole read that must heal. */
static struct fetch *new_fetch(struct hb_pool *p, pblk_t b)
{
	struct reader *rd = &p->rd;
	struct fetch *f = rd->fetch_free;
	struct frame *frame;

	/* Half of the frames stay for what is cached and pinned: a device that hangs cannot take them all with it. */
	if (!f || rd->nio_free <= READ_IO_BLK || rd->nfetch >= ram_frames(p->ram) / 2)
		return NULL;
	frame = take_frame(p);
	if (!frame)
		return NULL;
	rd->fetch_free = f->next_free;
	rd->nfetch++;
	*f = (struct fetch){.p = b, .f = frame};
	f->last = &f->waiters;
	place(p, f); /* only now: making room may have moved it */
	list_push(&rd->hash[hash64(b.n) % FETCH_HASH], &f->hash);
	start(p, f);
	return f;
}

int fetch_start(struct hb_pool *p, struct hb_req *req, pblk_t b, uint8_t *dst, uint16_t off, uint16_t len, bool pin)
{
	struct fetch *f = find_fetch(p, b);
	struct waiter *w = p->rd.waiter_free;

	if (!w)
		return 0;
	if (!f) {
		if (!blk_cached(p, b) && !read_turn(req, b))
			return 0;
		f = new_fetch(p, b);
		if (!f)
			return 0;
		if (f->from == FROM_CAPACITY)
			read_begun(req, f);
	}
	if (f->ahead) { /* it is on its way already */
		f->ahead = false;
		ahead_used(p);
	}
	/* What is asked for without a place to go is looked at in RAM afterwards. */
	f->keep |= !dst || pin || (req->vol->attr.mode != HB_MODE_NONE && !req->bypass);
	p->rd.waiter_free = w->next;
	*w = (struct waiter){.req = req, .dst = dst, .off = off, .len = len, .pin = pin};
	*f->last = w;
	f->last = &w->next;
	req->waiting++;
	return 1;
}

bool fetch_under_way(struct hb_pool *p, pblk_t b)
{
	return p->rd.nfetch && find_fetch(p, b);
}

bool fetch_ahead(struct hb_pool *p, struct hb_req *req, pblk_t b)
{
	struct fetch *f;

	if (p->rd.nfetch >= FETCHES / 2 || !read_turn(req, b))
		return false;
	f = new_fetch(p, b);
	if (!f)
		return false;
	f->ahead = true;
	f->keep = req->vol->attr.mode != HB_MODE_NONE;
	if (f->from == FROM_CAPACITY)
		read_begun(req, f);
	p->st.read_ahead++;
	return true;
}

bool fetch_own(struct hb_pool *p, pblk_t b)
{
	struct fetch *f = find_fetch(p, b);

	if (!f)
		f = new_fetch(p, b);
	if (!f)
		return false;
	f->keep = true;
	p->pins.loading += !f->own;
	f->own = true;
	return true;
}
