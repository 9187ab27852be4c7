/* SPDX-License-Identifier: GPL-2.0-only */
/* hdd_rig.c - the medium and the closed loop of the tests of the modelled HDD; see hdd_rig.h. */
#include "hdd_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "suites.h"

/* ------------------------------------------------------------------ a medium of any size that holds nothing */

static struct void_dev *void_of(struct dev *dev)
{
	return container_of(dev, struct void_dev, dev);
}

static void void_queue(struct dev *dev, struct dev_io *io)
{
	struct void_dev *v = void_of(dev);

	io->start_ns = 0;
	list_push(&v->queued, &io->link);
	if (v->nlog < (int)ARRAY_LEN(v->log))
		v->log[v->nlog++] = io->op == DEV_FLUSH ? 1 : io->off_bytes;
}

static void void_kick(struct dev *dev)
{
	(void)dev;
}

static int void_drain(struct dev *dev, uint64_t now_ns)
{
	struct void_dev *v = void_of(dev);
	struct link *l;
	int n = 0;

	while (!v->holds && (l = list_pop(&v->queued)) != NULL) {
		dev_finish(dev, list_entry(l, struct dev_io, link), v->error, now_ns);
		n++;
	}
	return n;
}

static void void_close(struct dev *dev)
{
	free(void_of(dev));
}

static int void_rescan(struct dev *dev)
{
	dev->geom.size_bytes += DRIVE_BYTES;
	return 0;
}

static const struct dev_ops void_ops = {
	.kind = "void", .queue = void_queue, .kick = void_kick, .drain = void_drain, .rescan = void_rescan,
	.close = void_close,
};

struct void_dev *void_new(uint64_t size)
{
	struct void_dev *v = calloc(1, sizeof(*v));

	v->dev.ops = &void_ops;
	v->dev.geom = (struct dev_geom){ .size_bytes = size, .logical_bytes = 512, .mem_align = 1,
					 .discard_bytes = BLK_BYTES };
	v->dev.timeout_ns = DEV_TIMEOUT_NS;
	list_init(&v->queued);
	return v;
}

/* ------------------------------------------------------------------ virtual time: a closed loop on a drive */

void load_start(struct load *l, struct vio *v, enum dev_op op, uint64_t off, uint64_t len)
{
	static unsigned char buf[MIB(1)] __attribute__((aligned(4096)));

	v->load = l;
	v->iov = (struct iovec){ buf, len };
	v->io.op = op;
	v->io.off_bytes = off;
	v->io.len_bytes = len;
	v->io.iov = &v->iov;
	v->io.niov = len ? 1 : 0;
	v->busy = true;
	dev_queue(l->dev, &v->io);
}

void load_next(struct load *l, struct vio *v)
{
	struct dev_io io = { .op = DEV_READ, .len_bytes = BLK_BYTES };

	if (!l->left)
		return;
	l->left--;
	l->next(l, &io);
	load_start(l, v, io.op, io.off_bytes, io.len_bytes);
}

void vio_done(struct dev_io *io)
{
	struct vio *v = container_of(io, struct vio, io);
	struct load *l = v->load;

	v->busy = false;
	if (l->done < FLIGHT)
		l->order[l->done] = io->op == DEV_FLUSH ? 1 : io->off_bytes;
	l->done++;
	l->errors += io->error != 0;
	l->longest_ns = MAX(l->longest_ns, l->now_ns - io->start_ns);
	l->last_ns = l->now_ns;
	l->trace = hash64(l->trace ^ io->off_bytes) + l->now_ns;
	load_next(l, v);
}

void load_settle(struct load *l)
{
	while (l->dev->inflight) {
		uint64_t next;

		dev_kick(l->dev);
		next = dev_hdd_next_ns(l->dev);
		CHECK(next != UINT64_MAX && next >= l->now_ns);
		l->now_ns = next;
		dev_drain(l->dev, l->now_ns);
	}
}

struct load *load_new(const struct hdd_model *model, uint64_t size)
{
	struct load *l = calloc(1, sizeof(*l));
	struct hdd_model m = model ? *model : hdd_model_default;
	struct err err = ERR_INIT;

	m.virtual_time = true;
	l->medium = void_new(size);
	l->rng.s = 7;
	l->now_ns = 12345;
	for (int i = 0; i < FLIGHT; i++)
		l->ios[i].io.done = vio_done;
	CU_ASSERT_EQUAL_FATAL(dev_hdd_new(&l->medium->dev, &m, &l->dev, &err), 0);
	CU_ASSERT_EQUAL(dev_event_fd(l->dev), -1);
	CU_ASSERT_EQUAL(dev_hdd_next_ns(l->dev), UINT64_MAX);
	dev_drain(l->dev, l->now_ns);
	return l;
}

void load_free(struct load *l)
{
	dev_close(l->dev);
	free(l);
}

double load_run(struct load *l, unsigned depth, uint64_t n, void (*next)(struct load *l, struct dev_io *io))
{
	uint64_t begin = l->now_ns;

	l->next = next;
	l->left = n;
	l->longest_ns = 0;
	for (unsigned i = 0; i < depth; i++)
		load_next(l, &l->ios[i]);
	load_settle(l);
	CU_ASSERT_EQUAL(l->errors, 0);
	return (double)n * 1e9 / (double)(l->last_ns - begin);
}

void random_read(struct load *l, struct dev_io *io)
{
	io->off_bytes = rng_below(&l->rng, l->dev->geom.size_bytes / BLK_BYTES) * BLK_BYTES;
}

void random_write(struct load *l, struct dev_io *io)
{
	random_read(l, io);
	io->op = DEV_WRITE;
}

void ascending_read(struct load *l, struct dev_io *io)
{
	io->off_bytes = l->at;
	io->len_bytes = l->step;
	l->at += l->step;
}

void ascending_write(struct load *l, struct dev_io *io)
{
	ascending_read(l, io);
	io->op = DEV_WRITE;
}

double iops(const struct hdd_model *model, unsigned depth, uint64_t n,
	    void (*next)(struct load *l, struct dev_io *io))
{
	struct load *l = load_new(model, DRIVE_BYTES);
	double r = load_run(l, depth, n, next);

	load_free(l);
	return r;
}

bool between(double x, double low, double high)
{
	if (x < low || x > high)
		printf("\n%.1f is not within %.1f .. %.1f\n", x, low, high);
	return x >= low && x <= high;
}
