/* SPDX-License-Identifier: GPL-2.0-only */
/* loader.c - footers of many segments; see loader.h. */
#include "engine/loader.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"

int loader_init(struct loader *l, uint32_t most)
{
	l->n = l->at = l->busy = 0;
	l->order = mem_calloc((size_t)most + 1, sizeof(*l->order));
	l->slots = mem_calloc(SEG_BLK_MAX, sizeof(*l->slots));
	if (!l->order || !l->slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < LOADER_IOS; i++) {
		l->ios[i] = (struct loader_io){.loader = l,
					       .mem = mem_alloc_aligned((size_t)footer_blk(l->seg_blk) * BLK_BYTES)};
		if (!l->ios[i].mem)
			return -ENOMEM;
	}
	return 0;
}

void loader_fini(struct loader *l)
{
	for (uint32_t i = 0; i < LOADER_IOS; i++) {
		if (!l->ios[i].seg)
			mem_free(l->ios[i].mem);
		l->ios[i].mem = NULL;
	}
	mem_free(l->order);
	mem_free(l->slots);
	l->order = NULL;
	l->slots = NULL;
	l->n = l->at = 0;
}

static void footer_read(struct dev_io *io)
{
	struct loader_io *r = container_of(io, struct loader_io, io);
	struct loader *l = r->loader;
	uint32_t seg = r->seg;
	struct footer f = {0};
	bool good;

	r->seg = 0;
	l->busy--;
	if (io->error == -ETIMEDOUT)
		r->mem = NULL;
	if (!l->wanted(l->ctx, seg))
		return;
	good = !io->error && !footer_decode(&f, l->slots, l->seg_blk, r->mem) && f.seg == seg &&
	       !memcmp(f.pool_uuid, l->pool_uuid, 16);
	l->enter(l->ctx, seg, f.seg_seq, good ? l->slots : NULL, io->error);
}

static bool read_footer(struct loader *l, uint32_t seg)
{
	uint32_t fb = footer_blk(l->seg_blk);
	struct loader_io *r = NULL;

	for (uint32_t i = 0; i < LOADER_IOS && !r; i++)
		if (!l->ios[i].seg && l->ios[i].mem)
			r = &l->ios[i];
	if (!r)
		return false;
	r->seg = seg;
	r->iov = (struct iovec){r->mem, (size_t)fb * BLK_BYTES};
	r->io = (struct dev_io){.op = DEV_READ,
				.off_bytes = (((uint64_t)seg + 1) * l->seg_blk - fb + l->shift_blk) * BLK_BYTES,
				.len_bytes = (uint64_t)fb * BLK_BYTES,
				.iov = &r->iov,
				.niov = 1,
				.done = footer_read};
	l->busy++;
	dev_queue(l->dev, &r->io);
	return true;
}

bool loader_pump(struct loader *l)
{
	bool did = false;

	while (l->at < l->n) {
		uint32_t seg = l->order[l->at];

		if (l->wanted(l->ctx, seg) && !read_footer(l, seg))
			break;
		l->at++;
		did = true;
	}
	return did;
}
