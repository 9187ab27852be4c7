/* SPDX-License-Identifier: GPL-2.0-only */
/* remote.c - what is on a remote LUN, where libblkid cannot look: anything but zeros at its beginning is something. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "host/priv.h"

#define LOOK_BYTES MIB(1)

static void ended(struct dev_io *io)
{
	*(bool *)io->owner = true;
}

/* One I/O, waited for: the device answers in bounded time. */
static int io(const struct hb_env *env, struct dev *dev, enum dev_op op, void *mem, uint64_t len)
{
	struct iovec iov = { mem, len };
	bool done = false;
	struct dev_io one = {
		.op = op, .len_bytes = len, .iov = len ? &iov : NULL, .niov = len ? 1 : 0, .done = ended,
		.owner = &done,
	};

	dev_queue(dev, &one);
	dev_kick(dev);
	while (dev_drain(dev, env->now_ns(env->ctx)), !done) {
		env->wait(env->ctx, env->now_ns(env->ctx) + SEC_NS);
		dev_kick(dev);
	}
	return one.error;
}

/* Memory that a device which never answered may still write to is given up. */
static void release(void *mem, int error)
{
	if (error != -ETIMEDOUT)
		mem_free(mem);
}

int remote_find(const struct hb_env *env, struct dev *dev, struct err *err)
{
	uint64_t len = MIN(LOOK_BYTES, ROUND_DOWN(dev->geom.size_bytes, BLK_BYTES));
	uint8_t *mem = mem_alloc_aligned(len);
	bool zero;
	int r;

	if (!mem)
		return err_set(err, -ENOMEM, "%s: out of memory", dev->name);
	r = io(env, dev, DEV_READ, mem, len);
	zero = r < 0 || (mem[0] == 0 && memcmp(mem, mem + 1, len - 1) == 0);
	release(mem, r);
	if (r < 0)
		return err_set(err, r, "%s: cannot be read: %s", dev->name, strerror(-r));
	return zero ? 0 : err_set(err, -EEXIST, "%s holds something, expected an empty device (zeros)", dev->name);
}

int remote_wipe(const struct hb_env *env, struct dev *dev, struct err *err)
{
	uint64_t len = MIN(LOOK_BYTES, ROUND_DOWN(dev->geom.size_bytes, BLK_BYTES));
	uint8_t *mem = mem_alloc_aligned(len);
	int r;

	if (!mem)
		return err_set(err, -ENOMEM, "%s: out of memory", dev->name);
	memset(mem, 0, len);
	r = io(env, dev, DEV_WRITE, mem, len);
	release(mem, r);
	if (r == 0)
		r = io(env, dev, DEV_FLUSH, NULL, 0);
	return r < 0 ? err_set(err, r, "%s: cannot be wiped: %s", dev->name, strerror(-r)) : 0;
}
