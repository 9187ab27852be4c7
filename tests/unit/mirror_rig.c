/* SPDX-License-Identifier: GPL-2.0-only */
/* mirror_rig.c - the mirror of simulated disks; see mirror_rig.h. */
#include "mirror_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "suites.h"

static void on_lost(void *ctx, int half, int error)
{
	struct mrig *g = ctx;

	CHECK(dev_mirror_state(g->dev, half) == MIRROR_OUT && error < 0);
	g->lost++;
	g->lost_half = half;
	g->lost_error = error;
	if (g->accepts)
		dev_mirror_accept(g->dev, half);
}

static void on_synced(void *ctx, int half, int error)
{
	struct mrig *g = ctx;

	(void)half;
	g->synced++;
	g->synced_error = error;
}

static void on_bad_read(void *ctx, int half, uint64_t off_bytes, uint64_t len_bytes)
{
	struct mrig *g = ctx;

	(void)half;
	(void)len_bytes;
	g->bad_reads++;
	g->bad_off = off_bytes;
}

void mrig_begin(struct mrig *g, uint64_t seed)
{
	struct dev *half[2];
	const enum mirror_state in[2] = { MIRROR_IN, MIRROR_IN };
	struct err err = ERR_INIT;

	memset(g, 0, sizeof(*g));
	g->clock.now_ns = 1;
	for (int i = 0; i < 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "disk%d", i);
		g->disk[i] = sim_disk_new(&g->clock, name, MRIG_BYTES, i ? 4096 : 512, hash64(seed + (uint64_t)i));
	}
	for (int i = 0; i < 2; i++) {
		g->place[i] = i;
		half[i] = sim_open(g->disk[i]);
	}
	CU_ASSERT_EQUAL_FATAL(dev_mirror_new(half, in, &g->dev, &err), 0);
	dev_mirror_watch(g->dev, &(struct mirror_watch){ on_lost, on_synced, on_bad_read, g });
}

void mrig_end(struct mrig *g)
{
	dev_close(g->dev);
	for (int i = 0; i < 3; i++)
		sim_disk_free(g->disk[i]);
}

void mio_init(struct mrig *g, struct mio *t)
{
	memset(t, 0, sizeof(*t));
	t->rig = g;
	t->buf = mem_alloc_aligned(MIO_BLK * BLK_BYTES);
	t->order = UINT32_MAX;
}

void mio_free(struct mio *t)
{
	mem_free(t->buf);
}

static void mio_done(struct dev_io *io)
{
	struct mio *t = container_of(io, struct mio, io);

	CHECK(t->order == 0);
	t->order = ++t->rig->dones;
	if (t->rig->done)
		t->rig->done(t);
}

void mrig_queue(struct mrig *g, struct mio *t, enum dev_op op, uint64_t blk, uint64_t n, uint64_t id)
{
	uint64_t first = n / 2;
	uint8_t side = t->io.side;

	CHECK(t->order != 0 && (n <= MIO_BLK || op == DEV_DISCARD));
	t->order = 0;
	t->id = id;
	for (uint64_t i = 0; op == DEV_WRITE && i < n * (BLK_BYTES / 8); i++)
		t->buf[i] = id;
	t->io = (struct dev_io){ .op = op, .side = side, .off_bytes = blk * BLK_BYTES, .len_bytes = n * BLK_BYTES,
				 .iov = t->iov, .done = mio_done };
	if (op == DEV_READ || op == DEV_WRITE) {
		if (first)
			t->iov[t->io.niov++] = (struct iovec){ t->buf, first * BLK_BYTES };
		t->iov[t->io.niov++] = (struct iovec){ (char *)t->buf + first * BLK_BYTES, (n - first) * BLK_BYTES };
	}
	dev_queue(g->dev, &t->io);
}

bool mrig_step(struct mrig *g)
{
	uint64_t next = dev_mirror_next_ns(g->dev);

	dev_kick(g->dev);
	for (int i = 0; i < 3; i++)
		next = MIN(next, sim_disk_next_ns(g->disk[i]));
	if (next != UINT64_MAX)
		g->clock.now_ns = MAX(g->clock.now_ns, next);
	return dev_drain(g->dev, g->clock.now_ns) > 0 || next != UINT64_MAX;
}

void mrig_wait(struct mrig *g, struct mio *t)
{
	for (int i = 0; !t->order; i++) {
		CHECK(i < 1000000);
		mrig_step(g);
	}
}

void mrig_settle(struct mrig *g)
{
	while (mrig_step(g))
		;
}

int mrig_do(struct mrig *g, enum dev_op op, uint64_t blk, uint64_t *id, uint8_t side)
{
	struct mio t;

	mio_init(g, &t);
	t.io.side = side;
	mrig_queue(g, &t, op, blk, op == DEV_FLUSH ? 0 : 1, id ? *id : 0);
	mrig_wait(g, &t);
	if (op == DEV_READ && !t.io.error)
		*id = t.buf[0];
	mio_free(&t);
	return t.io.error;
}

void mrig_arm(struct mrig *g, int half, const struct sim_faults *f)
{
	sim_disk_arm(g->disk[g->place[half]], f);
}

void mrig_replace(struct mrig *g, int half, uint64_t rate)
{
	struct err err = ERR_INIT;
	int disk = 3 - g->place[0] - g->place[1];

	CU_ASSERT_EQUAL_FATAL(dev_mirror_replace(g->dev, half, sim_open(g->disk[disk]), &err), 0);
	g->place[half] = disk;
	CU_ASSERT_EQUAL_FATAL(dev_mirror_state(g->dev, half), MIRROR_SYNCING);
	CU_ASSERT_EQUAL_FATAL(dev_mirror_sync(g->dev, 0, g->dev->geom.size_bytes, rate), 0);
}

uint64_t mrig_peek(const struct sim_disk *d, uint64_t blk)
{
	uint64_t buf[BLK_BYTES / 8];

	sim_disk_peek(d, blk * BLK_BYTES, buf, sizeof(buf));
	for (unsigned i = 1; i < BLK_BYTES / 8; i++)
		if (buf[i] != buf[0])
			return UINT64_MAX;
	return buf[0];
}
