/* SPDX-License-Identifier: GPL-2.0-only */
/* bypass.c - long sequential writes go past the write tier: they would wear it out and push out what it is for, and a
 * disk takes them nearly as fast.
 *
 * Of a request that goes on with a long stream the whole chunks go that way, its edges through the log as ever. Fresh
 * chunks are taken, the data is written to them, the device is flushed, and then, in one turn, a record that maps the
 * chunks is appended and the map changes. Whatever is in the way before that (no free space, no memory, a write that
 * fails, a flush that fails) costs nothing: the chunks are given back, and the data, which is still in the request's
 * buffer, goes through the log.
 *
 * Others may read, write, unmap, share, snapshot or revert the same blocks meanwhile. They find the old state until the
 * map changes and the new one after it, at one instant between the request's arrival and its answer: as if it had been
 * made then. So nobody waits, and nothing needs to be looked at again but the volume's size.
 *
 * Data is written from memory of our own: the request's buffer is the caller's again when it is answered, and a device
 * that missed its time limit may use what it was given for ever after (dev.h, 2).
 *
 * Crash stories
 * - Mapped before the flush: the record becomes durable with anybody's flush of the log, or survives in staging; power
 *   fails, the drive had the data in its cache, and an old write that was answered is gone as well, since the record
 *   frees its chunk. Hence record after flush. Before the record the new chunks are nobody's: open counts them free.
 * - A flush that began before a write ended says nothing of it: what counts is one that began after (dev.h, 4).
 * - A flush of somebody else's fails (write-back, the checkpoint), ours succeeds after it: what the first one should
 *   have made durable may be lost all the same, for errors are told once. So everybody's failed flush counts for all.
 * - A chunk is freed while write-back has its old blocks on their way to the disk, becomes free, is taken here and
 *   written: the old write, which comes last, stays. The log cannot meet this (its data comes to the disk in a later
 *   round), we can: such chunks are left alone (wb_holds).
 */
#include "engine/pool.h"

/* Unless the volume says otherwise. Below, what is saved is not worth the disk's seeks and flushes; journals and logs
 * that are written around in a circle, 4 KiB to 1 MiB each time, stay on the SSD as long as they are new. */
#define LIMIT_BLK 2048u /* 8 MiB */
/* The part of a request that is worth a flush of the disk: shorter ones are faster on the SSD, by far. */
#define LEAST_BLK 64u /* 256 KiB */
/* ... and one that is so even if nothing shares it. */
#define WORTH_BLK 256u /* 1 MiB */
#define ALONE_MOST 4u /* shorter ones in a row that found nothing under way: who writes so waits for each one */
#define ALONE_FOR_BLK 16384u /* then the stream goes through the log for so long (64 MiB), and is tried again */
#define BESIDE_READS_BLK 128u /* in flight while others read from the disk */
#define WB_TRIES 8

#define STREAMS 1024u /* followed at once: many of them begin that will not go on */

enum { PAST_NEW, PAST_WAITS, PAST_WRITING, PAST_DURABLE, PAST_OVER };

int bypass_init(struct hb_pool *p)
{
	struct bypass *b = &p->bypass;

	b->seqs = seqs_new(STREAMS);
	b->pieces = mem_calloc(BYPASS_PIECES, sizeof(*b->pieces));
	if (!b->seqs || !b->pieces)
		return -ENOMEM;
	for (uint32_t i = 0; i < BYPASS_PIECES; i++) {
		b->pieces[i].next = b->free;
		b->free = &b->pieces[i];
	}
	b->nfree = BYPASS_PIECES;
	return 0;
}

void bypass_fini(struct hb_pool *p)
{
	struct bypass *b = &p->bypass;

	for (uint32_t i = 0; b->pieces && i < BYPASS_PIECES; i++)
		if (b->pieces[i].mem && !b->pieces[i].writes) /* else it is a device's */
			mem_unmap(b->pieces[i].mem, BYPASS_PIECE_BLK * BLK_BYTES);
	mem_free(b->pieces);
	seqs_free(b->seqs);
}

uint64_t bypass_bytes(const struct hb_pool *p)
{
	uint64_t n = seqs_bytes(p->bypass.seqs) + BYPASS_PIECES * sizeof(struct bypass_piece);

	for (uint32_t i = 0; i < BYPASS_PIECES; i++)
		n += p->bypass.pieces[i].mem ? BYPASS_PIECE_BLK * BLK_BYTES : 0;
	return n;
}

/* ---------------------------------------------------------------- who goes that way */

/* Whether a stream's request of n blocks is worth a write and a flush of the disk that its client waits for. Answered
 * by the log it would be back at once: so how many there would be at a time is seen only when some go past. */
static bool worth(struct bypass *b, struct seq *s, uint64_t n, uint64_t limit)
{
	if (n >= MIN(WORTH_BLK, limit))
		return true;
	if (n < MIN(LEAST_BLK, limit) || s->len_blk < s->slow_blk)
		return false;
	if (b->nfree < BYPASS_PIECES) {
		s->alone = 0;
	} else if (++s->alone > ALONE_MOST) {
		s->alone = ALONE_MOST / 2;
		s->slow_blk = s->len_blk + ALONE_FOR_BLK;
		return false;
	}
	return true;
}

/* Sets past_from, past_to to the whole chunks of the request, if they are to. */
static bool wanted(struct hb_req *r)
{
	struct hb_pool *p = r->pool;
	const struct hb_volume_attr *a = &r->vol->attr;
	uint64_t limit = a->bypass_blk ? a->bypass_blk : LIMIT_BLK, cb = p->sb.chunk_blk;
	uint64_t first = r->off_bytes / BLK_BYTES, end = DIV_UP(r->off_bytes + r->len_bytes, BLK_BYTES);
	uint64_t from = ROUND_UP(r->off_bytes, cb * BLK_BYTES) / BLK_BYTES;
	uint64_t to = ROUND_DOWN(r->off_bytes + r->len_bytes, cb * BLK_BYTES) / BLK_BYTES;
	bool is_new;
	struct seq *s;

	/* Small ones are no part of a stream: thousands a second would push those that are out of the table. */
	if (a->bypass_blk == HB_ATTR_NEVER || end - first < cb / 2)
		return false;
	s = seqs_follow(p->bypass.seqs, r->vol->id, first, (uint32_t)(end - first), &is_new);
	if (is_new || s->len_blk < limit + (end - first) || to <= from || p->failed || p->cap->failed)
		return false;
	if (pins_overlap(r->vol, from, to) || !worth(&p->bypass, s, to - from, limit))
		return false;
	r->past_from = from;
	r->past_to = to;
	return true;
}

static uint32_t pieces_of(const struct hb_req *r)
{
	return (uint32_t)DIV_UP(r->past_to - r->past_from, BYPASS_PIECE_BLK);
}

/* Space for those who overwrite in place is none of theirs, but those who do not must find some, and limbo takes its
 * time. */
static bool room(struct hb_pool *p, uint64_t nchunks)
{
	uint32_t spare = 8 + chunks_total(p->chunks) / 32;

	return chunks_free_count(p->chunks) >= nchunks + spare &&
	       meta_room(p, META_SPARE_WRITE + 2 * meta_frag_spare(p));
}

/* ---------------------------------------------------------------- pieces */

static bool get_memory(struct bypass_piece *pc)
{
	if (!pc->mem)
		pc->mem = mem_map(BYPASS_PIECE_BLK * BLK_BYTES);
	return pc->mem != NULL;
}

/* A chunk that nothing is on its way to. */
static chunk_t take(struct hb_pool *p, chunk_t near)
{
	for (int i = 0; i < WB_TRIES; i++) {
		chunk_t c = chunks_take(p->chunks, near);

		if (!c.n || !wb_holds(p, c) || BUG(BYPASS_OVER_WRITEBACK)) {
			p->bypass.taken += c.n != 0;
			return c;
		}
		chunks_release(p->chunks, c); /* the next search begins behind it */
		near = CHUNK_NONE;
	}
	return CHUNK_NONE;
}

static void put_back(struct hb_pool *p, struct bypass_piece *pc)
{
	for (uint32_t i = pc->mapped; i < pc->nchunks; i++) {
		if (BUG(BYPASS_CHUNKS_KEPT))
			continue;
		chunks_release(p->chunks, pc->chunk[i]);
	}
	p->bypass.taken -= pc->nchunks - pc->mapped;
	pc->nchunks = 0;
	pc->next = p->bypass.free;
	p->bypass.free = pc;
	p->bypass.nfree++;
}

static void start_waiters(struct hb_pool *p);

static void drop(struct hb_req *r)
{
	while (r->pieces) {
		struct bypass_piece *pc = r->pieces;

		r->pieces = pc->next;
		put_back(r->pool, pc);
	}
	req_wake_all(&r->pool->space_waiters);
}

void bypass_drop(struct hb_req *r)
{
	drop(r);
	start_waiters(r->pool);
}

/* The next piece of the request, from block vb on, with chunks and the data. False: something has run out. */
static bool fill(struct hb_req *r, struct bypass_piece *pc, uint64_t vb, chunk_t *near)
{
	struct hb_pool *p = r->pool;
	uint32_t cb = p->sb.chunk_blk, n = (uint32_t)MIN(r->past_to - vb, BYPASS_PIECE_BLK);

	pc->req = r;
	pc->vblk = vb;
	pc->nchunks = pc->mapped = pc->writes = 0;
	if (!get_memory(pc))
		return false;
	for (uint32_t i = 0; i < n / cb; i++) {
		chunk_t c = take(p, *near);

		if (!c.n)
			return false;
		pc->chunk[pc->nchunks++] = c;
		near->n = c.n + 1;
	}
	memcpy(pc->mem, (const uint8_t *)r->buf + (vb * BLK_BYTES - r->off_bytes), (size_t)n * BLK_BYTES);
	return true;
}

/* The pieces are there. False: the request goes the ordinary way. */
static bool start(struct hb_req *r)
{
	struct hb_pool *p = r->pool;
	struct bypass *b = &p->bypass;
	chunk_t near = map_near(&p->maps, &r->vol->map, (vblk_t){r->past_from});
	struct bypass_piece **last = &r->pieces;

	if (p->failed || p->cap->failed || !room(p, (r->past_to - r->past_from) / p->sb.chunk_blk))
		return false;
	for (uint64_t vb = r->past_from; vb < r->past_to; vb += BYPASS_PIECE_BLK) {
		struct bypass_piece *pc = b->free;

		b->free = pc->next;
		b->nfree--;
		pc->next = NULL;
		*last = pc;
		last = &pc->next;
		if (!fill(r, pc, vb, &near)) {
			drop(r);
			return false;
		}
	}
	r->past = PAST_WRITING;
	r->past_failed = false;
	r->past_lost = b->lost;
	for (struct bypass_piece *pc = r->pieces; pc; pc = pc->next) {
		list_push(&b->line, &pc->line);
		r->waiting++;
	}
	p->due = true;
	return true;
}

/* Nothing goes past any more: the ordinary way, from where the map was changed to. */
static void over(struct hb_req *r, uint64_t mapped_to)
{
	r->past = PAST_OVER;
	r->past_to = mapped_to;
}

static void start_waiters(struct hb_pool *p)
{
	struct bypass *b = &p->bypass;

	while (!list_empty(&b->waiters)) {
		struct hb_req *r = list_first(&b->waiters, struct hb_req, link);

		if (pieces_of(r) > b->nfree)
			return;
		list_del(&r->link);
		if (!start(r)) {
			over(r, r->past_from);
			req_wake(r);
		}
	}
}

/* ---------------------------------------------------------------- writing */

static void written(struct hb_req *r)
{
	struct bypass *b = &r->pool->bypass;

	if (r->past_failed || (r->past_lost != b->lost && !BUG(BYPASS_FLUSH_RETRIED))) {
		over(r, r->past_from);
		bypass_drop(r);
		req_wake(r);
		return;
	}
	if (BUG(BYPASS_UNFLUSHED)) {
		r->past = PAST_DURABLE;
		req_wake(r);
		return;
	}
	r->past_flush = b->flushes + 1;
	list_push(&b->unflushed, &r->link);
}

static void write_done(struct dev_io *io)
{
	struct bypass_piece *pc = io->owner;
	struct hb_req *r = pc->req;
	struct hb_pool *p = r->pool;

	pace_other_ended(&p->wb.pace, pool_now(p));
	p->bypass.flight_blk -= (uint32_t)(io->len_bytes / BLK_BYTES);
	if (io->error) {
		if (!p->cap_errors_logged++)
			pool_log(p, HB_LOG_ERROR,
				 "the capacity device does not take writes (%s); they go through the log",
				 strerror(-io->error));
		r->past_failed = true;
	}
	if (io->error == -ETIMEDOUT)
		pc->mem = NULL;
	if (!--pc->writes && !--r->waiting)
		written(r);
}

static void send(struct hb_pool *p, struct bypass_piece *pc)
{
	uint64_t chunk = (uint64_t)p->sb.chunk_blk * BLK_BYTES;
	uint32_t i = 0;

	while (i < pc->nchunks) {
		uint32_t n = 1;

		while (i + n < pc->nchunks && pc->chunk[i + n].n == pc->chunk[i].n + n)
			n++;
		pc->iov[i] = (struct iovec){pc->mem + i * chunk, n * chunk};
		pc->io[i] = (struct dev_io){.op = DEV_WRITE,
					    .off_bytes = pc->chunk[i].n * chunk,
					    .len_bytes = n * chunk,
					    .iov = &pc->iov[i],
					    .niov = 1,
					    .done = write_done,
					    .owner = pc};
		pc->writes++;
		dev_queue(p->cap, &pc->io[i]);
		i += n;
	}
	p->bypass.flight_blk += pc->nchunks * p->sb.chunk_blk;
}

/* Whoever reads from the disk waits for what is on its way to it. */
static bool send_some(struct hb_pool *p)
{
	struct bypass *b = &p->bypass;
	bool did = false;

	while (!list_empty(&b->line)) {
		struct bypass_piece *pc = list_first(&b->line, struct bypass_piece, line);

		if (b->flight_blk >= BESIDE_READS_BLK && !pace_alone(&p->wb.pace))
			break;
		list_del(&pc->line);
		send(p, pc);
		did = true;
	}
	return did;
}

/* ---------------------------------------------------------------- flushes */

void bypass_flush_lost(struct hb_pool *p)
{
	struct bypass *b = &p->bypass;

	b->lost++;
	if (BUG(BYPASS_FLUSH_RETRIED) && b->lost == 1 && !p->cap->failed)
		return;
	while (!list_empty(&b->unflushed)) {
		struct hb_req *r = list_first(&b->unflushed, struct hb_req, link);

		list_del(&r->link);
		over(r, r->past_from);
		drop(r);
		req_wake(r);
	}
}

static void flushed(struct dev_io *io)
{
	struct bypass *b = container_of(io, struct bypass, flush_io);
	struct hb_pool *p = container_of(b, struct hb_pool, bypass);

	b->flushing = false;
	p->st.wb_flushes++;
	if (io->error) {
		cap_flush_failed(p, io->error);
		return;
	}
	while (!list_empty(&b->unflushed)) {
		struct hb_req *r = list_first(&b->unflushed, struct hb_req, link);

		if (r->past_flush > b->flushes && !BUG(BYPASS_FLUSH_COVERS_ALL))
			break;
		r->past = PAST_DURABLE;
		req_wake(r);
	}
}

bool bypass_pump(struct hb_pool *p)
{
	struct bypass *b = &p->bypass;
	bool did;

	start_waiters(p);
	did = send_some(p);
	if (list_empty(&b->unflushed) || b->flushing)
		return did;
	b->flushing = true;
	b->flushes++;
	b->flush_io = (struct dev_io){.op = DEV_FLUSH, .done = flushed};
	dev_queue(p->cap, &b->flush_io);
	return true;
}

/* ---------------------------------------------------------------- the record and the map */

/* Chunks of the piece that follow one another, from the first that is not mapped yet. 1; 0: the request waits; or
 * -errno: the rest goes the ordinary way. */
static int map_some(struct hb_req *r, struct bypass_piece *pc)
{
	struct hb_pool *p = r->pool;
	uint32_t cb = p->sb.chunk_blk, n = 1;
	chunk_t first = pc->chunk[pc->mapped];
	struct rec rec = {.type = REC_CHUNKS, .vol = r->vol->id, .vblk = pc->vblk + (uint64_t)pc->mapped * cb,
			  .pblk = (uint64_t)first.n * cb};

	while (pc->mapped + n < pc->nchunks && pc->chunk[pc->mapped + n].n == first.n + n)
		n++;
	if (p->failed)
		return -EIO;
	if (rec.vblk + (uint64_t)n * cb > r->vol->size_blk) /* reverted to a smaller size meanwhile */
		return -EINVAL;
	if (!meta_room(p, META_SPARE_WRITE + 2 * meta_frag_spare(p)))
		return -ENOSPC;
	if (!log_room(p, 0, rec_bytes(REC_CHUNKS), false)) {
		req_wait(r, &p->log_waiters);
		return 0;
	}
	/* Into the map first, for that may fail. What it frees is freed by the record that follows in this unit. */
	rec.count = blk_chunks(p, r->vol, (vblk_t){rec.vblk}, (pblk_t){rec.pblk}, n * cb);
	if (rec.count && !BUG(BYPASS_NOT_LOGGED))
		log_rec(p, &rec);
	log_publish(p);
	pc->mapped += (uint32_t)rec.count / cb;
	p->bypass.taken -= (uint32_t)rec.count / cb;
	p->st.past_blocks += rec.count;
	return rec.count == (uint64_t)n * cb ? 1 : -ENOMEM;
}

/* False: the request waits. */
static bool map_all(struct hb_req *r)
{
	uint64_t to = r->past_from;
	int rc = 1;

	for (struct bypass_piece *pc = r->pieces; pc && rc > 0; pc = pc->next) {
		while (rc > 0 && pc->mapped < pc->nchunks)
			rc = map_some(r, pc);
		to += (uint64_t)pc->mapped * r->pool->sb.chunk_blk;
	}
	if (!rc)
		return false;
	over(r, to);
	bypass_drop(r);
	return true;
}

/* ---------------------------------------------------------------- the step */

bool bypass_step(struct hb_req *r)
{
	struct bypass *b = &r->pool->bypass;

	switch (r->past) {
	case PAST_NEW:
		if (!wanted(r)) {
			over(r, r->past_from);
			return true;
		}
		if (!list_empty(&b->waiters) || pieces_of(r) > b->nfree) {
			r->past = PAST_WAITS;
			req_wait(r, &b->waiters);
			return false;
		}
		if (start(r))
			return false;
		over(r, r->past_from);
		return true;
	case PAST_DURABLE:
		return map_all(r);
	default:
		return true;
	}
}
