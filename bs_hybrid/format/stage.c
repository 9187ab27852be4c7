/* SPDX-License-Identifier: GPL-2.0-only */
/* stage.c - the staging memory's header and descriptors.
 *
 * Native byte order and aligned words: it is never read by another machine.
 */
#include "format/stage.h"

#include <errno.h>
#include <string.h>

#include "base/crc32c.h"

#define STAGE_MAGIC 0x31475453425948ull /* "HYBSTG1" */

struct stage_head {
	uint64_t magic; /* stored last by stage_init */
	struct stage_id id;
	uint32_t crc; /* of id */
	uint32_t pad;
	struct {
		uint32_t used, seg;
		uint64_t seg_seq;
		uint32_t open_off, pad;
	} desc[STAGE_BUFS_MAX];
};
_Static_assert(sizeof(struct stage_head) <= BLK_BYTES, "one block");

#define STORE(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)

void stage_init(void *stage, const struct stage_id *id)
{
	struct stage_head *h = stage;

	STORE(h->magic, 0);
	memset(h->desc, 0, sizeof(h->desc));
	h->id = *id;
	h->crc = crc32c(0, &h->id, sizeof(h->id));
	STORE(h->magic, STAGE_MAGIC);
}

int stage_read(const void *stage, uint64_t stage_bytes, struct stage_id *ret)
{
	const struct stage_head *h = stage;

	if (stage_bytes < BLK_BYTES || h->magic != STAGE_MAGIC || h->crc != crc32c(0, &h->id, sizeof(h->id)))
		return -ENODATA;
	*ret = h->id;
	return h->id.nbuf > stage_fit(stage_bytes, h->id.seg_blk ? h->id.seg_blk : 1) ? -E2BIG : 0;
}

void stage_wipe(void *stage)
{
	struct stage_head *h = stage;

	STORE(h->magic, 0);
}

void stage_get(const void *stage, uint32_t buf, struct stage_desc *ret)
{
	const struct stage_head *h = stage;

	*ret = (struct stage_desc){h->desc[buf].used, h->desc[buf].seg, h->desc[buf].seg_seq, h->desc[buf].open_off};
}

void stage_claim(void *stage, uint32_t buf, uint32_t seg, uint64_t seg_seq)
{
	struct stage_head *h = stage;

	STORE(h->desc[buf].used, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	h->desc[buf].seg = seg;
	h->desc[buf].seg_seq = seg_seq;
	h->desc[buf].open_off = STAGE_NO_OPEN;
	STORE(h->desc[buf].used, 1);
}

void stage_release(void *stage, uint32_t buf)
{
	struct stage_head *h = stage;

	STORE(h->desc[buf].used, 0);
}

void stage_set_open(void *stage, uint32_t buf, uint32_t open_off)
{
	struct stage_head *h = stage;

	STORE(h->desc[buf].open_off, open_off);
}
