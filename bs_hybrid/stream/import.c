/* SPDX-License-Identifier: GPL-2.0-only */
/* import.c - a stream from a source into a new snapshot; see stream.h.
 *
 * The data go into a work volume: empty, or a clone of the snapshot that the stream starts from. When the end has come
 * and all is durable, a snapshot of the work volume gets the stream's content as its identity, and the work volume is
 * deleted.
 *
 *     HEADER -> BEGIN -> OPEN -> (TRIM) -> HEAD <-> DATA
 *     HEAD -> DRAIN -> END_OF_FILE -> FLUSH -> COMMIT -> CLEAR -> SYNC -> OVER
 *     any of them, in error -> DROP -> OVER
 *
 * BEGIN, OPEN, TRIM, COMMIT and CLEAR change volumes. The pool may have no room for that at this moment: then the same
 * state is tried again after the next turns.
 *
 * Crash stories. If the process or the power dies before the snapshot's record is in the log, there is a work volume
 * and no snapshot. If it dies between the snapshot's record and the deletion's, both are there; the next import of the
 * stream is refused, and deletes the work volume. The snapshot cannot be there without its data: records and data are
 * one log, of which a prefix survives, and the data were flushed before.
 *
 * Going on after that: which of the last writes survived is not known, and needs not be. The stream is read from its
 * beginning; what a data frame brings is compared with what is there (HB_COMPARE), and written if it differs or if any
 * of it is a hole; holes are unmapped again. So the result does not depend on what was applied, nor on what a crash
 * took, and what is there already costs reads instead of space in the log. Nothing has to be noted down as a point to
 * go on from, which could be wrong.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "stream/stream.h"
#include "stream/wire.h"

#define FRAMES_A_TURN 32
#define TRIES_MAX 1000 /* turns in which a change of volumes may find no room, ... */
#define CHECKPOINTS_MAX 3 /* ... and checkpoints, which make some */

enum state { HEADER, BEGIN, OPEN, TRIM, HEAD, DATA, DRAIN, END_OF_FILE, FLUSH, COMMIT, CLEAR, SYNC, DROP, OVER };

struct slot {
	struct hb_req req;
	bool busy; /* a request is under way, or was answered and not looked at yet */
	bool answered;
	uint8_t *buf; /* owned */
};

struct stream_import {
	struct hb_pool *pool; /* borrowed */
	struct stream_source source;
	struct stream_progress progress;
	enum state state;
	struct err err;
	bool resume, again;
	bool resuming; /* there was something to go on from */
	bool damaged; /* the error is the stream's: what came of it goes */
	char name[HB_NAME_MAX + 1], work[HB_NAME_MAX + 1];
	struct hb_volume *vol; /* the work volume, later the snapshot; open, or NULL */
	struct wire_header header;
	struct wire_run run;
	struct wire_frame frame; /* being read */
	struct slot *slot; /* takes its data */
	size_t got; /* of the part being read */
	uint8_t fixed[WIRE_HEADER_BYTES]; /* header and heads of frames */
	struct slot slots[STREAM_DEPTH];
	unsigned depth, busy;
	unsigned tries; /* of the change of volumes that finds no room */
	uint64_t checkpoints; /* made before the first of them */
};

/* ---------------------------------------------------------------- requests */

static void answered(struct hb_req *req)
{
	struct slot *s = req->owner;

	s->answered = true;
}

static void submit(struct slot *s)
{
	s->req.done = answered;
	s->req.owner = s;
	s->answered = false;
	if (hb_submit(&s->req))
		s->answered = true;
}

static void ask(struct stream_import *x, struct slot *s, enum hb_op op, uint64_t off, uint64_t len)
{
	assert(!s->busy);
	s->req = (struct hb_req){.op = op, .vol = x->vol, .off_bytes = off, .len_bytes = len, .buf = s->buf};
	s->busy = true;
	x->busy++;
	submit(s);
}

static struct slot *free_slot(struct stream_import *x)
{
	for (unsigned i = 0; i < x->depth; i++)
		if (!x->slots[i].busy)
			return &x->slots[i];
	return NULL;
}

static void look_at(struct stream_import *x, struct slot *s)
{
	const struct hb_req *r = &s->req;

	/* It differs, or cannot be read (a lost block): either way these bytes are the right ones. */
	if (r->op == HB_COMPARE && r->error && x->state != DROP) {
		s->req = (struct hb_req){.op = HB_WRITE,
					 .vol = x->vol,
					 .off_bytes = r->off_bytes,
					 .len_bytes = r->len_bytes,
					 .buf = s->buf};
		submit(s);
		return;
	}
	s->busy = false;
	x->busy--;
	if (!r->error || r->op == HB_COMPARE || x->err.code)
		return;
	if (r->op == HB_FLUSH)
		err_set(&x->err, r->error, "pool %s cannot be flushed: %s", hb_pool_name(x->pool), strerror(-r->error));
	else
		err_set(&x->err, r->error, "volume '%s' cannot be written at byte %llu: %s", x->work,
			(unsigned long long)r->error_off, strerror(-r->error));
}

static void look_at_answers(struct stream_import *x)
{
	for (unsigned i = 0; i < x->depth; i++)
		while (x->slots[i].busy && x->slots[i].answered)
			look_at(x, &x->slots[i]);
}

/* ---------------------------------------------------------------- reading */

/* The rest of a part of `want` bytes: 1: it is there; 0: not all of it yet; or -errno. */
static int read_part(struct stream_import *x, void *to, size_t want)
{
	while (x->got < want) {
		int64_t n = x->source.read(x->source.ctx, (uint8_t *)to + x->got, want - x->got);

		if (n == -EAGAIN)
			return 0;
		if (n == 0 && x->state == HEADER)
			return err_set(&x->err, -EPIPE, "the stream ends too early, in its header");
		if (n == 0)
			return err_set(&x->err, -EPIPE, "the stream ends too early: not all of %llu bytes of data came",
				       (unsigned long long)x->header.data_bytes);
		if (n < 0)
			return err_set(&x->err, (int)n, "the stream cannot be read: %s", strerror((int)-n));
		assert((uint64_t)n <= want - x->got);
		x->got += (size_t)n;
	}
	x->got = 0;
	return 1;
}

/* ---------------------------------------------------------------- the work volume */

static void hex(const uint8_t uuid[16], char to[33])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++) {
		to[2 * i] = digits[uuid[i] >> 4];
		to[2 * i + 1] = digits[uuid[i] & 15];
	}
	to[32] = '\0';
}

static bool find_content(struct hb_pool *pool, const uint8_t content[16], struct hb_volume_info *ret)
{
	char cursor[HB_NAME_MAX + 1] = "";

	while (hb_volume_next(pool, cursor, ret))
		if (ret->snapshot && !memcmp(ret->content, content, 16))
			return true;
	return false;
}

/* May the snapshot be made? Finds what it starts from (id 0: nothing). */
static int check_names(struct stream_import *x, struct hb_volume_info *base)
{
	struct hb_volume_info info;
	char content[33];

	if (find_content(x->pool, x->header.content, &info) && !x->again) {
		/* A crash may have come between the snapshot and this; if it cannot go now, then the next time. */
		hb_volume_delete(x->pool, x->work, NULL);
		return err_set(&x->err, -EEXIST, "this was imported already: snapshot '%s' has the same content",
			       info.name);
	}
	if (hb_volume_find(x->pool, x->name, &info))
		return err_set(&x->err, -EEXIST, "volume '%s' exists already in pool %s", x->name,
			       hb_pool_name(x->pool));
	base->id = 0;
	if (wire_is_full(&x->header) || find_content(x->pool, x->header.base, base))
		return 0;
	hex(x->header.base, content);
	return err_set(&x->err, -ENOENT,
		       "the stream of '%s' starts from a snapshot with content %s, and pool %s has none: import "
		       "that one first",
		       x->header.name, content, hb_pool_name(x->pool));
}

/* Whether what an earlier import left is of a stream from the same beginning. */
static bool fits(const struct stream_import *x, const struct hb_volume_info *work)
{
	struct hb_volume_info parent;

	if (work->snapshot)
		return false;
	if (wire_is_full(&x->header))
		return !work->parent_id;
	return hb_volume_find_id(x->pool, work->parent_id, &parent) && parent.snapshot &&
	       !memcmp(parent.content, x->header.base, 16);
}

static int take_over(struct stream_import *x, const struct hb_volume_info *work)
{
	if (work->opens)
		return err_set(&x->err, -EBUSY, "volume '%s' is in use: this stream is being imported already",
			       x->work);
	if (!x->resume)
		return hb_volume_delete(x->pool, x->work, &x->err);
	if (!fits(x, work))
		return err_set(&x->err, -EINVAL, "what is in volume '%s' was not left by this stream: begin anew",
			       x->work);
	x->resuming = true;
	return 0;
}

static int make_work(struct stream_import *x)
{
	struct hb_snap clone = {.name = x->work, .writable = true};
	struct hb_volume_info base, work;

	if (check_names(x, &base))
		return x->err.code;
	if (hb_volume_find(x->pool, x->work, &work) && take_over(x, &work))
		return x->err.code;
	clone.source = base.name;
	if (!x->resuming && base.id)
		hb_volume_snapshot(x->pool, &clone, 1, &x->err);
	else if (!x->resuming)
		hb_volume_create(x->pool, x->work, x->header.size_bytes, &x->err);
	x->state = x->err.code ? BEGIN : OPEN;
	return x->err.code;
}

/* Opens the work volume and gives it the stream's size. Smaller: what lies behind must be unmapped first (TRIM). */
static int open_work(struct stream_import *x)
{
	uint64_t size;

	if (!x->vol && hb_volume_open(x->pool, x->work, &x->vol, &x->err))
		return x->err.code;
	size = hb_volume_size(x->vol);
	if (size < x->header.size_bytes && hb_volume_grow(x->pool, x->work, x->header.size_bytes, &x->err))
		return x->err.code;
	x->state = HEAD;
	if (size > x->header.size_bytes) {
		ask(x, &x->slots[0], HB_UNMAP, x->header.size_bytes, size - x->header.size_bytes);
		x->state = TRIM;
	}
	return 0;
}

static void close_volume(struct stream_import *x)
{
	if (x->vol)
		hb_volume_close(x->vol);
	x->vol = NULL;
}

static int trimmed(struct stream_import *x)
{
	close_volume(x);
	if (hb_volume_shrink(x->pool, x->work, x->header.size_bytes, &x->err) ||
	    hb_volume_open(x->pool, x->work, &x->vol, &x->err))
		return x->err.code;
	x->state = HEAD;
	return 0;
}

static int header_came(struct stream_import *x)
{
	char content[33];

	if (wire_get_header(x->fixed, &x->header, &x->run.stream, &x->err))
		return x->err.code;
	hex(x->header.content, content);
	text_fmt(x->work, sizeof(x->work), "import-%s", content);
	if (!x->name[0])
		memcpy(x->name, x->header.name, sizeof(x->name));
	x->state = BEGIN;
	return 0;
}

/* ---------------------------------------------------------------- frames */

/* Whether all of the frame is mapped: only then can it be right already. */
static bool all_mapped(const struct stream_import *x)
{
	uint64_t len = x->frame.len_bytes;

	return hb_volume_mapped(x->vol, x->frame.off_bytes, &len) && len == x->frame.len_bytes;
}

static int apply_data(struct stream_import *x)
{
	struct slot *s = x->slot;

	if (wire_data_check(s->buf, x->frame.len_bytes) != x->frame.check) {
		x->damaged = true;
		return err_set(&x->err, -EBADMSG, "the stream is damaged: bad checksum of the data for byte %llu",
			       (unsigned long long)x->frame.off_bytes);
	}
	ask(x, s, x->resuming && all_mapped(x) ? HB_COMPARE : HB_WRITE, x->frame.off_bytes, x->frame.len_bytes);
	x->state = HEAD;
	if (x->progress.tell)
		x->progress.tell(x->progress.ctx, x->run.data_bytes, x->header.data_bytes);
	return 0;
}

/* A head has come. A slot is free. */
static int next_frame(struct stream_import *x)
{
	struct slot *s = free_slot(x);

	if (wire_get_frame(&x->run, &x->header, x->fixed, &x->frame, &x->err)) {
		x->damaged = true;
		return x->err.code;
	}
	switch (x->frame.kind) {
	case WIRE_END:
		x->state = DRAIN;
		return 0;
	case WIRE_HOLE:
		ask(x, s, HB_UNMAP, x->frame.off_bytes, x->frame.len_bytes);
		return 0;
	default:
		break;
	}
	if (!s->buf)
		s->buf = mem_alloc(WIRE_DATA_MAX);
	if (!s->buf)
		return err_set(&x->err, -ENOMEM, "out of memory");
	x->slot = s;
	x->state = DATA;
	return 0;
}

/* ---------------------------------------------------------------- the end */

/* The stream was right to its end, and nothing may follow. 1, 0 (not known yet) or -errno. */
static int check_end(struct stream_import *x)
{
	uint8_t more;
	int64_t n = x->source.read(x->source.ctx, &more, 1);

	if (n == -EAGAIN)
		return 0;
	if (n == 0)
		return 1;
	if (n < 0)
		return err_set(&x->err, (int)n, "the stream cannot be read: %s", strerror((int)-n));
	x->damaged = true;
	return err_set(&x->err, -EBADMSG, "the stream is damaged: something follows its end");
}

static int commit(struct stream_import *x)
{
	struct hb_snap snap = {.source = x->work, .name = x->name, .content = x->header.content};
	struct hb_volume_info info;

	hb_volume_info(x->vol, &info);
	if (info.opens != 1)
		return err_set(&x->err, -EBUSY, "volume '%s' was opened by somebody else while it was being imported",
			       x->work);
	if (hb_volume_snapshot(x->pool, &snap, 1, &x->err))
		return x->err.code;
	close_volume(x);
	x->state = CLEAR;
	return 0;
}

static int clear(struct stream_import *x)
{
	if (hb_volume_delete(x->pool, x->work, &x->err))
		return err_wrap(&x->err, "snapshot '%s' was imported, but volume '%s' stays", x->name, x->work);
	if (hb_volume_open(x->pool, x->name, &x->vol, &x->err))
		return x->err.code;
	ask(x, &x->slots[0], HB_FLUSH, 0, 0);
	x->state = SYNC;
	return 0;
}

/* Whether the error of a change of volumes may be gone in a moment: forgets it. */
static bool again_later(struct stream_import *x)
{
	struct hb_stats st;

	if (x->err.code != -ENOSPC && x->err.code != -EAGAIN)
		return false;
	hb_pool_stats(x->pool, &st);
	if (!x->tries++)
		x->checkpoints = st.checkpoints;
	if (x->tries > TRIES_MAX || st.checkpoints - x->checkpoints > CHECKPOINTS_MAX || st.volumes >= HB_VOLUMES_MAX)
		return false;
	x->err = ERR_INIT;
	return true;
}

/* 0: go on; else what to return. */
static unsigned step_volumes(struct stream_import *x)
{
	int rc;

	switch (x->state) {
	case BEGIN:
		rc = make_work(x);
		break;
	case OPEN:
		rc = open_work(x);
		break;
	case TRIM:
		rc = trimmed(x);
		break;
	case COMMIT:
		rc = commit(x);
		break;
	default:
		rc = clear(x);
		break;
	}
	if (rc)
		return again_later(x) ? STREAM_POOL : 0;
	x->tries = 0;
	return 0;
}

/* ---------------------------------------------------------------- steps */

/* What ..._run() returns while requests are under way. */
static unsigned wait_for(const struct stream_import *x, bool pipe)
{
	return (pipe ? STREAM_PIPE : 0) | (x->busy ? STREAM_POOL : 0);
}

/* One step of reading: 0: go on; else what to wait for. On error x->err is set. */
static unsigned step_reading(struct stream_import *x)
{
	int rc;

	switch (x->state) {
	case HEADER:
		rc = read_part(x, x->fixed, WIRE_HEADER_BYTES);
		if (rc > 0)
			header_came(x);
		break;
	case HEAD:
		if (!free_slot(x))
			return STREAM_POOL;
		rc = read_part(x, x->fixed, WIRE_FRAME_BYTES);
		if (rc > 0)
			next_frame(x);
		break;
	case DATA:
		rc = read_part(x, x->slot->buf, x->frame.len_bytes);
		if (rc > 0)
			apply_data(x);
		break;
	default:
		rc = check_end(x);
		if (rc > 0) {
			ask(x, &x->slots[0], HB_FLUSH, 0, 0);
			x->state = FLUSH;
		}
		break;
	}
	return rc == 0 ? wait_for(x, true) : 0;
}

/* One step: 0: go on; else what to return. */
static unsigned step(struct stream_import *x)
{
	switch (x->state) {
	case HEADER:
	case HEAD:
	case DATA:
	case END_OF_FILE:
		return step_reading(x);
	case OVER:
		return x->err.code ? STREAM_FAILED : STREAM_DONE;
	default:
		break;
	}
	if (x->busy)
		return STREAM_POOL;
	switch (x->state) {
	case DRAIN:
		x->state = END_OF_FILE;
		return 0;
	case FLUSH:
		x->state = COMMIT;
		return 0;
	case SYNC:
		x->state = DROP;
		return 0;
	case DROP:
		close_volume(x);
		if (x->damaged)
			hb_volume_delete(x->pool, x->work, NULL);
		x->state = OVER;
		return 0;
	default:
		return step_volumes(x);
	}
}

unsigned stream_import_run(struct stream_import *x)
{
	for (int i = 0; i < FRAMES_A_TURN; i++) {
		unsigned wait;

		look_at_answers(x);
		if (x->err.code && x->state != OVER)
			x->state = DROP;
		wait = step(x);
		if (wait)
			return wait;
	}
	return STREAM_AGAIN;
}

/* ---------------------------------------------------------------- life */

int stream_import_new(const struct stream_import_how *how, struct stream_import **ret, struct err *err)
{
	struct stream_import *x;

	if (how->name && !hb_name_ok(how->name))
		return err_set(err, -EINVAL,
			       "'%.80s' is no name: expected 1 to %d letters, digits, '.', '_' or '-', beginning with "
			       "a letter or digit",
			       how->name, HB_NAME_MAX);
	x = mem_zalloc(sizeof(*x));
	if (!x)
		return err_set(err, -ENOMEM, "out of memory");
	x->pool = how->pool;
	x->source = how->source;
	x->progress = how->progress;
	x->resume = how->resume;
	x->again = how->again;
	x->depth = how->depth ? MIN(how->depth, STREAM_DEPTH) : STREAM_DEPTH;
	if (how->name)
		memcpy(x->name, how->name, strlen(how->name));
	*ret = x;
	return 0;
}

const struct err *stream_import_error(const struct stream_import *x)
{
	return &x->err;
}

uint64_t stream_import_bytes(const struct stream_import *x)
{
	return x->run.data_bytes;
}

const char *stream_import_name(const struct stream_import *x)
{
	return x->name;
}

void stream_import_free(struct stream_import *x)
{
	if (!x)
		return;
	close_volume(x);
	for (unsigned i = 0; i < STREAM_DEPTH; i++)
		mem_free(x->slots[i].buf);
	mem_free(x);
}
