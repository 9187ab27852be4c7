/* SPDX-License-Identifier: GPL-2.0-only */
/* fuzz_format.c - damaged pools: the images of a small pool that crashed, with blocks changed by the fuzzer, are
 * probed, opened, checked, read, written and closed. Whatever is found must end in an error or in a working pool.
 *
 * There are two base images. In the honest one checksums are what they should be, so most damage is found by them. The
 * blind one was made, and is read, with a checksum that is the same for all bytes: every change passes for intact, and
 * the fuzzer gets behind the checksums to the checks of each field.
 *
 * Input: one byte of FLAGS, then changes, each {kind, where (2 bytes), offset (2), length} and `length` bytes.
 */
#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* Not watched for coverage: it would take half of the time. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage", "address", "undefined"))), apply_to = function)
#define crc32c crc32c_honest
#include "base/crc32c.c"
#undef crc32c
#pragma clang attribute pop
uint32_t crc32c(uint32_t crc, const void *buf, size_t len);

#include "ram_pool.h"

#define CAPACITY_BYTES MIB(16)
#define WRITE_BYTES MIB(8)
#define SEGMENT_BYTES KIB(256)
#define STAGING_BYTES (BLK_BYTES + 6 * SEGMENT_BYTES)
#define BLIND_CRC 0x5a5aa5a5u
#define TURNS_MAX 2000000u

enum { FLAG_BLIND = 1, FLAG_READ_ONLY = 2, FLAG_NO_STAGING = 4, FLAG_OTHER_BOOT = 8, FLAG_DEEP = 16, FLAG_AGAIN = 32 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ------------------------------------------------------------------ the checksum in between */
static bool blind;

/* In place of the library's. */
uint32_t crc32c(uint32_t crc, const void *buf, size_t len)
{
	return blind ? BLIND_CRC : crc32c_honest(crc, buf, len);
}

/* ------------------------------------------------------------------ memory with a copy kept */
enum part { PART_CAPACITY, PART_WRITE, PART_STAGING, PARTS };

/* A region as it was when the base image was complete, and the list of its blocks that hold structures. */
struct base {
	int fd;				/* memfd */
	uint64_t bytes;
	uint32_t *used, nused;
};

static struct base bases[2][PARTS];	/* by blind */
static uint8_t *region[PARTS];		/* as mapped now */

static void *map_base(const struct base *b, int how)
{
	void *p = mmap(NULL, b->bytes, PROT_READ | PROT_WRITE, how, b->fd, 0);

	assert(p != MAP_FAILED);
	return p;
}

static void base_new(struct base *b, uint64_t bytes)
{
	b->bytes = bytes;
	b->fd = memfd_create("base", MFD_CLOEXEC);
	assert(b->fd >= 0 && ftruncate(b->fd, (off_t)bytes) == 0);
}

static void base_list_used(struct base *b, const uint8_t *bytes)
{
	uint32_t n = (uint32_t)(b->bytes / BLK_BYTES);

	b->used = calloc(n, sizeof(*b->used));
	assert(b->used);
	/* Empty blocks and the data that fill() writes are of one byte all over. */
	for (uint32_t i = 0; i < n; i++, bytes += BLK_BYTES)
		if (memcmp(bytes, bytes + 1, BLK_BYTES - 1))
			b->used[b->nused++] = i;
	assert(b->nused);
}

/* ------------------------------------------------------------------ a device on a region */
struct region_dev {
	struct dev dev;
	enum part part;
	struct link queued, kicked;
};

static void region_queue(struct dev *dev, struct dev_io *io)
{
	list_push(&container_of(dev, struct region_dev, dev)->queued, &io->link);
}

static void region_kick(struct dev *dev)
{
	struct region_dev *d = container_of(dev, struct region_dev, dev);

	list_splice(&d->kicked, &d->queued);
}

/* What the engine asks for must be sane whatever the devices say. */
static int region_io(struct region_dev *d, const struct dev_io *io)
{
	uint8_t *at = region[d->part] + io->off_bytes;

	if (io->op == DEV_FLUSH)
		return 0;
	assert(io->off_bytes % 512 == 0 && io->len_bytes % 512 == 0);
	assert(io->len_bytes <= d->dev.geom.size_bytes && io->off_bytes <= d->dev.geom.size_bytes - io->len_bytes);
	if (io->op == DEV_DISCARD)
		memset(at, 0, io->len_bytes);
	for (int i = 0; i < io->niov; i++) {
		if (io->op == DEV_READ)
			memcpy(io->iov[i].iov_base, at, io->iov[i].iov_len);
		else
			memcpy(at, io->iov[i].iov_base, io->iov[i].iov_len);
		at += io->iov[i].iov_len;
	}
	return 0;
}

static int region_drain(struct dev *dev, uint64_t now_ns)
{
	struct region_dev *d = container_of(dev, struct region_dev, dev);
	struct link todo, *l;
	int n = 0;

	list_init(&todo);
	list_splice(&todo, &d->kicked);
	for (; (l = list_pop(&todo)); n++) {
		struct dev_io *io = list_entry(l, struct dev_io, link);

		dev_finish(dev, io, region_io(d, io), now_ns);
	}
	return n;
}

static void region_close(struct dev *dev)
{
	free(container_of(dev, struct region_dev, dev));
}

static struct dev *region_open(enum part part, uint64_t bytes)
{
	static const struct dev_ops ops = {.kind = "fuzz", .queue = region_queue, .kick = region_kick,
					   .drain = region_drain, .close = region_close};
	struct region_dev *d = calloc(1, sizeof(*d));

	assert(d);
	d->dev.ops = &ops;
	d->dev.geom = (struct dev_geom){.size_bytes = bytes, .logical_bytes = 512, .mem_align = 512,
					.discard_bytes = 4096};
	d->dev.timeout_ns = DEV_TIMEOUT_NS;
	d->part = part;
	snprintf(d->dev.name, sizeof(d->dev.name), "%s", part == PART_CAPACITY ? "capacity" : "write");
	list_init(&d->queued);
	list_init(&d->kicked);
	return &d->dev;
}

/* ------------------------------------------------------------------ the world around the pool */
static struct ram_pool ram;		/* its clock, its randomness; the devices are ours */
static unsigned turns;

static void counted_wait(void *ctx, uint64_t until_ns)
{
	assert(turns++ < TURNS_MAX);	/* the engine waits for what never comes */
	ram_pool_wait(ctx, until_ns);
}

static int open_pool(unsigned flags, struct err *err)
{
	struct hb_open how = {.capacity = region_open(PART_CAPACITY, CAPACITY_BYTES),
			      .write_tier = region_open(PART_WRITE, WRITE_BYTES),
			      .staging = region[PART_STAGING], .staging_bytes = STAGING_BYTES, .ram_bytes = MIB(4),
			      .boot_token = flags & FLAG_OTHER_BOOT ? 2 : 1, .read_only = flags & FLAG_READ_ONLY};
	int rc = hb_pool_open(&ram.env, &how, &ram.pool, err);

	if (rc == 0)
		return 0;
	assert(rc < 0 && err->code == rc && err->text[0]);
	dev_close(how.capacity);
	dev_close(how.write_tier);
	ram.pool = NULL;
	return rc;
}

static void request_done(struct hb_req *req)
{
	*(bool *)req->owner = true;
}

static int run_request(struct hb_req *req)
{
	bool done = false;

	req->done = request_done;
	req->owner = &done;
	if (hb_submit(req))
		return req->error;
	ram_pool_run(&ram, &done);
	return req->error;
}

static int simple_request(struct hb_volume *vol, enum hb_op op, uint64_t off, uint64_t len, void *buf)
{
	struct hb_req req = {.op = op, .vol = vol, .off_bytes = off, .len_bytes = len, .buf = buf};

	return run_request(&req);
}

/* ------------------------------------------------------------------ the base images */
static struct hb_volume *volume(const char *name)
{
	struct err err = ERR_INIT;
	struct hb_volume *vol = NULL;

	ram_pool_must(hb_volume_open(ram.pool, name, &vol, &err), &err);
	return vol;
}

static void fill(const char *name, uint64_t from, uint64_t blocks, uint64_t step, uint8_t seed)
{
	struct hb_volume *vol = volume(name);
	uint8_t buf[BLK_BYTES];

	for (uint64_t i = 0; i < blocks; i++) {
		memset(buf, seed + (int)i, sizeof(buf));
		assert(simple_request(vol, HB_WRITE, (from + i * step) * BLK_BYTES, BLK_BYTES, buf) == 0);
	}
	hb_volume_close(vol);
}

static void must_volume(int rc, struct err *err)
{
	ram_pool_must(rc, err);
}

static const struct hb_volume_attr attr = {.mode = HB_MODE_WRITE_AROUND, .iops = 100000, .bandwidth = GIB(1),
					   .burst_s = 10, .share = 300, .bypass_blk = 77,
					   .read_ahead_blk = HB_ATTR_NEVER, .cache_floor_mib = 1,
					   .npins = 3, .pin = {{5, 10}, {100, 7}, {1000, HB_PIN_TO_END}}};

/* First life: volumes of several shapes, closed cleanly, so that a checkpoint holds them. */
static void first_life(void)
{
	struct err err = ERR_INIT;
	struct hb_volume *from, *to;
	struct hb_req copy = {.op = HB_COPY, .len_bytes = MIB(1)};

	must_volume(hb_volume_create(ram.pool, "alpha", MIB(8), &err), &err);
	must_volume(hb_volume_create(ram.pool, "beta", GIB(4), &err), &err);
	must_volume(hb_volume_create(ram.pool, "gamma", MIB(4), &err), &err);
	must_volume(hb_volume_create(ram.pool, "doomed", MIB(4), &err), &err);
	fill("alpha", 0, 200, 1, 1);
	fill("beta", 7, 60, 1021, 2);
	fill("gamma", 0, 64, 3, 3);
	fill("doomed", 0, 40, 1, 4);
	copy.vol = to = volume("gamma");
	copy.src_vol = from = volume("alpha");
	(void)run_request(&copy);
	assert(simple_request(from, HB_UNMAP, MIB(1) / 2, KIB(128), NULL) == 0);
	hb_volume_close(from);
	hb_volume_close(to);
	must_volume(hb_volume_delete(ram.pool, "doomed", &err), &err);
	must_volume(hb_volume_set(ram.pool, "beta", &attr, HB_ATTR_ALL, &err), &err);
	(void)hb_pool_writeback(ram.pool);
	must_volume(hb_pool_close(ram.pool, &err), &err);
}

/* Whole chunks in order, past the write tier: CHUNKS records. */
static void stream(const char *name, uint64_t from)
{
	static const struct hb_volume_attr soon = {.bypass_blk = 1};
	static uint8_t buf[KIB(128)];
	struct err err = ERR_INIT;
	struct hb_volume *vol;
	struct hb_stats st;

	must_volume(hb_volume_set(ram.pool, name, &soon, HB_ATTR_BYPASS, &err), &err);
	vol = volume(name);
	memset(buf, 0x5a, sizeof(buf));
	for (int i = 0; i < 4; i++)
		assert(simple_request(vol, HB_WRITE, from + (uint64_t)i * sizeof(buf), sizeof(buf), buf) == 0);
	hb_volume_close(vol);
	hb_pool_stats(ram.pool, &st);
	assert(st.past_blocks);
}

static const struct hb_volume_attr back = {.mode = HB_MODE_WRITE_BACK};

/* Second life: records of all kinds in the log and in staging, then the process dies. */
static void second_life(void)
{
	struct err err = ERR_INIT;
	struct hb_volume *vol;

	must_volume(open_pool(0, &err), &err);
	must_volume(hb_volume_create(ram.pool, "delta", MIB(2), &err), &err);
	must_volume(hb_volume_rename(ram.pool, "alpha", "omega", &err), &err);
	must_volume(hb_volume_grow(ram.pool, "omega", MIB(16), &err), &err);
	fill("delta", 0, 100, 2, 5);
	fill("omega", 100, 150, 1, 6);
	vol = volume("omega");
	assert(simple_request(vol, HB_FLUSH, 0, 0, NULL) == 0);
	assert(simple_request(vol, HB_UNMAP, 0, KIB(192), NULL) == 0);
	hb_volume_close(vol);
	must_volume(hb_volume_set(ram.pool, "beta", &back, HB_ATTR_MODE, &err), &err);
	fill("beta", 9, 30, 1021, 7);
	must_volume(hb_volume_delete(ram.pool, "gamma", &err), &err);
	hb_pool_run(ram.pool);
	fill("delta", 1, 20, 2, 8);
	stream("omega", MIB(4));
	must_volume(hb_volume_set(ram.pool, "omega", &attr, HB_ATTR_ALL, &err), &err);
	hb_pool_abandon(ram.pool);
}

static void make_base(struct base parts[PARTS])
{
	static const uint64_t bytes[PARTS] = {CAPACITY_BYTES, WRITE_BYTES, STAGING_BYTES};
	struct hb_create how = {.name = "main", .any_size = true, .segment_bytes = SEGMENT_BYTES};
	struct dev *capacity = region_open(PART_CAPACITY, CAPACITY_BYTES);
	struct dev *write = region_open(PART_WRITE, WRITE_BYTES);
	struct err err = ERR_INIT;

	for (enum part i = 0; i < PARTS; i++) {
		base_new(&parts[i], bytes[i]);
		region[i] = map_base(&parts[i], MAP_SHARED);
	}
	ram_pool_init(&ram);
	ram.env.wait = counted_wait;
	ram_pool_must(hb_pool_create(&ram.env, &how, capacity, write, NULL, &err), &err);
	dev_close(capacity);
	dev_close(write);
	ram_pool_must(open_pool(0, &err), &err);
	first_life();
	second_life();
	for (enum part i = 0; i < PARTS; i++) {
		base_list_used(&parts[i], region[i]);
		munmap(region[i], parts[i].bytes);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	for (int b = 0; b < 2; b++) {
		blind = b;
		turns = 0;
		make_base(bases[b]);
	}
	return 0;
}

/* ------------------------------------------------------------------ changes */
enum { KIND_PART = 3, KIND_ANY_BLOCK = 4, KIND_XOR = 8, KIND_MOVE = 16, KIND_ZERO = 32 };

struct change {
	unsigned kind, where, offset, length;
};

static uint8_t *block_of(const struct base *b, enum part part, const struct change *c, unsigned where)
{
	uint64_t n = c->kind & KIND_ANY_BLOCK ? where % (b->bytes / BLK_BYTES) : b->used[where % b->nused];

	return region[part] + n * BLK_BYTES;
}

/* Takes one change from the input and makes it; returns how many bytes it took, 0 at the end. */
static size_t change(const struct base parts[PARTS], const uint8_t *data, size_t left)
{
	struct change c;
	enum part part;
	uint8_t *block;
	size_t n;

	if (left < 6)
		return 0;
	c = (struct change){data[0], get_le16(data + 1), get_le16(data + 3) % BLK_BYTES, data[5]};
	part = (c.kind & KIND_PART) % PARTS;
	block = block_of(&parts[part], part, &c, c.where);
	if (c.kind & KIND_MOVE) {	/* another block of the same region lands here, as by a misdirected write */
		memmove(block, block_of(&parts[part], part, &c, c.offset), BLK_BYTES);
		return 6;
	}
	if (c.kind & KIND_ZERO) {
		memset(block, 0, BLK_BYTES);
		return 6;
	}
	n = c.length < left - 6 ? c.length : left - 6;
	for (size_t i = 0; i < n && c.offset + i < BLK_BYTES; i++)
		block[c.offset + i] = (uint8_t)(c.kind & KIND_XOR ? block[c.offset + i] ^ data[6 + i] : data[6 + i]);
	return 6 + n;
}

/* ------------------------------------------------------------------ using what opens */
static void finding(void *ctx, enum hb_check_class c, const char *text)
{
	unsigned *seen = ctx;

	*seen |= c;
	assert(text && text[0]);
}

static void progress(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx;
	assert(done <= total);
}

/* Reads, writes and unmaps a little in the volume's beginning, at its end, and where it is mapped. */
static void use_volume(const struct hb_volume_info *info)
{
	static uint8_t buf[KIB(64)];
	struct err err = ERR_INIT;
	struct hb_volume *vol;
	uint64_t size, len;

	if (hb_volume_open(ram.pool, info->name, &vol, &err))
		return;
	size = hb_volume_size(vol);
	for (uint64_t off = 0, n = 0; off < size && n < 24; n++) {
		len = size - off;
		if (hb_volume_mapped(vol, off, &len))
			(void)simple_request(vol, HB_READ, off, MIN(len, sizeof(buf)), buf);
		assert(len > 0 && len <= size - off);
		off += len;
	}
	memset(buf, 0x77, sizeof(buf));
	(void)simple_request(vol, HB_WRITE, 0, MIN(size, KIB(12)), buf);
	if (size >= KIB(8))
		(void)simple_request(vol, HB_WRITE, size - KIB(8), KIB(8), buf);
	(void)simple_request(vol, HB_UNMAP, 0, MIN(size, KIB(4)), NULL);
	(void)simple_request(vol, HB_FLUSH, 0, 0, NULL);
	hb_volume_close(vol);
}

static void use_pool(unsigned flags)
{
	char cursor[HB_NAME_MAX + 1] = "";
	struct hb_volume_info info;
	struct err err = ERR_INIT;
	unsigned seen = 0;
	int n = hb_pool_check(ram.pool, flags & FLAG_DEEP, finding, progress, &seen);

	assert(n < 0 || (n > 0) == (seen != 0));
	for (int i = 0; i < 8 && hb_volume_next(ram.pool, cursor, &info); i++)
		use_volume(&info);
	(void)hb_volume_create(ram.pool, "new", MIB(1), &err);
	for (int i = 0; i < 50; i++)
		ram_pool_wait(&ram, hb_pool_run(ram.pool));
	(void)hb_pool_close(ram.pool, &err);
}

static void probe(enum part part, uint64_t bytes)
{
	struct dev *dev = region_open(part, bytes);
	struct hb_dev_label label;
	struct err err = ERR_INIT;
	int rc = hb_dev_probe(&ram.env, dev, &label, &err);

	if (rc == 0)
		assert(memchr(label.pool_name, '\0', sizeof(label.pool_name)));
	else
		assert(err.text[0]);
	dev_close(dev);
}

static void open_and_use(unsigned flags)
{
	struct err err = ERR_INIT;

	turns = 0;
	if (open_pool(flags, &err) == 0)
		use_pool(flags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned flags = size ? data[0] : 0;
	const struct base *parts;
	size_t took;

	blind = flags & FLAG_BLIND;
	parts = bases[blind];
	for (enum part i = 0; i < PARTS; i++)
		region[i] = map_base(&parts[i], MAP_PRIVATE);
	ram_pool_init(&ram);
	ram.env.wait = counted_wait;
	for (size_t at = 1; at < size && (took = change(parts, data + at, size - at)); at += took)
		;
	if (flags & FLAG_NO_STAGING)
		memset(region[PART_STAGING], 0, BLK_BYTES);
	probe(PART_CAPACITY, CAPACITY_BYTES);
	probe(PART_WRITE, WRITE_BYTES);
	open_and_use(flags);
	if (flags & FLAG_AGAIN)
		open_and_use(flags & ~(unsigned)FLAG_READ_ONLY);
	for (enum part i = 0; i < PARTS; i++)
		munmap(region[i], parts[i].bytes);
	return 0;
}
