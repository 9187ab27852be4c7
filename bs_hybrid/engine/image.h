/* SPDX-License-Identifier: GPL-2.0-only */
/* image.h - a stretch of one segment in memory, for those who look at segments as a whole: emptying and scrubbing.
 *
 * One long read; if it fails, block by block, so that one bad place costs one block. Nothing is cached and no frame of
 * the RAM tier is taken for it.
 */
#ifndef HB_ENGINE_IMAGE_H
#define HB_ENGINE_IMAGE_H

#include "dev/dev.h"
#include "format/segment.h"

struct image {
	struct dev *dev;
	uint8_t *mem; /* seg_blk blocks; NULL: given up, a device may still write into it */
	uint32_t seg_blk;
	uint64_t off_bytes; /* of the segment on the device */
	uint32_t first, n; /* the stretch, blocks of the segment */
	uint8_t side; /* dev_io.side: which half of a mirror; 0: any */
	uint32_t at; /* block by block: the one being read */
	bool reading, one_by_one;
	int error; /* the last one */
	uint8_t bad[SEG_BLK_MAX / 8]; /* by block of the segment */
	struct dev_io io;
	struct iovec iov;
	void (*done)(struct image *m); /* from dev_drain */
	void *owner;
};

int image_init(struct image *m, uint32_t seg_blk); /* 0 or -ENOMEM */
void image_fini(struct image *m); /* gives the memory up if a read is under way */
/* Begins to read blocks first .. first+n-1 of the segment at off_bytes, of a mirror from this side (dev_io.side; else
 * 0); done() follows, once. False: no memory. */
bool image_read(struct image *m, struct dev *dev, uint8_t side, uint64_t off_bytes, uint32_t first, uint32_t n);
/* Block `i` of the segment; NULL: it could not be read, or was not asked for. */
const uint8_t *image_block(const struct image *m, uint32_t i);

#endif
