/* SPDX-License-Identifier: GPL-2.0-only */
/* super.c - superblock: bytes <-> struct super. */
#include "format/super.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/leveltab.h"

static const char magic[8] = {'H', 'Y', 'B', 'R', 'P', 'O', 'O', 'L'};

enum {
	O_MAGIC = 0,
	O_VERSION = 8,
	O_CRC = 12,
	O_INCOMPAT = 16,
	O_RO = 24,
	O_COMPAT = 32,
	O_AT = 40,
	O_SEQ = 48,
	O_POOL = 56,
	O_DEV = 72,
	O_ROLE = 88,
	O_INDEX = 92,
	O_NDEVS = 96,
	O_CHUNK = 100,
	O_SEG = 104,
	O_SIZE = 112,
	O_NAME = 120,
	O_CREATED = 184,
	O_META = 192,
	O_PAGES = 200,
	O_FIRST = 204,
	O_NCHUNKS = 208,
	O_NSEGS = 212,
	O_DEVS = 216,
	DEV_BYTES = 32,
	O_GEN = 512,
	O_FLAGS = 520,
	O_CKPT = 528,
	O_UNIT = 536,
	O_LSEG = 544,
	O_LOFF = 548,
	O_LSEQ = 552,
	O_ROOTS = 560,
	ROOT_BYTES = 16,
	O_NEXTVOL = 624,
	O_HIGH = 628,
	O_LNEXT = 632,
	O_NONCE = 640,
	O_EPOCH = 648,
	O_OUT = 656,
	O_FEATURES = 1024,
};
_Static_assert(O_DEVS + SUPER_DEVS * DEV_BYTES <= O_GEN, "device table fits");
_Static_assert(O_ROOTS + TREE_COUNT * ROOT_BYTES <= O_NEXTVOL, "roots fit");

static void put_checkpoint(const struct super *s, uint8_t *b)
{
	put_le64(b + O_GEN, s->generation);
	put_le32(b + O_FLAGS, s->flags);
	put_le64(b + O_CKPT, s->ckpt_seq);
	put_le64(b + O_NONCE, s->ckpt_nonce);
	put_le64(b + O_EPOCH, s->mirror_epoch);
	put_le32(b + O_OUT, s->mirror_out);
	put_le64(b + O_UNIT, s->log_unit_seq);
	put_le32(b + O_LSEG, s->log_seg);
	put_le32(b + O_LOFF, s->log_off);
	put_le64(b + O_LSEQ, s->log_seg_seq);
	put_le32(b + O_LNEXT, s->log_next_seg);
	for (int i = 0; i < TREE_COUNT; i++) {
		uint8_t *r = b + O_ROOTS + i * ROOT_BYTES;

		put_le32(r, s->roots[i].page);
		put_le32(r + 4, s->roots[i].crc);
		put_le32(r + 8, s->roots[i].levels);
	}
	put_le32(b + O_NEXTVOL, s->next_volume_id);
	put_le32(b + O_HIGH, s->meta_high);
}

void super_encode(const struct super *s, uint64_t at_blk, void *block)
{
	uint8_t *b = block;

	memset(b, 0, BLK_BYTES);
	memcpy(b + O_MAGIC, magic, 8);
	put_le32(b + O_VERSION, SUPER_VERSION);
	put_le64(b + O_INCOMPAT, s->feat_incompat);
	put_le64(b + O_RO, s->feat_ro);
	put_le64(b + O_COMPAT, s->feat_compat);
	put_le64(b + O_AT, at_blk);
	put_le64(b + O_SEQ, s->seq);
	memcpy(b + O_POOL, s->pool_uuid, 16);
	memcpy(b + O_DEV, s->dev_uuid, 16);
	put_le32(b + O_ROLE, s->role);
	put_le32(b + O_INDEX, s->index);
	put_le32(b + O_NDEVS, s->ndevs);
	put_le32(b + O_CHUNK, s->chunk_blk);
	put_le32(b + O_SEG, s->seg_blk);
	put_le64(b + O_SIZE, s->size_blk);
	memcpy(b + O_NAME, s->name, SUPER_NAME);
	put_le64(b + O_CREATED, s->created_s);
	put_le64(b + O_META, s->meta_start_blk);
	put_le32(b + O_PAGES, s->meta_pages);
	put_le32(b + O_FIRST, s->first_chunk);
	put_le32(b + O_NCHUNKS, s->nchunks);
	put_le32(b + O_NSEGS, s->nsegs);
	for (int i = 0; i < SUPER_DEVS; i++) {
		uint8_t *d = b + O_DEVS + i * DEV_BYTES;

		memcpy(d, s->devs[i].uuid, 16);
		put_le32(d + 16, s->devs[i].role);
		put_le64(d + 24, s->devs[i].size_blk);
	}
	memcpy(b + O_FEATURES, s->features, SUPER_FEATURES);
	put_checkpoint(s, b);
	put_le32(b + O_CRC, crc32c(0, b, BLK_BYTES));
}

static void get_checkpoint(struct super *s, const uint8_t *b)
{
	s->generation = get_le64(b + O_GEN);
	s->flags = get_le32(b + O_FLAGS);
	s->ckpt_seq = get_le64(b + O_CKPT);
	s->ckpt_nonce = get_le64(b + O_NONCE);
	s->mirror_epoch = get_le64(b + O_EPOCH);
	s->mirror_out = get_le32(b + O_OUT);
	s->log_unit_seq = get_le64(b + O_UNIT);
	s->log_seg = get_le32(b + O_LSEG);
	s->log_off = get_le32(b + O_LOFF);
	s->log_seg_seq = get_le64(b + O_LSEQ);
	s->log_next_seg = get_le32(b + O_LNEXT);
	for (int i = 0; i < TREE_COUNT; i++) {
		const uint8_t *r = b + O_ROOTS + i * ROOT_BYTES;

		s->roots[i] = (struct super_root){get_le32(r), get_le32(r + 4), get_le32(r + 8)};
	}
	s->next_volume_id = get_le32(b + O_NEXTVOL);
	s->meta_high = get_le32(b + O_HIGH);
}

/* Values that a valid checksum does not make sane: a hostile or foreign writer can compute checksums, too. */
static const char *insane(const struct super *s)
{
	if (s->size_blk > PBLK_MAX || s->meta_start_blk > s->size_blk)
		return "size out of range";
	if (s->chunk_blk != 16 && s->chunk_blk != 32)
		return "chunk size is neither 16 nor 32 blocks";
	if (s->seg_blk < 64 || s->seg_blk > 512 || (s->seg_blk & (s->seg_blk - 1)))
		return "segment size is not a power of two from 64 to 512 blocks";
	if (s->ndevs < 2 || s->ndevs > 3 || s->index >= (s->role == 3 ? SUPER_DEVS : s->ndevs))
		return "device number out of range";
	if (s->nsegs < 7 || ((uint64_t)s->nsegs + 1) * s->seg_blk > 1ull << 31)
		return "number of segments out of range";
	if (s->meta_start_blk <= SUPER_B || (s->role != 3 && (s->meta_pages < 16 || s->meta_high > s->meta_pages)))
		return "metadata area out of range";
	if (!s->nchunks || (uint64_t)s->first_chunk + s->nchunks >= 1ull << 31 ||
	    (s->role != 3 && (uint64_t)s->first_chunk * s->chunk_blk < s->meta_start_blk + s->meta_pages))
		return "chunks out of range";
	if (s->role == 1 && s->meta_start_blk + s->meta_pages > s->size_blk)
		return "metadata area beyond the device";
	if (s->name[SUPER_NAME - 1])
		return "name not terminated";
	if (s->role == 1 && ((uint64_t)s->first_chunk + s->nchunks) * s->chunk_blk > s->size_blk)
		return "chunks beyond the device";
	if (s->role == 2 && ((uint64_t)s->nsegs + 1) * s->seg_blk > s->size_blk)
		return "segments beyond the device";
	if (s->role == 3 && (s->meta_pages != s->nsegs / LEVELTAB_PER_PAGE + 1 ||
			     s->meta_start_blk + 2 * (s->meta_pages + 1ull) + ((uint64_t)s->nsegs + 1) * s->seg_blk >
				     s->size_blk))
		return "segments beyond the device";
	if (s->role == 1 && (s->log_seg < 1 || s->log_seg > s->nsegs || s->log_off >= s->seg_blk ||
			     s->log_next_seg < 1 || s->log_next_seg > s->nsegs))
		return "log position out of range";
	for (int i = 0; i < TREE_COUNT; i++)
		if (s->roots[i].levels > 5)
			return "tree too deep";
	return NULL;
}

int super_decode(struct super *ret, uint64_t at_blk, const void *block, struct err *err)
{
	uint8_t b[BLK_BYTES];
	struct super s = {0};
	uint32_t crc;
	const char *why;

	memcpy(b, block, BLK_BYTES);
	if (memcmp(b + O_MAGIC, magic, 8))
		return err_set(err, -ENODATA, "no superblock of a pool");
	crc = get_le32(b + O_CRC);
	put_le32(b + O_CRC, 0);
	if (crc32c(0, b, BLK_BYTES) != crc)
		return err_set(err, -EBADMSG, "bad checksum");
	if (get_le64(b + O_AT) != at_blk)
		return err_set(err, -EBADMSG, "a superblock of another place");
	if (get_le32(b + O_VERSION) != SUPER_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "format version %u, this program knows version %u",
			       get_le32(b + O_VERSION), SUPER_VERSION);
	s.feat_incompat = get_le64(b + O_INCOMPAT);
	memcpy(s.features, b + O_FEATURES, SUPER_FEATURES);
	s.features[SUPER_FEATURES - 1] = 0;
	if (s.feat_incompat & ~FEAT_INCOMPAT_KNOWN)
		return err_set(err, -EPROTONOSUPPORT, "the pool uses features this program lacks: '%s' (bits %#llx)",
			       s.features, (unsigned long long)(s.feat_incompat & ~FEAT_INCOMPAT_KNOWN));
	s.feat_ro = get_le64(b + O_RO);
	s.feat_compat = get_le64(b + O_COMPAT);
	s.seq = get_le64(b + O_SEQ);
	memcpy(s.pool_uuid, b + O_POOL, 16);
	memcpy(s.dev_uuid, b + O_DEV, 16);
	s.role = get_le32(b + O_ROLE);
	s.index = get_le32(b + O_INDEX);
	s.ndevs = get_le32(b + O_NDEVS);
	s.chunk_blk = get_le32(b + O_CHUNK);
	s.seg_blk = get_le32(b + O_SEG);
	s.size_blk = get_le64(b + O_SIZE);
	memcpy(s.name, b + O_NAME, SUPER_NAME);
	s.created_s = get_le64(b + O_CREATED);
	s.meta_start_blk = get_le64(b + O_META);
	s.meta_pages = get_le32(b + O_PAGES);
	s.first_chunk = get_le32(b + O_FIRST);
	s.nchunks = get_le32(b + O_NCHUNKS);
	s.nsegs = get_le32(b + O_NSEGS);
	for (int i = 0; i < SUPER_DEVS; i++) {
		const uint8_t *d = b + O_DEVS + i * DEV_BYTES;

		memcpy(s.devs[i].uuid, d, 16);
		s.devs[i].role = get_le32(d + 16);
		s.devs[i].size_blk = get_le64(d + 24);
	}
	get_checkpoint(&s, b);
	why = insane(&s);
	if (why)
		return err_set(err, -EBADMSG, "%s", why);
	*ret = s;
	return 0;
}
