/* SPDX-License-Identifier: GPL-2.0-only */
/* pace_rig.c - a pool over a modelled disk in virtual time, and its load. See pace_rig.h. */
#include "pace_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/units.h"

#define LATENCIES 4000000u
#define TIER_SCALE 0.002

static void must(bool ok, const char *what, const struct err *err)
{
	if (ok)
		return;
	fprintf(stderr, "pace: %s: %s\n", what, err ? err->text : "");
	abort();
}

/* ------------------------------------------------------------------ the bare disk */

struct bare {
	struct dev *dev;
	struct rng rng;
	uint64_t left, busy, span_blk;
	struct dev_io io[HDD_DEPTH_MAX];
	struct iovec iov;
};

static void bare_next(struct bare *b, struct dev_io *io);

static void bare_done(struct dev_io *io)
{
	struct bare *b = io->owner;

	must(!io->error, "bare write", NULL);
	b->busy--;
	bare_next(b, io);
}

static void bare_next(struct bare *b, struct dev_io *io)
{
	if (!b->left)
		return;
	b->left--;
	b->busy++;
	*io = (struct dev_io){.op = DEV_WRITE,
			      .off_bytes = rng_below(&b->rng, b->span_blk) * BLK_BYTES,
			      .len_bytes = BLK_BYTES,
			      .iov = &b->iov,
			      .niov = 1,
			      .done = bare_done,
			      .owner = b};
	dev_queue(b->dev, io);
}

static struct dev *disk_new(uint64_t bytes, const struct hdd_model *model, double scale)
{
	struct hdd_model m = *model;
	struct err err = ERR_INIT;
	struct dev *ram, *disk;

	m.virtual_time = true;
	m.scale *= scale;
	must(!dev_ram_new(bytes, &ram, &err) && !dev_hdd_new(ram, &m, &disk, &err), "device", &err);
	return disk;
}

double pace_bare(const struct pace_shape *shape, uint32_t depth, uint64_t n)
{
	struct bare *b = calloc(1, sizeof(*b));
	uint64_t now = 1;
	double rate;

	b->dev = disk_new(shape->disk_bytes, &shape->model, 1);
	b->rng.s = shape->seed;
	b->left = n;
	b->span_blk = shape->volume_bytes / BLK_BYTES;
	b->iov = (struct iovec){aligned_alloc(BLK_BYTES, BLK_BYTES), BLK_BYTES};
	memset(b->iov.iov_base, 1, BLK_BYTES);
	for (uint32_t i = 0; i < depth; i++)
		bare_next(b, &b->io[i]);
	while (b->busy) {
		dev_kick(b->dev);
		now = MAX(now, MIN(dev_hdd_next_ns(b->dev), now + SEC_NS));
		dev_drain(b->dev, now);
	}
	rate = (double)n * 1e9 / (double)now;
	dev_close(b->dev);
	free(b->iov.iov_base);
	free(b);
	return rate;
}

/* ------------------------------------------------------------------ environment */

static uint64_t env_now(void *ctx)
{
	return ((struct pace_rig *)ctx)->now_ns;
}

static uint64_t env_wall(void *ctx)
{
	(void)ctx;
	return 1700000000;
}

static uint64_t env_random(void *ctx)
{
	return rng_next(&((struct pace_rig *)ctx)->rng);
}

static void env_log(void *ctx, enum hb_log_level level, const char *text)
{
	(void)ctx;
	if (level >= HB_LOG_WARN || getenv("PACE_LOG"))
		fprintf(stderr, "%s\n", text);
}

static uint64_t devices_next(const struct pace_rig *rig)
{
	return MIN(dev_hdd_next_ns(rig->disk), dev_hdd_next_ns(rig->tier));
}

static void env_wait(void *ctx, uint64_t until_ns)
{
	struct pace_rig *rig = ctx;

	rig->now_ns = MAX(rig->now_ns, MIN(until_ns, devices_next(rig)));
}

/* ------------------------------------------------------------------ the load */

static void stamp(uint8_t *buf, uint64_t first_blk, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		for (int k = 0; k < 2; k++)
			memcpy(buf + i * BLK_BYTES + (uint64_t)k * (BLK_BYTES - 8), &(uint64_t){first_blk + i}, 8);
}

static void end_op(struct pace_op *op)
{
	struct pace_rig *rig = op->rig;
	uint64_t us = (rig->now_ns - op->begin_ns) / 1000;
	uint64_t have;

	op->busy = false;
	rig->errors += op->req.error != 0;
	if (op->reads) {
		memcpy(&have, op->buf, 8);
		rig->errors += have != op->req.off_bytes / BLK_BYTES;
		if (op->missed && rig->nread_us < LATENCIES)
			rig->read_us[rig->nread_us++] = (uint32_t)us;
	} else {
		rig->writes++;
		op->ready_ns = rig->now_ns + WRITER_NS;
		if (rig->nwrite_us < LATENCIES)
			rig->write_us[rig->nwrite_us++] = (uint32_t)us;
	}
}

static void op_done(struct hb_req *req)
{
	end_op(req->owner);
}

static void start_op(struct pace_op *op, enum hb_op what, uint64_t blk, uint64_t nblk)
{
	op->req = (struct hb_req){.op = what,
				  .vol = op->rig->vol,
				  .off_bytes = blk * BLK_BYTES,
				  .len_bytes = nblk * BLK_BYTES,
				  .buf = op->buf,
				  .done = op_done,
				  .owner = op};
	op->busy = true;
	op->begin_ns = op->rig->now_ns;
	if (what == HB_WRITE)
		stamp(op->buf, blk, nblk);
	if (hb_submit(&op->req))
		end_op(op);
}

static uint64_t missed(struct pace_rig *rig)
{
	struct hb_stats st;

	hb_pool_stats(rig->pool, &st);
	return st.read_capacity;
}

/* One that goes to the disk: who finds his block elsewhere asks for another one. */
static void start_read(struct pace_rig *rig)
{
	for (uint32_t i = 0; i < READERS_MAX; i++) {
		struct pace_op *op = &rig->reader[i];
		uint64_t before = missed(rig);

		if (op->busy)
			continue;
		op->missed = true;
		start_op(op, HB_READ, rng_below(&rig->rng, rig->shape.volume_bytes / BLK_BYTES), 1);
		op->missed = missed(rig) > before;
		if (op->missed)
			return;
	}
	rig->errors++;
}

/* Exponentially distributed, as of many who know nothing of one another. */
static void draw_next_read(struct pace_rig *rig)
{
	double u = ((double)rng_below(&rig->rng, 1u << 30) + 1) / (double)(1u << 30), ln = 0, x = u;

	while (x < 0.5) {
		x *= 2;
		ln += 0.69314718056;
	}
	x = (1 - x) / (1 + x); /* -ln(x) = 2 atanh of that */
	ln += 2 * (x + x * x * x / 3 + x * x * x * x * x / 5 + x * x * x * x * x * x * x / 7);
	rig->next_read_ns += (uint64_t)(ln * (double)rig->read_every_ns);
}

static uint64_t start_due(struct pace_rig *rig)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < rig->nwriters; i++) {
		struct pace_op *op = &rig->writer[i];

		if (!op->busy && op->ready_ns <= rig->now_ns)
			start_op(op, HB_WRITE, rng_below(&rig->rng, rig->shape.volume_bytes / BLK_BYTES), 1);
		if (!op->busy)
			next = MIN(next, op->ready_ns);
	}
	while (rig->read_every_ns && rig->next_read_ns <= rig->now_ns) {
		start_read(rig);
		draw_next_read(rig);
	}
	return rig->read_every_ns ? MIN(next, rig->next_read_ns) : next;
}

/* From one event to the next. */
static void step(struct pace_rig *rig, uint64_t until_ns)
{
	uint64_t next = start_due(rig), pool = hb_pool_run(rig->pool);

	rig->now_ns = MAX(rig->now_ns, MIN(MIN(MIN(next, pool), devices_next(rig)), until_ns));
}

/* ------------------------------------------------------------------ what it was like */

static int cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double at_ms(const uint32_t *us, uint64_t n, double part)
{
	return n ? us[(uint64_t)((double)(n - 1) * part)] / 1e3 : 0;
}

static void latencies(struct pace_rig *rig, struct pace_result *r)
{
	qsort(rig->read_us, rig->nread_us, sizeof(*rig->read_us), cmp_u32);
	qsort(rig->write_us, rig->nwrite_us, sizeof(*rig->write_us), cmp_u32);
	r->read_p50_ms = at_ms(rig->read_us, rig->nread_us, 0.5);
	r->read_p99_ms = at_ms(rig->read_us, rig->nread_us, 0.99);
	r->read_max_ms = at_ms(rig->read_us, rig->nread_us, 1);
	r->write_p50_ms = at_ms(rig->write_us, rig->nwrite_us, 0.5);
	r->write_p99_ms = at_ms(rig->write_us, rig->nwrite_us, 0.99);
	r->write_max_ms = at_ms(rig->write_us, rig->nwrite_us, 1);
}

static void look(struct pace_rig *rig, struct pace_result *r)
{
	struct hb_stats st;
	double full;

	hb_pool_stats(rig->pool, &st);
	full = (double)st.dirty_bytes / (double)st.log_bytes;
	r->full_min = MIN(r->full_min, full);
	r->full_max = MAX(r->full_max, full);
	r->free_min = MIN(r->free_min, (double)st.log_free_bytes / (double)st.log_bytes);
}

static void set_load(struct pace_rig *rig, uint32_t writers, uint32_t reads_s)
{
	for (uint32_t i = rig->nwriters; i < writers; i++)
		rig->writer[i].ready_ns = rig->now_ns;
	rig->nwriters = writers;
	if (!rig->read_every_ns)
		rig->next_read_ns = rig->now_ns;
	rig->read_every_ns = reads_s ? SEC_NS / reads_s : 0;
	rig->nread_us = rig->nwrite_us = rig->writes = rig->errors = 0;
}

struct pace_result pace_run(struct pace_rig *rig, uint32_t writers, uint32_t reads_s, uint64_t ns)
{
	struct pace_result r = {.seconds = (double)ns / 1e9, .full_min = 1, .free_min = 1};
	uint64_t end = rig->now_ns + ns, second = rig->now_ns + SEC_NS;
	struct hdd_stats before = *dev_hdd_stats(rig->disk), after;
	struct hb_stats st, st2;

	set_load(rig, writers, reads_s);
	hb_pool_stats(rig->pool, &st);
	while (rig->now_ns < end) {
		step(rig, MIN(end, second));
		if (rig->now_ns >= second) {
			second += SEC_NS;
			look(rig, &r);
			if (rig->every_s)
				rig->every_s(rig);
		}
	}
	hb_pool_stats(rig->pool, &st2);
	after = *dev_hdd_stats(rig->disk);
	r.writes_s = (double)rig->writes / r.seconds;
	r.reads_s = (double)rig->nread_us / r.seconds;
	latencies(rig, &r);
	r.written_back = st2.wb_blocks - st.wb_blocks;
	r.flushes = st2.wb_flushes - st.wb_flushes;
	r.disk_writes = after.requests[DEV_WRITE] - before.requests[DEV_WRITE];
	r.disk_seeks = after.seeks[DEV_WRITE] - before.seeks[DEV_WRITE];
	r.disk_busy = (double)(after.busy_ns[0] + after.busy_ns[1] - before.busy_ns[0] - before.busy_ns[1]) /
		      (double)ns;
	r.errors = rig->errors;
	return r;
}

void pace_settle(struct pace_rig *rig)
{
	rig->nwriters = 0;
	rig->read_every_ns = 0;
	while (hb_pool_requests(rig->pool))
		step(rig, rig->now_ns + SEC_NS);
	must(!hb_pool_writeback(rig->pool), "writeback", NULL);
}

void pace_fill(struct pace_rig *rig, uint32_t bytes, bool random)
{
	uint64_t n = rig->shape.volume_bytes / bytes, nblk = bytes / BLK_BYTES;
	uint8_t *buf = aligned_alloc(BLK_BYTES, bytes);
	struct pace_op op = {.rig = rig, .buf = buf};

	memset(buf, 1, bytes);
	for (uint64_t i = 0; i < n; i++) {
		start_op(&op, HB_WRITE, (random ? rng_below(&rig->rng, n) : i) * nblk, nblk);
		while (op.busy)
			step(rig, rig->now_ns + SEC_NS);
		hb_pool_run(rig->pool);
		must(!op.req.error, "fill", NULL);
	}
	free(buf);
}

/* ------------------------------------------------------------------ a stream */

struct pace_stream pace_stream(struct pace_rig *rig, uint64_t first, uint64_t nblk, uint32_t each, uint32_t depth)
{
	uint64_t at = first, end = first + nblk, begin = rig->now_ns, tier = rig->tier->stats.bytes[DEV_WRITE];
	struct pace_op *ops = calloc(depth, sizeof(*ops));
	struct hb_stats before, after;
	struct pace_result lat;
	uint64_t mine = 0;
	bool busy;

	rig->nread_us = rig->nwrite_us = rig->writes = 0;

	for (uint32_t i = 0; i < depth; i++)
		ops[i] = (struct pace_op){.rig = rig, .buf = calloc(1, each)};
	hb_pool_stats(rig->pool, &before);
	do {
		busy = false;
		for (uint32_t i = 0; i < depth; i++) {
			uint64_t n = MIN(each / BLK_BYTES, end - at);

			if (!ops[i].busy && n && ops[i].ready_ns <= rig->now_ns) {
				start_op(&ops[i], HB_WRITE, at, n);
				at += n;
				mine++;
			}
			busy |= ops[i].busy;
		}
		step(rig, rig->now_ns + WRITER_NS);
	} while (busy || at < end);
	hb_pool_stats(rig->pool, &after);
	for (uint32_t i = 0; i < depth; i++)
		free(ops[i].buf);
	free(ops);
	latencies(rig, &lat);
	return (struct pace_stream){.seconds = (double)(rig->now_ns - begin) / 1e9,
				    .tier_bytes = rig->tier->stats.bytes[DEV_WRITE] - tier,
				    .past_bytes = (after.past_blocks - before.past_blocks) * BLK_BYTES,
				    .others = rig->writes - mine,
				    .read_p50_ms = lat.read_p50_ms,
				    .read_p99_ms = lat.read_p99_ms};
}

static void super_read_done(struct dev_io *io)
{
	must(!io->error, "superblock", NULL);
}

void pace_super(struct pace_rig *rig, void *block)
{
	struct iovec iov = {block, BLK_BYTES};
	struct dev_io io = {.op = DEV_READ, .iov = &iov, .niov = 1, .len_bytes = BLK_BYTES, .done = super_read_done};

	dev_queue(rig->disk, &io);
	dev_kick(rig->disk);
	while (dev_drain(rig->disk, rig->now_ns), rig->disk->inflight)
		rig->now_ns = MAX(rig->now_ns + 1, MIN(dev_hdd_next_ns(rig->disk), rig->now_ns + SEC_NS));
}

void pace_bypass(struct pace_rig *rig, uint32_t blk)
{
	struct hb_volume_attr a = {.bypass_blk = blk};
	struct err err = ERR_INIT;

	must(!hb_volume_set(rig->pool, "v", &a, HB_ATTR_BYPASS, &err), "bypass", &err);
}

/* ------------------------------------------------------------------ life */

static void make_pool(struct pace_rig *rig)
{
	struct hb_create how = {.name = "pace", .any_size = true};
	struct hb_open open = {.any_size = true, .boot_token = 1, .ram_bytes = MIB(4)};
	struct err err = ERR_INIT;

	must(!hb_pool_create(&rig->env, &how, rig->disk, rig->tier, NULL, &err), "create", &err);
	open.capacity = rig->disk;
	open.write_tier = rig->tier;
	open.staging = rig->staging;
	open.writeback_depth = rig->shape.depth;
	open.writeback_idle_ns = rig->shape.idle_ns ? rig->shape.idle_ns : 1000000 * SEC_NS;
	must(!hb_pool_open(&rig->env, &open, &rig->pool, &err), "open", &err);
	must(!hb_volume_create(rig->pool, "v", rig->shape.volume_bytes, &err), "volume", &err);
	must(!hb_volume_open(rig->pool, "v", &rig->vol, &err), "volume", &err);
}

struct pace_rig *pace_new(const struct pace_shape *shape)
{
	struct pace_rig *rig = calloc(1, sizeof(*rig));

	rig->shape = *shape;
	rig->rng.s = shape->seed;
	rig->now_ns = 1000 * SEC_NS;
	rig->env = (struct hb_env){rig, env_now, env_wall, env_random, env_log, env_wait};
	rig->disk = disk_new(shape->disk_bytes, &shape->model, 1);
	rig->tier = disk_new(shape->tier_bytes, &hdd_model_default, TIER_SCALE);
	rig->staging = mmap(NULL, hb_staging_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	rig->read_us = malloc(LATENCIES * sizeof(uint32_t));
	rig->write_us = malloc(LATENCIES * sizeof(uint32_t));
	for (uint32_t i = 0; i < WRITERS_MAX; i++)
		rig->writer[i] = (struct pace_op){.rig = rig, .buf = calloc(1, BLK_BYTES)};
	for (uint32_t i = 0; i < READERS_MAX; i++)
		rig->reader[i] = (struct pace_op){.rig = rig, .buf = calloc(1, BLK_BYTES), .reads = true};
	make_pool(rig);
	return rig;
}

void pace_free(struct pace_rig *rig)
{
	struct err err = ERR_INIT;

	rig->nwriters = 0;
	rig->read_every_ns = 0;
	while (hb_pool_requests(rig->pool))
		step(rig, rig->now_ns + SEC_NS);
	hb_volume_close(rig->vol);
	must(!hb_pool_close(rig->pool, &err), "close", &err);
	munmap(rig->staging, hb_staging_bytes());
	for (uint32_t i = 0; i < WRITERS_MAX; i++)
		free(rig->writer[i].buf);
	for (uint32_t i = 0; i < READERS_MAX; i++)
		free(rig->reader[i].buf);
	free(rig->read_us);
	free(rig->write_us);
	free(rig);
}
