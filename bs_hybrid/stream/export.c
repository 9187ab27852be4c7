/* SPDX-License-Identifier: GPL-2.0-only */
/* export.c - a snapshot, or what changed since another one, into a sink; see stream.h.
 *
 * Two passes over the difference of the maps: COUNT adds up the bytes to come, for the header; FRAMES reads ahead into
 * a ring of slots, in order, and writes out what is at its head. The snapshots are frozen and held open, so that both
 * passes see the same.
 *
 *     COUNT -> HEADER -> FRAMES -> END -> OVER
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "stream/stream.h"
#include "stream/wire.h"

#define RUNS_A_TURN 256 /* looked for in the maps */
#define WRITES_A_TURN 64

enum state { COUNT, HEADER, FRAMES, END, OVER };

struct slot {
	struct hb_req req;
	struct wire_frame frame;
	bool ready; /* its bytes are there */
	uint8_t *buf; /* owned; the frame's head lies directly before its data */
};

struct stream_export {
	struct hb_pool *pool; /* borrowed */
	struct hb_volume *vol, *base; /* open; base: NULL when from nothing */
	uint32_t id, base_id;
	struct stream_sink sink;
	struct stream_progress progress;
	enum state state;
	struct err err;
	struct wire_header header;
	struct wire_run run;
	/* The run that frames are cut from, and where the next one is looked for. */
	struct hb_diff_run now;
	uint64_t next_off;
	bool no_more;
	/* Slots first .. first + used - 1, modulo depth, are in use. */
	struct slot slots[STREAM_DEPTH];
	unsigned depth, first, used;
	/* What is being written. */
	const uint8_t *out;
	size_t out_left;
	uint8_t fixed[WIRE_HEADER_BYTES]; /* header, frames without data */
};

#define DATA_AT BLK_BYTES /* in a slot's buffer */

/* ---------------------------------------------------------------- runs */

/* The next run into x->now: 1; 0: no more; -EAGAIN: call again. */
static int next_run(struct stream_export *x)
{
	int rc = hb_volume_diff(x->pool, x->base_id, x->id, x->next_off, &x->now);

	if (rc == -EAGAIN || rc == 1)
		x->next_off = x->now.off_bytes + (rc == 1 ? x->now.len_bytes : 0);
	if (rc != 1)
		x->now.len_bytes = 0;
	return rc;
}

static unsigned count_runs(struct stream_export *x)
{
	for (int i = 0; i < RUNS_A_TURN; i++) {
		int rc = next_run(x);

		if (rc == 1 && x->now.mapped)
			x->header.data_bytes += x->now.len_bytes;
		if (rc < 0 && rc != -EAGAIN) {
			err_set(&x->err, rc, "snapshot '%s': its difference cannot be told: %s", x->header.name,
				strerror(-rc));
			return STREAM_FAILED;
		}
		if (rc == 0) {
			x->next_off = 0;
			x->state = HEADER;
			break;
		}
	}
	return STREAM_AGAIN;
}

/* ---------------------------------------------------------------- reading ahead */

static void read_done(struct hb_req *req)
{
	struct slot *s = req->owner;

	s->ready = true;
}

static int start(struct stream_export *x, struct slot *s)
{
	bool data = x->now.mapped;
	uint64_t len = data ? MIN(x->now.len_bytes, WIRE_DATA_MAX) : x->now.len_bytes;

	s->frame = (struct wire_frame){data ? WIRE_DATA : WIRE_HOLE, x->now.off_bytes, len, 0};
	s->ready = !data;
	if (data && !s->buf) {
		s->buf = mem_alloc_aligned(DATA_AT + WIRE_DATA_MAX);
		if (!s->buf)
			return err_set(&x->err, -ENOMEM, "out of memory");
	}
	s->req = (struct hb_req){.op = HB_READ,
				 .vol = x->vol,
				 .off_bytes = x->now.off_bytes,
				 .len_bytes = len,
				 .buf = data ? s->buf + DATA_AT : NULL,
				 .done = read_done,
				 .owner = s};
	x->now.off_bytes += len;
	x->now.len_bytes -= len;
	x->used++;
	if (data && hb_submit(&s->req))
		s->ready = true;
	return 0;
}

/* Starts reads while slots are free. */
static int fill(struct stream_export *x)
{
	for (int i = 0; x->used < x->depth && !x->no_more && i < RUNS_A_TURN;) {
		int rc = 1;

		if (!x->now.len_bytes) {
			rc = next_run(x);
			i++;
		}
		x->no_more = rc == 0;
		if (rc < 0 && rc != -EAGAIN)
			return err_set(&x->err, rc, "snapshot '%s': its difference cannot be told: %s", x->header.name,
				       strerror(-rc));
		if (rc == 1 && start(x, &x->slots[(x->first + x->used) % x->depth]))
			return x->err.code;
	}
	return 0;
}

/* ---------------------------------------------------------------- writing */

static int put_slot(struct stream_export *x, struct slot *s)
{
	uint8_t *to = x->fixed;
	size_t data = 0;

	if (s->frame.kind == WIRE_DATA) {
		if (s->req.error)
			return err_set(&x->err, s->req.error, "snapshot '%s' cannot be read at byte %llu: %s",
				       x->header.name, (unsigned long long)s->req.error_off, strerror(-s->req.error));
		data = s->frame.len_bytes;
		to = s->buf + DATA_AT - WIRE_FRAME_BYTES;
		s->frame.check = wire_data_check(s->buf + DATA_AT, data);
	}
	wire_put_frame(&x->run, &s->frame, to);
	x->out = to;
	x->out_left = WIRE_FRAME_BYTES + data;
	return 0;
}

static int put_end(struct stream_export *x)
{
	static const struct wire_frame end = {.kind = WIRE_END};

	if (x->run.data_bytes != x->header.data_bytes)
		return err_set(&x->err, -EIO, "snapshot '%s' changed while it was exported", x->header.name);
	wire_put_frame(&x->run, &end, x->fixed);
	x->out = x->fixed;
	x->out_left = WIRE_FRAME_BYTES;
	x->state = END;
	return 0;
}

/* What was being written is out: what comes next? 1: it is in x->out; 0: its bytes are not there yet. */
static int next_out(struct stream_export *x)
{
	struct slot *head = &x->slots[x->first];

	switch (x->state) {
	case HEADER:
		x->run.stream = wire_put_header(&x->header, x->fixed);
		x->out = x->fixed;
		x->out_left = WIRE_HEADER_BYTES;
		x->state = FRAMES;
		return 1;
	case FRAMES:
		if (fill(x))
			return x->err.code;
		if (x->used)
			return !head->ready ? 0 : put_slot(x, head) ? x->err.code : 1;
		if (!x->no_more)
			return 0;
		return put_end(x) ? x->err.code : 1;
	default:
		x->state = OVER;
		return 0;
	}
}

/* A slot's frame is out when the header was before and no part of it is left. */
static void wrote_all(struct stream_export *x)
{
	if (x->state != FRAMES || !x->run.frames || !x->used)
		return;
	x->first = (x->first + 1) % x->depth;
	x->used--;
	if (x->progress.tell)
		x->progress.tell(x->progress.ctx, x->run.data_bytes, x->header.data_bytes);
}

static unsigned write_out(struct stream_export *x)
{
	for (int i = 0; i < WRITES_A_TURN; i++) {
		int64_t n;
		int rc = x->out_left ? 1 : next_out(x);

		if (x->state == OVER)
			return STREAM_DONE;
		if (rc < 0)
			return STREAM_FAILED;
		if (rc == 0)
			return x->used ? STREAM_POOL : STREAM_AGAIN;
		n = x->sink.write(x->sink.ctx, x->out, x->out_left);
		if (n == -EAGAIN)
			return STREAM_PIPE | (x->used ? STREAM_POOL : 0);
		if (n <= 0) {
			rc = n ? (int)n : -EIO;
			err_set(&x->err, rc, "the stream cannot be written: %s", strerror(-rc));
			return STREAM_FAILED;
		}
		assert((uint64_t)n <= x->out_left);
		x->out += n;
		x->out_left -= (size_t)n;
		if (!x->out_left)
			wrote_all(x);
	}
	return STREAM_AGAIN;
}

unsigned stream_export_run(struct stream_export *x)
{
	if (x->err.code)
		return STREAM_FAILED;
	if (x->state == OVER)
		return STREAM_DONE;
	return x->state == COUNT ? count_runs(x) : write_out(x);
}

/* ---------------------------------------------------------------- life */

static int open_snapshot(struct hb_pool *pool, const char *name, struct hb_volume **ret, struct hb_volume_info *info,
			 struct err *err)
{
	if (hb_volume_open(pool, name, ret, err))
		return err->code;
	hb_volume_info(*ret, info);
	return info->snapshot ? 0 :
				err_set(err, -EINVAL, "'%s' is a volume, which may change: export a snapshot of it",
					name);
}

static int open_both(struct stream_export *x, const struct stream_export_how *how, struct err *err)
{
	struct hb_volume_info info, base = {.id = 0};

	if (open_snapshot(x->pool, how->snapshot, &x->vol, &info, err))
		return err->code;
	if (how->from && open_snapshot(x->pool, how->from, &x->base, &base, err))
		return err->code;
	if (how->from && base.family_id != info.family_id)
		return err_set(err, -EINVAL, "snapshot '%s' is not of the family of '%s'", how->from, how->snapshot);
	if (how->from && !memcmp(base.content, info.content, 16))
		return err_set(err, -EINVAL, "'%s' and '%s' have the same content", how->from, how->snapshot);
	x->id = info.id;
	x->base_id = base.id;
	x->header = (struct wire_header){.size_bytes = info.size_bytes, .created_s = info.created_s};
	memcpy(x->header.pool_uuid, hb_pool_uuid(x->pool), 16);
	memcpy(x->header.content, info.content, 16);
	memcpy(x->header.base, base.content, 16);
	memcpy(x->header.name, info.name, sizeof(x->header.name));
	return 0;
}

int stream_export_new(const struct stream_export_how *how, struct stream_export **ret, struct err *err)
{
	struct stream_export *x = mem_zalloc(sizeof(*x));
	struct err own = ERR_INIT;

	if (!x)
		return err_set(err, -ENOMEM, "out of memory");
	x->pool = how->pool;
	x->sink = how->sink;
	x->progress = how->progress;
	x->depth = how->depth ? MIN(how->depth, STREAM_DEPTH) : STREAM_DEPTH;
	if (open_both(x, how, &own)) {
		stream_export_free(x);
		return err_set(err, own.code, "%s", own.text);
	}
	*ret = x;
	return 0;
}

const struct err *stream_export_error(const struct stream_export *x)
{
	return &x->err;
}

uint64_t stream_export_bytes(const struct stream_export *x)
{
	return x->run.data_bytes;
}

void stream_export_free(struct stream_export *x)
{
	if (!x)
		return;
	if (x->vol)
		hb_volume_close(x->vol);
	if (x->base)
		hb_volume_close(x->base);
	for (unsigned i = 0; i < STREAM_DEPTH; i++)
		mem_free(x->slots[i].buf);
	mem_free(x);
}
