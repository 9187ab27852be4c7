/* SPDX-License-Identifier: GPL-2.0-only */
/* stream_rig.c - two pools, and streams in memory between them; see stream_rig.h. */
#include "stream_rig.h"

#include <errno.h>

#include "suites.h"

#define DEPTH 3

/* ------------------------------------------------------------------ pools */
struct ram_pool a, b;

void pools_open(void)
{
	ram_pool_open(&a);
	ram_pool_open(&b);
	b.rng.s = 99;	/* ids of its own */
}

void pools_close(void)
{
	CHECK(hb_pool_check(a.pool, true, NULL, NULL, NULL) == 0);
	CHECK(hb_pool_check(b.pool, true, NULL, NULL, NULL) == 0);
	ram_pool_close(&a);
	ram_pool_close(&b);
}

static void request_done(struct hb_req *req)
{
	*(bool *)req->owner = true;
}

int request(struct ram_pool *r, struct hb_volume *vol, enum hb_op op, uint64_t off, uint64_t len, void *buf)
{
	bool done = false;
	struct hb_req req = {.op = op, .vol = vol, .off_bytes = off, .len_bytes = len, .buf = buf,
			     .done = request_done, .owner = &done};

	done = hb_submit(&req);
	while (!done)
		r->env.wait(r->env.ctx, hb_pool_run(r->pool));
	return req.error;
}

struct hb_volume *open_volume(struct ram_pool *r, const char *name)
{
	struct err err = ERR_INIT;
	struct hb_volume *vol = NULL;

	CHECK(hb_volume_open(r->pool, name, &vol, &err) == 0);
	return vol;
}

void put(struct ram_pool *r, const char *name, uint64_t off, uint64_t len, uint64_t with)
{
	struct hb_volume *vol = open_volume(r, name);
	uint64_t *buf = malloc(len);

	for (uint64_t i = 0; i < len / 8; i++)
		buf[i] = with ? hash64(with + i) : 0;
	CHECK(request(r, vol, HB_WRITE, off, len, buf) == 0);
	free(buf);
	hb_volume_close(vol);
}

void unmap(struct ram_pool *r, const char *name, uint64_t off, uint64_t len)
{
	struct hb_volume *vol = open_volume(r, name);

	CHECK(request(r, vol, HB_UNMAP, off, len, NULL) == 0);
	hb_volume_close(vol);
}

void snap(struct ram_pool *r, const char *source, const char *name, bool writable)
{
	struct hb_snap what = {.source = source, .name = name, .writable = writable};
	struct err err = ERR_INIT;

	CHECK(hb_volume_snapshot(r->pool, &what, 1, &err) == 0);
}

void make_chain(struct ram_pool *r)
{
	struct err err = ERR_INIT;

	CHECK(hb_volume_create(r->pool, "v", VOL_BYTES, &err) == 0);
	put(r, "v", 0, MIB(2) + KIB(12), 1);
	put(r, "v", MIB(3), KIB(4), 2);
	put(r, "v", MIB(4), KIB(64), 0);	/* zeros that are mapped */
	put(r, "v", VOL_BYTES - KIB(4), KIB(4), 3);
	snap(r, "v", "s1", false);
	put(r, "v", KIB(100), KIB(8), 4);
	unmap(r, "v", MIB(1), KIB(256));
	unmap(r, "v", MIB(3), KIB(4));
	CHECK(hb_volume_grow(r->pool, "v", VOL_BYTES + MIB(4) + KIB(4), &err) == 0);
	put(r, "v", VOL_BYTES + MIB(4), KIB(4), 5);
	snap(r, "v", "s2", false);
	put(r, "v", MIB(1) + KIB(8), KIB(20), 6);
	put(r, "v", MIB(5), MIB(1), 7);
	unmap(r, "v", MIB(6), VOL_BYTES + MIB(4) + KIB(4) - MIB(6));
	CHECK(hb_volume_shrink(r->pool, "v", MIB(7), &err) == 0);
	snap(r, "v", "s3", false);
}

struct hb_volume_info info_of(struct ram_pool *r, const char *name)
{
	struct hb_volume_info info;

	CHECK(hb_volume_find(r->pool, name, &info));
	return info;
}

void same(const char *in_a, const char *in_b)
{
	struct hb_volume *va = open_volume(&a, in_a), *vb = open_volume(&b, in_b);
	struct hb_volume_info ia, ib;
	uint64_t size = hb_volume_size(va);
	uint8_t *ba = malloc(MIB(1)), *bb = malloc(MIB(1));

	hb_volume_info(va, &ia);
	hb_volume_info(vb, &ib);
	CHECK(ib.size_bytes == size && ib.mapped_bytes == ia.mapped_bytes && ib.snapshot);
	CHECK(!memcmp(ia.content, ib.content, 16));
	for (uint64_t off = 0; off < size; off += MIB(1)) {
		uint64_t len = MIN(MIB(1), size - off);

		CHECK(request(&a, va, HB_READ, off, len, ba) == 0 && request(&b, vb, HB_READ, off, len, bb) == 0);
		CHECK(!memcmp(ba, bb, len));
	}
	for (uint64_t off = 0, len; off < size; off += len) {
		uint64_t len_b = size - off;

		len = size - off;
		CHECK(hb_volume_mapped(va, off, &len) == hb_volume_mapped(vb, off, &len_b));
		len = MIN(len, len_b);
	}
	free(ba);
	free(bb);
	hb_volume_close(va);
	hb_volume_close(vb);
}

void count_volumes(struct ram_pool *r, unsigned *snapshots, unsigned *others)
{
	char cursor[HB_NAME_MAX + 1] = "";
	struct hb_volume_info info;

	*snapshots = *others = 0;
	while (hb_volume_next(r->pool, cursor, &info))
		++*(info.snapshot ? snapshots : others);
}

void b_has(unsigned snapshots, unsigned others)
{
	unsigned s, o;

	count_volumes(&b, &s, &o);
	CHECK(s == snapshots && o == others);
}

/* ------------------------------------------------------------------ streams in memory */
static bool stutter(struct pipe *p)
{
	p->said_wait = p->stutters && !p->said_wait;
	return p->said_wait;
}

int64_t pipe_write(void *ctx, const void *buf, size_t len)
{
	struct pipe *p = ctx;

	if (stutter(p))
		return -EAGAIN;
	if (p->full_at && p->len >= p->full_at)
		return -EPIPE;
	len = p->most ? MIN(len, p->most) : len;
	if (p->len + len > p->room) {
		p->room = (p->len + len) * 2;
		p->bytes = realloc(p->bytes, p->room);
	}
	memcpy(p->bytes + p->len, buf, len);
	p->len += len;
	return (int64_t)len;
}

int64_t pipe_read(void *ctx, void *buf, size_t len)
{
	struct pipe *p = ctx;

	if (stutter(p))
		return -EAGAIN;
	len = MIN(len, p->len - p->pos);
	if (!len)
		return p->fails_with;
	len = p->most ? MIN(len, p->most) : len;
	memcpy(buf, p->bytes + p->pos, len);
	p->pos += len;
	return (int64_t)len;
}

struct told {
	uint64_t done, total;
	unsigned times;
};

static void tell(void *ctx, uint64_t done, uint64_t total)
{
	struct told *t = ctx;

	CHECK(done >= t->done && done <= total && (!t->times || total == t->total));
	*t = (struct told){done, total, t->times + 1};
}

/* Turns until the state machine is over; returns its error. It must not ask for what it has no use of. */
static struct err run(struct ram_pool *r, struct stream_export *out, struct stream_import *in)
{
	unsigned what = 0;

	for (int i = 0; i < 10000000; i++) {
		what = out ? stream_export_run(out) : stream_import_run(in);
		CHECK(what);
		if (what & (STREAM_DONE | STREAM_FAILED))
			break;
		CHECK(what != STREAM_POOL || in || hb_pool_requests(r->pool));
		r->env.wait(r->env.ctx, hb_pool_run(r->pool));
	}
	CHECK(what == STREAM_DONE || what == STREAM_FAILED);
	CHECK((out ? stream_export_run(out) : stream_import_run(in)) == what);
	return what == STREAM_DONE ? ERR_INIT : out ? *stream_export_error(out) : *stream_import_error(in);
}

int try_export(struct ram_pool *r, const char *snapshot, const char *from, struct pipe *to, struct err *err)
{
	struct told told = {0};
	struct stream_export_how how = {.pool = r->pool, .snapshot = snapshot, .from = from,
					.sink = {to, pipe_write}, .progress = {&told, tell}, .depth = DEPTH};
	struct stream_export *x;

	*err = ERR_INIT;
	if (stream_export_new(&how, &x, err))
		return err->code;
	*err = run(r, x, NULL);
	CHECK(err->code || !told.times || told.done == told.total);
	CHECK(err->code || stream_export_bytes(x) == told.total);
	stream_export_free(x);
	return err->code;
}

struct pipe export(struct ram_pool *r, const char *snapshot, const char *from)
{
	struct pipe p = {0};
	struct err err;

	CHECK(try_export(r, snapshot, from, &p, &err) == 0);
	return p;
}

int try_import(struct ram_pool *r, struct pipe *from, const char *name, unsigned flags, struct err *err)
{
	struct told told = {0};
	struct stream_import_how how = {.pool = r->pool, .name = name, .resume = flags & RESUME,
					.again = flags & AGAIN, .source = {from, pipe_read},
					.progress = {&told, tell}, .depth = DEPTH};
	struct stream_import *x;

	*err = ERR_INIT;
	from->pos = 0;
	if (stream_import_new(&how, &x, err))
		return err->code;
	*err = run(r, NULL, x);
	CHECK(!err->code == !err->text[0]);
	stream_import_free(x);
	return err->code;
}

void import(struct pipe *from, const char *name, unsigned flags)
{
	struct err err;

	if (try_import(&b, from, name, flags, &err))
		printf("\n%s\n", err.text);
	CHECK(!err.code);
}

void refused(struct pipe *from, const char *name, unsigned flags, int code, const char *words)
{
	struct err err;

	if (try_import(&b, from, name, flags, &err) != code || !strstr(err.text, words))
		printf("\nexpected %d: ...%s...\ngot      %d: %s\n", code, words, err.code, err.text);
	CHECK(err.code == code && strstr(err.text, words));
}

void drop(struct ram_pool *r, const char *name)
{
	struct err err = ERR_INIT;

	CHECK(hb_volume_delete(r->pool, name, &err) == 0);
}

size_t frame_bytes(const struct pipe *p, size_t at)
{
	bool data = get_le32(p->bytes + at + 8) == WIRE_DATA;

	return WIRE_FRAME_BYTES + (data ? get_le64(p->bytes + at + 32) : 0);
}

size_t frame_at(const struct pipe *p, unsigned n)
{
	size_t at = WIRE_HEADER_BYTES;

	while (n--)
		at += frame_bytes(p, at);
	return at;
}

unsigned frames_of(const struct pipe *p)
{
	unsigned n = 0;

	for (size_t at = WIRE_HEADER_BYTES; at < p->len; at += frame_bytes(p, at))
		n++;
	return n;
}
