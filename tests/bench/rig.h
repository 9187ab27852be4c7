/* SPDX-License-Identifier: GPL-2.0-only */
/* rig.h - what the measurements of the cache stand on: devices of any size that keep metadata only, a clock, a pool.
 *
 * A device here remembers only blocks that do not begin as the one data block does: the data block is what every write
 * of data brings, so it is also what every other place reads as, with the right checksum. What it remembers lies in
 * shared memory, so that this process' anonymous memory is the engine's.
 */
#ifndef HB_TESTS_BENCH_RIG_H
#define HB_TESTS_BENCH_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "engine/pool.h"

#define RIG_DEVS 3
#define RIG_MARK 16u /* bytes that tell the data block */

struct rig;

struct rig_dev {
	struct dev dev;
	struct rig *rig;
	struct link queued, kicked;
	uint32_t *place; /* by block: where in `kept`, from 1 */
	uint8_t *kept;
	uint32_t nkept, most;
	/* How long the medium takes: each I/O, each byte, and one that does not begin where the last one ended. */
	uint64_t io_ns, seek_ns;
	double byte_ns;
	uint64_t head_bytes, free_ns;
	/* Blocks that are made when they are read; false: as always. */
	bool (*make)(struct rig *r, uint64_t blk, uint8_t *to);
};

struct rig {
	struct hb_env env;
	bool model; /* time is this process' CPU, the devices' own apart, and what was waited for devices */
	uint64_t skipped_ns, own_ns;
	struct rig_dev cap, wt, level;
	bool with_level;
	uint8_t *stage;
	struct hb_pool *pool;
	struct hb_volume *vol;
	struct rng rng;
	uint8_t *data; /* the data block, many times */
	bool talk; /* show what the engine logs */
};

static inline void rig_die(const char *what, const struct err *err)
{
	fprintf(stderr, "bench: %s: %s\n", what, err && err->text[0] ? err->text : "failed");
	exit(1);
}

/* ---------------------------------------------------------------- time */
static inline uint64_t rig_clock(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (uint64_t)ts.tv_sec * SEC_NS + (uint64_t)ts.tv_nsec;
}

/* The engine's processor time. */
static inline uint64_t rig_cpu(const struct rig *r)
{
	return rig_clock(CLOCK_PROCESS_CPUTIME_ID) - r->own_ns;
}

static inline uint64_t rig_now(void *ctx)
{
	struct rig *r = ctx;

	return r->model ? SEC_NS + rig_cpu(r) + r->skipped_ns : rig_clock(CLOCK_MONOTONIC);
}

static inline uint64_t rig_wall(void *ctx)
{
	(void)ctx;
	return 0;
}

static inline uint64_t rig_random(void *ctx)
{
	return rng_next(&((struct rig *)ctx)->rng);
}

static inline void rig_log(void *ctx, enum hb_log_level level, const char *text)
{
	if (level >= HB_LOG_WARN || ((struct rig *)ctx)->talk)
		fprintf(stderr, "bench: %s\n", text);
}

/* With the model nobody sleeps: the time of the next completion has come. */
static inline void rig_wait(void *ctx, uint64_t until_ns)
{
	struct rig *r = ctx;
	struct rig_dev *const d[RIG_DEVS] = {&r->cap, &r->wt, &r->level};
	uint64_t now = rig_now(r), next = until_ns;

	if (!r->model)
		return;
	for (int i = 0; i < RIG_DEVS; i++)
		if (d[i]->kicked.next && !list_empty(&d[i]->kicked))
			next = MIN(next, (uint64_t)(uintptr_t)list_first(&d[i]->kicked, struct dev_io, link)->priv);
	if (next > now)
		r->skipped_ns += next - now;
}

/* ---------------------------------------------------------------- the device */
static inline void rig_queue(struct dev *dev, struct dev_io *io)
{
	struct rig_dev *d = container_of(dev, struct rig_dev, dev);

	list_push(&d->queued, &io->link);
}

static inline void rig_kick(struct dev *dev)
{
	struct rig_dev *d = container_of(dev, struct rig_dev, dev);
	uint64_t now = d->rig->model && !list_empty(&d->queued) ? rig_now(d->rig) : 0;

	list_each(l, &d->queued) {
		struct dev_io *io = list_entry(l, struct dev_io, link);
		bool seek = io->op != DEV_FLUSH && io->off_bytes != d->head_bytes;

		if (!d->rig->model)
			break;
		io->start_ns = now;
		d->free_ns = MAX(d->free_ns, now) + (seek ? d->seek_ns : 0) +
			     (uint64_t)((double)io->len_bytes * d->byte_ns);
		d->head_bytes = io->off_bytes + io->len_bytes;
		io->priv = (void *)(uintptr_t)(d->free_ns + d->io_ns);
	}
	list_splice(&d->kicked, &d->queued);
}

static inline void rig_read(struct rig_dev *d, uint64_t blk, uint8_t *to)
{
	if (d->place[blk])
		memcpy(to, d->kept + (uint64_t)d->place[blk] * BLK_BYTES, BLK_BYTES);
	else if (!d->make || !d->make(d->rig, blk, to))
		memcpy(to, d->rig->data, BLK_BYTES);
}

static inline void rig_write(struct rig_dev *d, uint64_t blk, const uint8_t *from)
{
	if (!memcmp(from, d->rig->data, RIG_MARK)) {
		if (d->place[blk]) /* it lost its meaning, but keeps its place */
			memcpy(d->kept + (uint64_t)d->place[blk] * BLK_BYTES, from, BLK_BYTES);
		return;
	}
	if (!d->place[blk]) {
		if (d->nkept + 1 == d->most)
			rig_die(d->dev.name, NULL);
		d->place[blk] = ++d->nkept;
	}
	memcpy(d->kept + (uint64_t)d->place[blk] * BLK_BYTES, from, BLK_BYTES);
}

static inline void rig_do(struct rig_dev *d, const struct dev_io *io)
{
	uint64_t blk = io->off_bytes / BLK_BYTES;

	if (io->op != DEV_READ && io->op != DEV_WRITE)
		return;
	for (int i = 0; i < io->niov; i++) {
		for (size_t at = 0; at < io->iov[i].iov_len; at += BLK_BYTES, blk++) {
			uint8_t *mem = (uint8_t *)io->iov[i].iov_base + at;

			if (io->op == DEV_READ)
				rig_read(d, blk, mem);
			else
				rig_write(d, blk, mem);
		}
	}
}

static inline int rig_drain(struct dev *dev, uint64_t now_ns)
{
	struct rig_dev *d = container_of(dev, struct rig_dev, dev);
	struct link due;
	int n = 0;

	if (list_empty(&d->kicked))
		return 0;
	list_init(&due);
	if (!d->rig->model)
		list_splice(&due, &d->kicked);
	while (d->rig->model && !list_empty(&d->kicked)) {
		struct dev_io *io = list_first(&d->kicked, struct dev_io, link);

		if ((uint64_t)(uintptr_t)io->priv > now_ns)
			break;
		list_del(&io->link);
		list_push(&due, &io->link);
	}
	if (!list_empty(&due)) {
		uint64_t t = rig_clock(CLOCK_PROCESS_CPUTIME_ID);

		list_each(l, &due)
			rig_do(d, list_entry(l, struct dev_io, link));
		d->rig->own_ns += rig_clock(CLOCK_PROCESS_CPUTIME_ID) - t;
	}
	for (struct link *l; (l = list_pop(&due)) != NULL; n++)
		dev_finish(dev, list_entry(l, struct dev_io, link), 0, now_ns);
	return n;
}

/* The bytes outlive the pool. */
static inline void rig_close(struct dev *dev)
{
	(void)dev;
}

static inline void *rig_map(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		rig_die("mmap", NULL);
	return p;
}

static inline void rig_dev_init(struct rig *r, struct rig_dev *d, const char *name, uint64_t blks, uint32_t most)
{
	static const struct dev_ops ops = {
		.kind = "rig", .queue = rig_queue, .kick = rig_kick, .drain = rig_drain, .close = rig_close};

	*d = (struct rig_dev){.rig = r, .most = most};
	d->dev.ops = &ops;
	d->dev.geom = (struct dev_geom){.size_bytes = blks * BLK_BYTES, .logical_bytes = 4096, .mem_align = 1};
	d->dev.timeout_ns = UINT64_MAX;
	snprintf(d->dev.name, sizeof(d->dev.name), "%s", name);
	list_init(&d->queued);
	list_init(&d->kicked);
	d->place = rig_map(blks * sizeof(*d->place));
	d->kept = rig_map((uint64_t)most * BLK_BYTES);
}

/* A disk, and SSDs behind SATA: the model's figures. */
static inline void rig_speeds(struct rig *r)
{
	r->cap.seek_ns = 8 * MSEC_NS;
	r->cap.byte_ns = 1e9 / 150e6;
	r->wt.io_ns = r->level.io_ns = 100000;
	r->wt.byte_ns = r->level.byte_ns = 1e9 / 500e6;
}

/* ---------------------------------------------------------------- the pool */
struct rig_sizes {
	uint64_t cap_blk, wt_blk, level_blk; /* level_blk 0: no cache level */
	uint32_t kept; /* blocks that each device may have to remember */
};

static inline void rig_init(struct rig *r, const struct rig_sizes *s)
{
	struct hb_create how = {.name = "rig"};
	struct err err = ERR_INIT;

	*r = (struct rig){.rng.s = 1, .with_level = s->level_blk != 0};
	r->env = (struct hb_env){.ctx = r, .now_ns = rig_now, .wall_s = rig_wall, .random = rig_random,
				 .log = rig_log, .wait = rig_wait};
	r->data = rig_map(MIB(1));
	for (uint32_t i = 0; i < BLK_BYTES / 8; i++)
		((uint64_t *)r->data)[i] = rng_next(&r->rng);
	for (uint32_t i = 1; i < MIB(1) / BLK_BYTES; i++)
		memcpy(r->data + i * BLK_BYTES, r->data, BLK_BYTES);
	r->stage = rig_map(hb_staging_bytes());
	rig_dev_init(r, &r->cap, "capacity", s->cap_blk, s->kept);
	rig_dev_init(r, &r->wt, "write tier", s->wt_blk, s->kept);
	if (hb_pool_create(&r->env, &how, &r->cap.dev, &r->wt.dev, NULL, &err))
		rig_die("create", &err);
	if (!r->with_level)
		return;
	rig_dev_init(r, &r->level, "level", s->level_blk, s->kept);
	if (hb_level_create(&r->env, &r->cap.dev, &r->level.dev, NULL, &err))
		rig_die("create level", &err);
}

static inline void rig_open(struct rig *r, uint64_t ram_bytes)
{
	struct hb_open how = {.capacity = &r->cap.dev, .write_tier = &r->wt.dev, .levels = {&r->level.dev},
			      .nlevels = r->with_level, .staging = r->stage, .boot_token = 1, .ram_bytes = ram_bytes,
			      .dirty_low_pct = 80, .dirty_high_pct = 84, .writeback_idle_ns = 100000 * SEC_NS};
	struct err err = ERR_INIT;

	if (hb_pool_open(&r->env, &how, &r->pool, &err))
		rig_die("open", &err);
}

static inline void rig_volume(struct rig *r, uint64_t blks)
{
	struct err err = ERR_INIT;
	struct hb_volume_info info;

	if ((!hb_volume_find(r->pool, "volume", &info) &&
	     hb_volume_create(r->pool, "volume", blks * BLK_BYTES, &err)) ||
	    hb_volume_open(r->pool, "volume", &r->vol, &err))
		rig_die("volume", &err);
}

static inline void rig_done(struct hb_req *req)
{
	*(bool *)req->owner = true;
}

static inline void rig_ask(struct rig *r, enum hb_op op, uint64_t blk, uint64_t n, void *buf)
{
	bool ready = false;
	struct hb_req req = {.op = op, .vol = r->vol, .off_bytes = blk * BLK_BYTES, .len_bytes = n * BLK_BYTES,
			     .buf = buf, .done = rig_done, .owner = &ready};

	if (!hb_submit(&req))
		while (!ready) {
			hb_pool_run(r->pool);
			if (!ready)
				rig_wait(r, rig_now(r) + MSEC_NS);
		}
	if (req.error)
		rig_die(strerror(-req.error), NULL);
}

/* Background work that is due is done. */
static inline void rig_settle(struct rig *r)
{
	for (int i = 0; i < 1000; i++)
		hb_pool_run(r->pool);
}

static inline void rig_shut(struct rig *r)
{
	struct err err = ERR_INIT;

	if (r->vol)
		hb_volume_close(r->vol);
	r->vol = NULL;
	if (hb_pool_close(r->pool, &err))
		rig_die("close", &err);
}

/* The process dies. */
static inline void rig_crash(struct rig *r)
{
	hb_pool_abandon(r->pool);
	r->vol = NULL;
}

#endif
