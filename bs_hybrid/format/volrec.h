/* SPDX-License-Identifier: GPL-2.0-only */
/* volrec.h - a volume's record in the checkpoint: 512 bytes, 8 to a page of the volume table, found by volume id. */
#ifndef HB_FORMAT_VOLREC_H
#define HB_FORMAT_VOLREC_H

#include "base/units.h"
#include "format/volattr.h"

#define VOLREC_BYTES 512u
#define VOLREC_PER_PAGE (BLK_BYTES / VOLREC_BYTES)

enum {
	VOLREC_DELETING = 1,
	VOLREC_SNAPSHOT = 2, /* frozen */
};

struct volrec {
	uint32_t id; /* 0: no volume here */
	uint32_t flags;
	uint8_t uuid[16];
	char name[64];
	uint64_t size_blk, created_s;
	uint32_t parent_id; /* what it was cloned or frozen from; 0: nothing */
	uint32_t root_page, root_crc, root_levels; /* of its map */
	uint32_t family_id; /* of its first ancestor */
	uint8_t content[16]; /* snapshots: what names these bytes, in any pool */
	uint64_t mapped_blk; /* of its map */
	struct hb_volume_attr attr;
};

void volrec_encode(const struct volrec *r, void *to);
/* 0 (id 0: empty place), or -EBADMSG. */
int volrec_decode(struct volrec *ret, const void *from);

#endif
