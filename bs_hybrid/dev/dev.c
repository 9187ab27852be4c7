/* SPDX-License-Identifier: GPL-2.0-only */
/* dev.c - what all devices share: the bookkeeping of one completion. */
#include "dev/dev.h"

#include <assert.h>
#include <errno.h>

void dev_finish(struct dev *dev, struct dev_io *io, int error, uint64_t now_ns)
{
	assert(io->dev == dev && dev->inflight > 0);
	assert(error <= 0);
	dev->inflight--;
	if (error) {
		dev->stats.errors++;
		if (error == -ETIMEDOUT)
			dev->stats.timeouts++;
	} else {
		dev->stats.ios[io->op]++;
		dev->stats.bytes[io->op] += io->len_bytes;
	}
	if (now_ns > io->start_ns)
		dev->stats.busy_ns[io->op] += now_ns - io->start_ns;
	io->error = error;
	io->done(io);
}
