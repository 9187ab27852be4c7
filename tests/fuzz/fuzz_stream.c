/* SPDX-License-Identifier: GPL-2.0-only */
/* fuzz_stream.c - any bytes as a stream, imported into a pool that has the snapshot "one": what is refused leaves no
 * new snapshot, what is taken makes just one, and the pool stays consistent.
 *
 * With FLAG_BLIND the checksum of the stream's parts is the same for all bytes, so that the fuzzer gets behind it to
 * the checks of each field.
 *
 * Input: one byte of FLAGS, one that says how many bytes the source gives at once, then the stream. The same stream
 * comes twice, with FLAG_RESUME gone on from where the first attempt ended.
 */
#include "base/crc32c.h"

/* In place of the library's, in wire.c alone. */
static uint32_t stream_crc32c(uint32_t crc, const void *buf, size_t len);
#define crc32c stream_crc32c
#include "stream/wire.c"
#undef crc32c

#include "ram_pool.h"
#include "stream/stream.h"

#define FRESH_AFTER 300		/* inputs, then a new pool: an input finds nearly the same pool whenever it is run */
#define CHECK_AFTER 10
#define BLIND_CRC 0x5a5aa5a5u
#define IDLE_TURNS 8
#define RUNS_MAX 100000

enum { FLAG_BLIND = 1, FLAG_RESUME = 2, FLAG_AGAIN = 4, FLAG_CUT = 8, FLAG_STUTTER = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ram_pool ram;
static unsigned inputs;
static bool blind;

static uint32_t stream_crc32c(uint32_t crc, const void *buf, size_t len)
{
	return blind ? BLIND_CRC : crc32c(crc, buf, len);
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* ------------------------------------------------------------------ the pool */
static void request_done(struct hb_req *req)
{
	*(bool *)req->owner = true;
}

static void request(struct hb_req *req)
{
	bool done = false;

	req->done = request_done;
	req->owner = &done;
	if (!hb_submit(req))
		ram_pool_run(&ram, &done);
	must(req->error == 0);
}

/* "v" and its snapshot "one", with an identity that is always the same. */
static void fresh_pool(void)
{
	static const uint8_t content[16] = "the base of all";
	struct hb_snap snap = {.source = "v", .name = "one", .content = content};
	struct hb_req req = {.op = HB_WRITE, .len_bytes = KIB(64)};
	static uint8_t buf[KIB(64)];
	struct err err = ERR_INIT;

	if (ram.pool)
		ram_pool_close(&ram);
	ram_pool_open(&ram);
	ram_pool_must(hb_volume_create(ram.pool, "v", MIB(1), &err), &err);
	ram_pool_must(hb_volume_open(ram.pool, "v", &req.vol, &err), &err);
	memset(buf, 1, sizeof(buf));
	req.buf = buf;
	request(&req);
	hb_volume_close(req.vol);
	ram_pool_must(hb_volume_snapshot(ram.pool, &snap, 1, &err), &err);
}

static void delete_all_but_one(void)
{
	char cursor[HB_NAME_MAX + 1] = "";
	struct hb_volume_info info;
	struct err err = ERR_INIT;

	while (hb_volume_next(ram.pool, cursor, &info))
		if (strcmp(info.name, "one"))
			ram_pool_must(hb_volume_delete(ram.pool, info.name, &err), &err);
	for (int i = 0; i < IDLE_TURNS; i++)
		ram_pool_wait(&ram, hb_pool_run(ram.pool));
}

static unsigned snapshots(void)
{
	char cursor[HB_NAME_MAX + 1] = "";
	struct hb_volume_info info;
	unsigned n = 0;

	while (hb_volume_next(ram.pool, cursor, &info))
		n += info.snapshot;
	return n;
}

/* ------------------------------------------------------------------ the stream */
struct input {
	const uint8_t *at, *end;
	size_t most;
	bool stutters, waited;
};

static int64_t input_read(void *ctx, void *buf, size_t len)
{
	struct input *in = ctx;
	size_t left = (size_t)(in->end - in->at);

	in->waited = in->stutters && !in->waited;
	if (in->waited)
		return -EAGAIN;
	len = MIN(MIN(len, in->most), left);
	if (len)
		memcpy(buf, in->at, len);
	in->at += len;
	return (int64_t)len;
}

static void tell(void *ctx, uint64_t done, uint64_t total)
{
	uint64_t *last = ctx;

	must(done >= *last && done <= total);
	*last = done;
}

static void import(unsigned flags, struct input in)
{
	uint64_t last = 0;
	struct stream_import_how how = {.pool = ram.pool, .resume = flags & FLAG_RESUME, .again = flags & FLAG_AGAIN,
					.source = {&in, input_read}, .progress = {&last, tell}, .depth = 2};
	unsigned before = snapshots(), what = 0;
	struct stream_import *x;
	struct hb_volume_info info;
	struct err err = ERR_INIT;

	ram_pool_must(stream_import_new(&how, &x, &err), &err);
	for (int i = 0; i < RUNS_MAX && !(what & (STREAM_DONE | STREAM_FAILED)); i++) {
		what = stream_import_run(x);
		ram_pool_wait(&ram, hb_pool_run(ram.pool));
	}
	if (what == STREAM_DONE) {
		must(snapshots() == before + 1 && hb_volume_find(ram.pool, stream_import_name(x), &info));
		must(info.snapshot && in.at == in.end);
	} else {
		must(what == STREAM_FAILED && snapshots() == before);
		must(stream_import_error(x)->code < 0 && stream_import_error(x)->text[0]);
	}
	stream_import_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in, cut;
	unsigned flags;

	if (size < 2)
		return 0;
	if (inputs++ % FRESH_AFTER == 0)
		fresh_pool();
	flags = data[0];
	blind = flags & FLAG_BLIND;
	in = (struct input){.at = data + 2, .end = data + size, .most = data[1] ? data[1] * 16u : SIZE_MAX,
			    .stutters = flags & FLAG_STUTTER};
	cut = in;
	if (flags & FLAG_CUT)
		cut.end -= (size - 2) / 3;
	import(flags, cut);
	import(flags, in);
	if (inputs % CHECK_AFTER == 0)
		must(hb_pool_check(ram.pool, false, NULL, NULL, NULL) == 0);
	delete_all_but_one();
	return 0;
}
