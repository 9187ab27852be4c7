/* SPDX-License-Identifier: GPL-2.0-only */
/* loader.h - reads the footers of many segments, some at a time, and hands over what they say. */
#ifndef HB_ENGINE_LOADER_H
#define HB_ENGINE_LOADER_H

#include "dev/dev.h"
#include "format/segment.h"

#define LOADER_IOS 16u

struct loader;

struct loader_io {
	struct loader *loader;
	uint32_t seg; /* 0: free */
	uint8_t *mem; /* a footer; NULL: given up, a late device may still write into it */
	struct dev_io io;
	struct iovec iov;
};

struct loader {
	struct dev *dev;
	void *ctx;
	uint32_t seg_blk;
	uint64_t shift_blk; /* segment n lies at block n * seg_blk + shift_blk */
	uint8_t pool_uuid[16];
	/* Asked before a segment is read, and again before it is entered. */
	bool (*wanted)(void *ctx, uint32_t seg);
	/* The footer of segment `seg` of life `seq`; slots NULL: it cannot be read (error), or is not one of this
	 * pool's (error 0). The callee compares lives. */
	void (*enter)(void *ctx, uint32_t seg, uint64_t seq, const struct footer_slot *slots, int error);
	uint32_t *order; /* segments, in the order in which they are read; owned */
	uint32_t n, at, busy;
	struct footer_slot *slots;
	struct loader_io ios[LOADER_IOS];
};

/* order has room for `most`. 0 or -ENOMEM. The caller sets the other fields before. */
int loader_init(struct loader *l, uint32_t most);
void loader_fini(struct loader *l); /* gives memory up that is being read into */
/* Starts what fits. True if anything was started or skipped. */
bool loader_pump(struct loader *l);
static inline bool loader_done(const struct loader *l)
{
	return l->at >= l->n && !l->busy;
}

#endif
