/* SPDX-License-Identifier: GPL-2.0-only */
/* volrec.c - volume records: bytes <-> struct volrec. */
#include "format/volrec.h"

#include <errno.h>

#include "base/bytes.h"

enum {
	O_ID = 0,
	O_FLAGS = 4,
	O_UUID = 8,
	O_NAME = 24,
	O_SIZE = 88,
	O_CREATED = 96,
	O_PARENT = 104,
	O_PAGE = 108,
	O_CRC = 112,
	O_LEVELS = 116,
	O_FAMILY = 120,
	O_CONTENT = 124,
	O_MAPPED = 140,
	O_ATTR = 152,
};

void volrec_encode(const struct volrec *r, void *to)
{
	uint8_t *b = to;

	memset(b, 0, VOLREC_BYTES);
	put_le32(b + O_ID, r->id);
	put_le32(b + O_FLAGS, r->flags);
	memcpy(b + O_UUID, r->uuid, 16);
	memcpy(b + O_NAME, r->name, 64);
	put_le64(b + O_SIZE, r->size_blk);
	put_le64(b + O_CREATED, r->created_s);
	put_le32(b + O_PARENT, r->parent_id);
	put_le32(b + O_PAGE, r->root_page);
	put_le32(b + O_CRC, r->root_crc);
	put_le32(b + O_LEVELS, r->root_levels);
	put_le32(b + O_FAMILY, r->family_id);
	memcpy(b + O_CONTENT, r->content, 16);
	put_le64(b + O_MAPPED, r->mapped_blk);
	volattr_encode(&r->attr, b + O_ATTR);
}

int volrec_decode(struct volrec *ret, const void *from)
{
	const uint8_t *b = from;

	ret->id = get_le32(b + O_ID);
	ret->flags = get_le32(b + O_FLAGS);
	memcpy(ret->uuid, b + O_UUID, 16);
	memcpy(ret->name, b + O_NAME, 64);
	ret->size_blk = get_le64(b + O_SIZE);
	ret->created_s = get_le64(b + O_CREATED);
	ret->parent_id = get_le32(b + O_PARENT);
	ret->root_page = get_le32(b + O_PAGE);
	ret->root_crc = get_le32(b + O_CRC);
	ret->root_levels = get_le32(b + O_LEVELS);
	ret->family_id = get_le32(b + O_FAMILY);
	memcpy(ret->content, b + O_CONTENT, 16);
	ret->mapped_blk = get_le64(b + O_MAPPED);
	if (!ret->id)
		return 0;
	if (ret->name[63] || !ret->name[0] || ret->root_levels > 5 || ret->size_blk > (1ull << 38) ||
	    ret->mapped_blk > (1ull << 38) || ret->parent_id >= ret->id || !ret->family_id || ret->family_id > ret->id)
		return -EBADMSG;
	return volattr_decode(&ret->attr, b + O_ATTR);
}
