/* SPDX-License-Identifier: GPL-2.0-only */
/* workload.c - requests: what to ask, what the oracle is told before and after, and whether the answer was right.
 *
 * A sector that several requests write at once has no certain outcome, and the oracle accepts either. Requests whose
 * result depends on what was there (OR, compare and write, copy) lock their sectors against other writers.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/oracle_priv.h"
#include "tests/sim/workload_priv.h"

static uint64_t fresh_id(struct workload *l)
{
	return hash64(++l->next_id ^ l->w->seed << 32) | 1;
}

struct workload *workload_new(struct world *w)
{
	struct workload *l = need(calloc(1, sizeof(*l)));

	l->w = w;
	for (int i = 0; i < SLOTS; i++) {
		l->slot[i].l = l;
		l->slot[i].buf = need(malloc(BUF_BYTES));
	}
	return l;
}

void workload_free(struct workload *l)
{
	if (!l)
		return;
	workload_detach(l);
	for (int i = 0; i < SLOTS; i++)
		free(l->slot[i].buf);
	free(l);
}

unsigned long workload_errors(const struct workload *l)
{
	return l->errors;
}

unsigned long workload_answers(const struct workload *l)
{
	return l->answers;
}

/* ------------------------------------------------------------------ volumes */

void wvol_size(struct wvol *wv)
{
	uint64_t n = ovol_sectors(wv->v);

	if (n <= wv->cap) /* requests in flight may still be beyond a new end */
		return;
	wv->writers = need(realloc(wv->writers, n * sizeof(*wv->writers)));
	wv->locked = need(realloc(wv->locked, n));
	memset(wv->writers + wv->cap, 0, (n - wv->cap) * sizeof(*wv->writers));
	memset(wv->locked + wv->cap, 0, n - wv->cap);
	wv->cap = n;
}

void workload_reserve(struct workload *l, uint64_t sectors)
{
	l->reserved = sectors;
}

void wvol_drop(struct wvol *wv)
{
	free(wv->writers);
	free(wv->locked);
	*wv = (struct wvol){0};
}

static struct wvol *wvol_free_place(struct workload *l)
{
	for (int i = 0; i < VOLS; i++)
		if (!l->vol[i].v)
			return &l->vol[i];
	abort();
}

bool wvol_open(struct workload *l, struct ovol *v)
{
	struct err err = ERR_INIT;
	struct wvol *wv = wvol_free_place(l);

	if (hb_volume_open(l->w->pool, ovol_name(v), &wv->h, &err)) {
		why_set(&l->w->why, "open of volume %s: %s", ovol_name(v), err.text);
		return false;
	}
	wv->v = v;
	wvol_size(wv);
	if (hb_volume_size(wv->h) == ovol_size(v))
		return true;
	why_set(&l->w->why, "volume %s has another size than it was given", ovol_name(v));
	return false;
}

bool workload_attach(struct workload *l)
{
	struct ovol *v;

	for (unsigned i = 0; (v = oracle_vol(l->w->oracle, i)); i++)
		if (!wvol_open(l, v))
			return false;
	return true;
}

void workload_detach(struct workload *l)
{
	for (int i = 0; i < VOLS; i++)
		wvol_drop(&l->vol[i]);
	for (int i = 0; i < SLOTS; i++)
		l->slot[i].busy = false;
	l->out = 0;
}

void workload_close_volumes(struct workload *l)
{
	for (int i = 0; i < VOLS; i++) {
		if (!l->vol[i].v)
			continue;
		world_patience(l->w, 600 * SEC_NS);
		hb_volume_close(l->vol[i].h);
		wvol_drop(&l->vol[i]);
	}
}

struct wvol *wvol_of(struct workload *l, const struct ovol *v)
{
	for (int i = 0; i < VOLS; i++)
		if (l->vol[i].v == v)
			return &l->vol[i];
	return NULL;
}

static struct wvol *some_of(struct workload *l, bool snapshots)
{
	struct wvol *have[VOLS];
	unsigned n = 0;

	for (int i = 0; i < VOLS; i++)
		if (l->vol[i].v && (snapshots || !ovol_frozen(l->vol[i].v)))
			have[n++] = &l->vol[i];
	return n ? have[below(l, n)] : NULL;
}

struct wvol *some_volume(struct workload *l)
{
	return some_of(l, true);
}

struct wvol *some_writable(struct workload *l)
{
	return some_of(l, false);
}

/* ------------------------------------------------------------------ answers */

static void say(const struct slot *s, const char *what, int error)
{
	const struct world *w = s->l->w;

	if (w->verbose)
		fprintf(stderr,
			"    %12.6f %s #%d event %" PRIu64 ": %s flags %x of %s sector %" PRIu64 " +%" PRIu64
			" (%lx) %d\n",
			(double)w->clock.now_ns / 1e9, what, (int)(s - s->l->slot), oracle_now(w->oracle),
			oracle_kinds[s->req.op], s->req.flags, ovol_name(s->wv->v), s->sector, s->n,
			s->op ? (unsigned long)s->l->ids[0] : 0, error);
}

static void slot_release(struct slot *s)
{
	for (uint64_t i = 0; s->op && i < s->n; i++)
		s->wv->writers[s->sector + i]--;
	for (uint64_t i = 0; s->locks && i < s->n; i++) {
		s->wv->locked[s->sector + i] = 0;
		if (s->src)
			s->src->locked[s->src_sector + i] = 0;
	}
	s->wv->users--;
	if (s->src)
		s->src->users--;
	s->busy = false;
	s->l->out--;
}

static bool tolerated(const struct workload *l, int error)
{
	unsigned t = l->w->tolerate;

	switch (error) {
	case -ENOSPC:
		return t & TOLERATE_SPACE;
	case -EIO:
	case -ETIMEDOUT:
	case -EROFS:
		return t & TOLERATE_IO;
	case -EBADMSG:
		return t & TOLERATE_MEDIUM;
	default:
		return false;
	}
}

static void answer_error(struct slot *s)
{
	struct world *w = s->l->w;

	bool cut_off = s->req.error == -EINVAL && s->wv->shrunk > s->since;

	if (s->op)
		oracle_end(w->oracle, s->op,
			   s->req.error == -EILSEQ || (s->req.error == -EINVAL && !cut_off) ? OP_NEVER : OP_FAILED);
	if (cut_off) /* the volume was reverted to a smaller size meanwhile */
		return;
	if (s->want_error && s->req.error == s->want_error) {
		if (s->req.error_off != s->want_off)
			why_set(&w->why, "op %d: error %d at %" PRIu64 ", not %" PRIu64, (int)s->req.op, s->req.error,
				s->req.error_off, s->want_off);
		return;
	}
	if (tolerated(s->l, s->req.error)) {
		s->l->errors++;
		return;
	}
	why_set(&w->why, "op %d flags %x of %s sector %" PRIu64 " +%" PRIu64 ": error %d at %" PRIu64, (int)s->req.op,
		s->req.flags, ovol_name(s->wv->v), s->sector, s->n, s->req.error, s->req.error_off);
}

static void answer_well(struct slot *s)
{
	struct world *w = s->l->w;

	if (s->want_error) {
		why_set(&w->why, "op %d of %s sector %" PRIu64 ": %s", (int)s->req.op, ovol_name(s->wv->v), s->sector,
			s->want_error == -EROFS ? "a snapshot was written" : "found equal what differs");
		return;
	}
	if (s->req.op == HB_READ) {
		if (oracle_read(w->oracle, s->wv->v, s->sector, s->buf, s->n, s->since, &w->why) &&
		    ovol_frozen(s->wv->v))
			oracle_pin(w->oracle, s->wv->v, s->sector, s->buf, s->n);
	} else if (s->req.op == HB_FLUSH) {
		oracle_flushed(w->oracle, s->since);
	}
	if (s->op)
		oracle_end(w->oracle, s->op, s->req.flags & HB_FUA ? OP_DURABLE : OP_DONE);
}

static void answered(struct hb_req *req)
{
	struct slot *s = req->owner;
	struct world *w = s->l->w;

	assert(s->busy);
	s->l->answers++;
	say(s, "answered", s->req.error);
	w->clock.trace = hash64(w->clock.trace ^ (uint64_t)(s - s->l->slot) ^ (uint64_t)-req->error << 8) +
			 req->off_bytes;
	if (req->error)
		answer_error(s);
	else
		answer_well(s);
	slot_release(s);
}

/* ------------------------------------------------------------------ questions */

static bool range_is_free(const struct wvol *wv, uint64_t sector, uint64_t n, bool for_lock)
{
	for (uint64_t i = sector; i < sector + n; i++)
		if (wv->locked[i] || (for_lock && wv->writers[i]))
			return false;
	return true;
}

static bool range_is_certain(struct slot *s, const struct wvol *wv, uint64_t sector, uint64_t n, uint64_t *ids)
{
	for (uint64_t i = 0; i < n; i++)
		if (!oracle_certain(s->l->w->oracle, wv->v, sector + i, &ids[i]))
			return false;
	return true;
}

/* Where: half of all requests go to a small hot part, so that blocks are written again and again. */
static void draw_range(struct slot *s)
{
	struct workload *l = s->l;
	uint64_t total = ovol_sectors(s->wv->v), most, len;

	switch (below(l, 8)) {
	case 0:
	case 1:
		len = 1 + below(l, 8);
		break;
	case 2:
	case 3:
	case 4:
		len = 8 * (1 + below(l, 4));
		break;
	default:
		len = 1 + below(l, 128);
		break;
	}
	if (pct(l, l->w->shape.big_pct))
		len = LEN_MAX / ORACLE_SECTOR - below(l, 2) * below(l, 100);
	s->n = len = MIN(len, total);
	most = total - len;
	if (pct(l, 50))
		most = MIN(most, 128);
	s->sector = below(l, most + 1);
	if (pct(l, 60)) {
		s->sector = ROUND_DOWN(s->sector, 8);
		if (len > 8)
			s->n = ROUND_DOWN(len, 8);
	}
}

static bool ask_write(struct slot *s)
{
	struct workload *l = s->l;

	if (!range_is_free(s->wv, s->sector, s->n, !pct(l, 10)))
		return false;
	for (uint64_t i = 0; i < s->n; i++) {
		l->ids[i] = pct(l, 1) ? 0 : fresh_id(l);
		sector_fill(s->buf + i * ORACLE_SECTOR, l->ids[i]);
	}
	if (pct(l, 10))
		s->req.flags |= HB_ATOMIC;
	return true;
}

/* The next write of a stream: mostly whole chunks, now and then many, now and then askew. */
static bool ask_stream(struct slot *s)
{
	struct workload *l = s->l;
	struct wstream *t = &l->stream[below(l, STREAMS)];
	uint64_t chunk = l->w->shape.chunk_bytes / ORACLE_SECTOR, n;

	n = chunk * (1 + below(l, 3));
	if (pct(l, 20))
		n = 8 * (1 + below(l, 40));
	else if (pct(l, 15))
		n = STREAM_LEN_MAX / ORACLE_SECTOR;
	if (!t->wv || t->wv->v != t->v || t->next + 8 > ovol_sectors(t->v) || pct(l, 2)) {
		t->wv = some_writable(l);
		if (!t->wv)
			return false;
		t->v = t->wv->v;
		t->next = below(l, ovol_sectors(t->v) / 2 + 1);
		t->next -= pct(l, 90) ? t->next % (pct(l, 80) ? chunk : 8) : 0;
	}
	s->wv = t->wv;
	s->sector = t->next;
	s->n = MIN(n, ovol_sectors(t->v) - t->next);
	if (s->sector < l->reserved || !ask_write(s))
		return false;
	s->req.vol = s->wv->h;
	s->req.op = HB_WRITE;
	s->req.flags = pct(l, l->w->shape.fua_pct) ? HB_FUA : 0;
	t->next += s->n;
	return true;
}

static bool ask_write_same(struct slot *s)
{
	struct workload *l = s->l;
	uint64_t per = s->n % 8 == 0 && pct(l, 50) ? 8 : 1;
	bool zeros = pct(l, 20);

	if (!range_is_free(s->wv, s->sector, s->n, true))
		return false;
	s->req.op = HB_WRITE_SAME;
	s->req.pattern_bytes = (uint32_t)per * ORACLE_SECTOR;
	for (uint64_t i = 0; i < s->n; i++)
		l->ids[i] = i >= per ? l->ids[i - per] : zeros ? 0 : fresh_id(l);
	for (uint64_t i = 0; i < per; i++)
		sector_fill(s->buf + i * ORACLE_SECTOR, l->ids[i]);
	return true;
}

static bool ask_unmap(struct slot *s)
{
	if (!range_is_free(s->wv, s->sector, s->n, true))
		return false;
	s->req.op = HB_UNMAP;
	s->req.buf = NULL;
	s->req.flags = 0;
	memset(s->l->ids, 0, s->n * sizeof(s->l->ids[0]));
	return true;
}

static bool ask_or_write(struct slot *s)
{
	struct workload *l = s->l;

	if (!range_is_free(s->wv, s->sector, s->n, true) || !range_is_certain(s, s->wv, s->sector, s->n, l->ids))
		return false;
	s->req.op = HB_OR_WRITE;
	s->locks = true;
	for (uint64_t i = 0; i < s->n; i++) {
		uint64_t id = fresh_id(l) & fresh_id(l);

		sector_fill(s->buf + i * ORACLE_SECTOR, id);
		l->ids[i] |= id;
	}
	return true;
}

/* HB_COMPARE, or HB_COMPARE_WRITE, with what is there; now and then with one sector that differs. */
static bool ask_compare(struct slot *s, enum hb_op op)
{
	struct workload *l = s->l;
	uint8_t *to = s->buf;

	if (!range_is_free(s->wv, s->sector, s->n, true) || !range_is_certain(s, s->wv, s->sector, s->n, l->ids))
		return false;
	s->req.op = op;
	s->locks = true;
	for (uint64_t i = 0; i < s->n; i++, to += ORACLE_SECTOR)
		sector_fill(to, l->ids[i]);
	if (pct(l, 25)) {
		uint64_t byte = below(l, s->n * ORACLE_SECTOR);

		s->buf[byte] ^= (uint8_t)(1u << below(l, 8));
		s->want_error = -EILSEQ;
		s->want_off = s->sector * ORACLE_SECTOR + byte;
	}
	for (uint64_t i = 0; op == HB_COMPARE_WRITE && i < s->n; i++, to += ORACLE_SECTOR)
		sector_fill(to, l->ids[i] = fresh_id(l));
	if (op == HB_COMPARE)
		s->req.flags = 0;
	return true;
}

static bool ask_copy(struct slot *s)
{
	struct workload *l = s->l;
	struct wvol *src = some_volume(l);
	uint64_t align = below(l, 3) ? 128 : 8, from;

	s->n = MIN(s->n, ovol_sectors(src->v));
	from = below(l, ovol_sectors(src->v) - s->n + 1);
	if (pct(l, 70)) {
		s->sector = ROUND_DOWN(s->sector, align);
		from = ROUND_DOWN(from, align);
	}
	if (s->sector < l->reserved || (src == s->wv && from < s->sector + s->n && s->sector < from + s->n))
		return false;
	if (!range_is_free(s->wv, s->sector, s->n, true) || !range_is_free(src, from, s->n, true) ||
	    !range_is_certain(s, src, from, s->n, l->ids))
		return false;
	s->req.op = HB_COPY;
	s->req.buf = NULL;
	s->req.src_vol = src->h;
	s->req.src_off_bytes = from * ORACLE_SECTOR;
	s->req.flags = 0;
	s->src = src;
	s->src_sector = from;
	s->locks = true;
	src->users++;
	return true;
}

static bool ask_change(struct slot *s, unsigned what)
{
	struct workload *l = s->l;

	s->req.op = HB_WRITE;
	s->req.flags = pct(l, l->w->shape.fua_pct) ? HB_FUA : 0;
	if (s->sector < l->reserved)
		return false;
	if (what < 60)
		return ask_write(s);
	if (what < 66)
		return ask_write_same(s);
	if (what < 76)
		return ask_unmap(s);
	if (what < 82)
		return ask_or_write(s);
	if (what < 91)
		return ask_compare(s, what < 84 ? HB_COMPARE : HB_COMPARE_WRITE);
	return l->w->shape.no_copy ? ask_write(s) : ask_copy(s);
}

static bool changes_data(const struct slot *s);

/* Whatever would change a snapshot is refused. */
static bool ask_to_change_snapshot(struct slot *s, unsigned what)
{
	if (!ask_change(s, what) || !changes_data(s))
		return false;
	s->want_error = -EROFS;
	s->want_off = s->sector * ORACLE_SECTOR;
	return true;
}

static bool ask(struct slot *s)
{
	struct workload *l = s->l;
	unsigned what = (unsigned)below(l, 100);
	bool frozen = ovol_frozen(s->wv->v);

	if (pct(l, l->w->shape.flush_pct)) {
		s->req.op = HB_FLUSH;
		return true;
	}
	if (pct(l, frozen ? 80 : l->w->shape.read_pct)) {
		s->req.op = what < 15 ? HB_PREFETCH : HB_READ;
		s->req.buf = what < 15 ? NULL : s->buf;
		return true;
	}
	return frozen ? ask_to_change_snapshot(s, what) : ask_change(s, what);
}

static bool changes_data(const struct slot *s)
{
	switch (s->req.op) {
	case HB_WRITE:
	case HB_WRITE_SAME:
	case HB_COMPARE_WRITE:
	case HB_OR_WRITE:
	case HB_UNMAP:
	case HB_COPY:
		return true;
	default:
		return false;
	}
}

static uint64_t oldest_since(const struct workload *l)
{
	uint64_t oldest = oracle_now(l->w->oracle);

	for (int i = 0; i < SLOTS; i++)
		if (l->slot[i].busy)
			oldest = MIN(oldest, l->slot[i].since);
	return oldest;
}

static void slot_submit(struct slot *s)
{
	struct world *w = s->l->w;
	bool done, whole = s->req.op == HB_COMPARE_WRITE || s->req.flags & HB_ATOMIC;

	s->wv->users++;
	s->busy = true;
	s->l->out++;
	s->since = oracle_event(w->oracle);
	if (changes_data(s) && !ovol_frozen(s->wv->v)) {
		oracle_horizon(w->oracle, oldest_since(s->l));
		s->op = oracle_begin(w->oracle, s->req.op, whole);
		oracle_write(w->oracle, s->op, s->wv->v, s->sector, s->l->ids, s->n);
		for (uint64_t i = 0; i < s->n; i++)
			s->wv->writers[s->sector + i]++;
	}
	for (uint64_t i = 0; s->locks && i < s->n; i++) {
		s->wv->locked[s->sector + i] = 1;
		if (s->src)
			s->src->locked[s->src_sector + i] = 1;
	}
	say(s, "asked", 0);
	instant_arm(w);
	done = hb_submit(&s->req);
	instant_disarm(w);
	if (done)
		answered(&s->req);
	world_submitted(w);
}

static void some_request(struct workload *l)
{
	struct slot *s = NULL;
	struct wvol *wv = pct(l, 15) ? some_volume(l) : some_writable(l);

	for (int i = 0; i < SLOTS && !s; i++)
		if (!l->slot[i].busy)
			s = &l->slot[i];
	if (!wv || !s || l->out >= l->w->shape.depth)
		return;
	s->wv = wv;
	s->src = NULL;
	s->locks = false;
	s->op = 0;
	s->want_error = 0;
	s->req = (struct hb_req){.vol = wv->h, .buf = s->buf, .done = answered, .owner = s};
	if (l->w->shape.stream_pct && pct(l, l->w->shape.stream_pct)) {
		if (!ask_stream(s))
			return;
	} else {
		draw_range(s);
		if (!ask(s))
			return;
	}
	s->req.off_bytes = s->sector * ORACLE_SECTOR;
	s->req.len_bytes = s->n * ORACLE_SECTOR;
	slot_submit(s);
}

/* ------------------------------------------------------------------ running */

bool workload_run(struct workload *l, unsigned steps)
{
	struct world *w = l->w;

	for (unsigned i = 0; i < steps && !w->why.text[0]; i++) {
		for (uint64_t n = below(l, 4); n > 0; n--)
			some_request(l);
		if (below(l, 400) < w->shape.verb_pct || !some_volume(l))
			some_verb(l);
		world_patience(w, 600 * SEC_NS);
		if (!below(l, 3))
			world_turn(w, w->clock.now_ns + below(l, 200000));
		else
			world_turn(w, w->clock.now_ns + (l->out ? 600 * SEC_NS : 20 * MSEC_NS));
	}
	return !w->why.text[0];
}

bool workload_quiet(struct workload *l)
{
	world_patience(l->w, 600 * SEC_NS);
	while (l->out && !l->w->why.text[0]) {
		if (!world_turn(l->w, UINT64_MAX) && l->out)
			why_set(&l->w->why, "%u requests wait for something that will never come", l->out);
	}
	return !l->w->why.text[0];
}
