/* SPDX-License-Identifier: GPL-2.0-only */
/* ram.c - a device of plain memory: no waiting, no descriptor, everything completes in the next drain. For tests and
 * benchmarks: what is left when the medium costs nothing.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "dev/dev.h"

struct ram_dev {
	struct dev dev;
	unsigned char *bytes;		/* owner: dev.geom.size_bytes of them, from mem_map() */
	struct link queued;		/* I/Os since the last kick */
	struct link kicked;		/* done by the next drain */
	uint64_t now_ns;		/* of the last drain */
};

static struct ram_dev *ram_of(struct dev *dev)
{
	return container_of(dev, struct ram_dev, dev);
}

static void ram_queue(struct dev *dev, struct dev_io *io)
{
	struct ram_dev *r = ram_of(dev);

	io->start_ns = r->now_ns;
	list_push(&r->queued, &io->link);
}

static void ram_kick(struct dev *dev)
{
	struct ram_dev *r = ram_of(dev);

	list_splice(&r->kicked, &r->queued);
}

static void ram_copy(struct ram_dev *r, const struct dev_io *io)
{
	unsigned char *at = r->bytes + io->off_bytes;

	for (int i = 0; i < io->niov; i++) {
		if (io->op == DEV_READ)
			memcpy(io->iov[i].iov_base, at, io->iov[i].iov_len);
		else
			memcpy(at, io->iov[i].iov_base, io->iov[i].iov_len);
		at += io->iov[i].iov_len;
	}
	assert(at == r->bytes + io->off_bytes + io->len_bytes);
}

static int ram_do(struct ram_dev *r, const struct dev_io *io)
{
	uint64_t size = r->dev.geom.size_bytes;

	if (r->dev.failed)
		return -EIO;
	if (io->op == DEV_FLUSH)
		return 0;
	if (io->off_bytes > size || io->len_bytes > size - io->off_bytes)
		return -EINVAL;
	assert((io->off_bytes | io->len_bytes) % r->dev.geom.logical_bytes == 0);
	if (io->op == DEV_DISCARD)
		memset(r->bytes + io->off_bytes, 0, io->len_bytes);
	else
		ram_copy(r, io);
	return 0;
}

static int ram_drain(struct dev *dev, uint64_t now_ns)
{
	struct ram_dev *r = ram_of(dev);
	struct link todo;
	struct link *l;
	int n = 0;

	r->now_ns = now_ns;
	list_init(&todo);
	list_splice(&todo, &r->kicked);
	while ((l = list_pop(&todo)) != NULL) {
		struct dev_io *io = list_entry(l, struct dev_io, link);

		dev_finish(dev, io, ram_do(r, io), now_ns);
		n++;
	}
	return n;
}

static void ram_close(struct dev *dev)
{
	struct ram_dev *r = ram_of(dev);

	mem_unmap(r->bytes, r->dev.geom.size_bytes);
	mem_free(r);
}

static const struct dev_ops ram_ops = {
	.kind = "ram",
	.queue = ram_queue,
	.kick = ram_kick,
	.drain = ram_drain,
	.close = ram_close,
};

int dev_ram_new(uint64_t size_bytes, struct dev **ret, struct err *err)
{
	struct ram_dev *r;

	if (size_bytes == 0 || size_bytes % BLK_BYTES != 0)
		return err_set(err, -EINVAL, "RAM device: size %llu is no multiple of %u",
			       (unsigned long long)size_bytes, BLK_BYTES);
	r = mem_zalloc(sizeof(*r));
	if (!r)
		return err_set(err, -ENOMEM, "RAM device: out of memory");
	r->bytes = mem_map(size_bytes);
	if (!r->bytes) {
		mem_free(r);
		return err_set(err, -ENOMEM, "RAM device: no memory for %llu bytes", (unsigned long long)size_bytes);
	}
	r->dev.ops = &ram_ops;
	r->dev.geom = (struct dev_geom){
		.size_bytes = size_bytes, .logical_bytes = 512, .mem_align = 1, .discard_bytes = BLK_BYTES,
	};
	r->dev.timeout_ns = DEV_TIMEOUT_NS;
	snprintf(r->dev.name, sizeof(r->dev.name), "ram:%llu", (unsigned long long)size_bytes);
	list_init(&r->queued);
	list_init(&r->kicked);
	*ret = &r->dev;
	return 0;
}
