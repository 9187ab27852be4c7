/* SPDX-License-Identifier: GPL-2.0-only */
/* dump.c - reads a pool's devices raw and decodes what is on them; trusts nothing that is read. */
#include "dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "map/ptree.h"

static const enum conf_tier_type device_tiers[] = {CONF_CAPACITY, CONF_SSD};
static const enum conf_tier_type all_tiers[] = {CONF_CAPACITY, CONF_SSD, CONF_MIRROR, CONF_LEVEL1,
						CONF_LEVEL2, CONF_LEVEL3, CONF_LEVEL4};

struct dump {
	struct conf *conf;
	const struct conf_pool *pool;
	int fd[CONF_TIER_TYPES];	/* -1: none; of the ssd and the capacity device there is one */
	struct super super;		/* the newest valid one of either device */
	struct err super_err;		/* why there is none */
	uint8_t *asked;			/* a bit for each page that the tree being read has named */
};

/* ------------------------------------------------------------------ reading */
static int read_blocks(const struct dump *d, enum conf_tier_type tier, uint64_t at_blk, void *buf, uint32_t nblk)
{
	size_t left = (size_t)nblk * BLK_BYTES;
	uint8_t *to = buf;

	for (off_t off = (off_t)(at_blk * BLK_BYTES); left;) {
		ssize_t n = pread(d->fd[tier], to, left, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		to += n;
		off += n;
		left -= (size_t)n;
	}
	return 0;
}

static void read_super(const struct dump *d, enum conf_tier_type tier, uint64_t at_blk, struct dump_super *ret)
{
	uint8_t block[BLK_BYTES];
	int rc = read_blocks(d, tier, at_blk, block, 1);

	*ret = (struct dump_super){.path = d->pool->tiers[tier].path, .at_blk = at_blk};
	if (rc)
		err_set(&ret->err, rc, "cannot be read: %s", strerror(-rc));
	else
		super_decode(&ret->super, at_blk, block, &ret->err);
}

/* The capacity device's superblock is asked first: it alone knows the checkpoint. */
static void choose_super(struct dump *d)
{
	static const uint64_t places[] = {SUPER_A, SUPER_B};
	bool found = false;

	for (size_t t = 0; t < ARRAY_LEN(device_tiers) && !found; t++)
		for (size_t i = 0; i < ARRAY_LEN(places); i++) {
			struct dump_super copy;

			read_super(d, device_tiers[t], places[i], &copy);
			if (copy.err.code == 0 && (!found || copy.super.seq > d->super.seq)) {
				d->super = copy.super;
				found = true;
			} else if (copy.err.code && !d->super_err.code) {
				d->super_err = copy.err;
				err_wrap(&d->super_err, "%s", copy.path);
			}
		}
	if (found)
		d->super_err = ERR_INIT;
}

int dump_open(const struct tool *t, struct dump **ret, struct err *err)
{
	struct dump *d = calloc(1, sizeof(*d));

	if (!d)
		return err_set(err, -ENOMEM, "out of memory");
	for (int i = 0; i < CONF_TIER_TYPES; i++)
		d->fd[i] = -1;
	if (tool_conf(t, &d->conf, &d->pool, err)) {
		dump_close(d);
		return err->code;
	}
	for (size_t i = 0; i < ARRAY_LEN(all_tiers); i++) {
		const struct conf_tier *tier = &d->pool->tiers[all_tiers[i]];

		if (tier->path)
			d->fd[all_tiers[i]] = open(tier->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (d->fd[all_tiers[i]] >= 0 || i >= ARRAY_LEN(device_tiers))
			continue;
		if (tier->path)
			err_set(err, -errno, "%s: %s", tier->path, strerror(errno));
		else
			err_set(err, -EOPNOTSUPP, "%s: a remote LUN cannot be looked into", tier->name);
		dump_close(d);
		return err->code;
	}
	choose_super(d);
	*ret = d;
	return 0;
}

void dump_close(struct dump *d)
{
	for (int i = 0; i < CONF_TIER_TYPES; i++)
		if (d->fd[i] >= 0)
			close(d->fd[i]);
	conf_free(d->conf);
	free(d);
}

void dump_supers(struct dump *d, int (*each)(void *ctx, const struct dump_super *copy), void *ctx)
{
	static const uint64_t places[] = {SUPER_A, SUPER_B};

	for (size_t t = 0; t < ARRAY_LEN(all_tiers); t++)
		for (size_t i = 0; i < ARRAY_LEN(places) && d->fd[all_tiers[t]] >= 0; i++) {
			struct dump_super copy;

			read_super(d, all_tiers[t], places[i], &copy);
			if (each(ctx, &copy))
				return;
		}
}

/* ------------------------------------------------------------------ the log */
/* Whether the superblock says how the log lies, in numbers that can be worked with. */
static int need_layout(const struct dump *d, struct err *err)
{
	if (d->super_err.code) {
		*err = d->super_err;
		return err->code;
	}
	if (d->super.seg_blk < 64 || d->super.seg_blk > SEG_BLK_MAX)
		return err_set(err, -EBADMSG, "the superblock names segments of %u blocks", d->super.seg_blk);
	return 0;
}

static uint8_t *segment_new(const struct dump *d, struct err *err)
{
	uint8_t *image = malloc((size_t)d->super.seg_blk * BLK_BYTES);

	if (!image)
		err_set(err, -ENOMEM, "out of memory");
	return image;
}

static int segment_read(const struct dump *d, uint32_t seg, uint8_t *image, struct err *err)
{
	int rc = read_blocks(d, CONF_SSD, (uint64_t)seg * d->super.seg_blk, image, d->super.seg_blk);

	return rc ? err_set(err, rc, "%s: segment %u: %s", d->pool->tiers[CONF_SSD].path, seg, strerror(-rc)) : 0;
}

/* The unit at block `off` of the segment, if a valid one of this pool begins there. All units of one segment are of
 * one life: `first` is its first unit, or NULL. */
static bool unit_at(const struct dump *d, const uint8_t *image, uint32_t seg, uint32_t off,
		    const struct unit_head *first, struct unit_head *ret)
{
	uint32_t room = d->super.seg_blk - footer_blk(d->super.seg_blk);

	return off < room && unit_decode(ret, image + (size_t)off * BLK_BYTES, false) == 0 &&
	       !memcmp(ret->pool_uuid, d->super.pool_uuid, 16) && ret->seg == seg && ret->off == off &&
	       off + 1u + ret->nblk <= room && (!first || ret->seg_seq == first->seg_seq);
}

static void look_at_segment(const struct dump *d, uint32_t seg, const uint8_t *image, struct dump_segment *ret)
{
	struct footer_slot slots[SEG_BLK_MAX];
	uint32_t seg_blk = d->super.seg_blk;
	struct footer footer;
	struct unit_head h;

	*ret = (struct dump_segment){.seg = seg};
	while (unit_at(d, image, seg, ret->blocks, ret->units ? &ret->first : NULL, &h)) {
		if (!ret->units++)
			ret->first = h;
		ret->last = h;
		ret->blocks += 1u + h.nblk;
	}
	if (footer_decode(&footer, slots, seg_blk, image + (size_t)(seg_blk - footer_blk(seg_blk)) * BLK_BYTES) == 0 &&
	    footer.seg == seg && !memcmp(footer.pool_uuid, d->super.pool_uuid, 16))
		ret->footer_seq = footer.seg_seq;
}

int dump_each_segment(struct dump *d, int (*each)(void *ctx, const struct dump_segment *s), void *ctx, struct err *err)
{
	struct dump_segment s;
	uint8_t *image;
	int stop = 0;

	if (need_layout(d, err))
		return err->code;
	image = segment_new(d, err);
	for (uint32_t seg = 1; image && !stop && seg <= d->super.nsegs; seg++) {
		if (segment_read(d, seg, image, err))
			break;
		look_at_segment(d, seg, image, &s);
		stop = each(ctx, &s);
	}
	free(image);
	return err->code;
}

static unsigned read_records(const struct unit_head *h, const uint8_t *block, struct rec *recs)
{
	const uint8_t *stream = block + UNIT_HEAD_BYTES;
	uint32_t at = 0, len;
	unsigned n = 0;

	while (n < h->nrec && (len = rec_decode(&recs[n], stream + at, h->stream_bytes - at))) {
		at += len;
		n++;
	}
	return n;
}

int dump_each_unit(struct dump *d, uint32_t seg,
		   int (*each)(void *ctx, const struct unit_head *h, const struct rec *recs, unsigned nrec), void *ctx,
		   struct err *err)
{
	struct rec *recs = calloc(UNIT_STREAM_BYTES / 8 + 1, sizeof(*recs));
	uint8_t *image = NULL;
	uint32_t from = seg ? seg : 1, to = seg ? seg : d->super.nsegs;
	int stop = 0;

	if (!recs)
		err_set(err, -ENOMEM, "out of memory");
	else if (need_layout(d, err) == 0 && to > d->super.nsegs)
		err_set(err, -ENOENT, "there is no segment %u: the last is %u", seg, d->super.nsegs);
	else if (!err->code)
		image = segment_new(d, err);
	for (uint32_t s = from; image && !stop && s <= to && segment_read(d, s, image, err) == 0; s++) {
		struct unit_head first, h;
		uint32_t off = 0;

		for (; !stop && unit_at(d, image, s, off, off ? &first : NULL, &h); off += 1u + h.nblk) {
			if (!off)
				first = h;
			stop = each(ctx, &h, recs, read_records(&h, image + (size_t)off * BLK_BYTES, recs));
		}
	}
	free(image);
	free(recs);
	return err->code;
}

/* ------------------------------------------------------------------ the volume table */
static void retire_nothing(void *ctx, uint32_t page)
{
	(void)ctx;
	(void)page;
}

static int get_page(void *ctx, uint32_t page, void *data)
{
	struct dump *d = ctx;

	if (page >= d->super.meta_pages || d->asked[page / 8] & 1u << page % 8)
		return -EBADMSG;	/* a page that is named twice would be met below itself again and again */
	d->asked[page / 8] |= (uint8_t)(1u << page % 8);
	return read_blocks(d, CONF_CAPACITY, d->super.meta_start_blk + page, data, 1);
}

static int each_record(const struct ptree *t, int (*each)(void *ctx, const struct volrec *r), void *ctx,
		       struct err *err)
{
	for (uint64_t leaf = ptree_next(t, 0); leaf != UINT64_MAX; leaf = ptree_next(t, leaf + 1)) {
		const uint8_t *data = ptree_get(t, leaf);

		for (uint32_t i = 0; i < VOLREC_PER_PAGE; i++) {
			struct volrec r;

			if (volrec_decode(&r, data + (size_t)i * VOLREC_BYTES))
				return err_set(err, -EBADMSG, "volume table: place %llu holds no sane record",
					       (unsigned long long)leaf * VOLREC_PER_PAGE + i);
			if (r.id && each(ctx, &r))
				return 0;
		}
	}
	return 0;
}

int dump_each_volume(struct dump *d, int (*each)(void *ctx, const struct volrec *r), void *ctx, struct err *err)
{
	const struct super_root *root = &d->super.roots[TREE_VOLUMES];
	struct ptree_env env = {.page_retire = retire_nothing};
	struct ptree_load how = {.ctx = d, .get = get_page};
	struct ptree tree;
	int rc;

	if (need_layout(d, err))
		return err->code;
	if (d->super.role != HB_ROLE_CAPACITY)
		return err_set(err, -EBADMSG, "the capacity device has no valid superblock");
	d->asked = calloc(d->super.meta_pages / 8 + 1, 1);
	if (!d->asked)
		return err_set(err, -ENOMEM, "out of memory");
	rc = ptree_load(&env, &tree, (uint8_t)MIN(root->levels, 255u), (struct page_ptr){root->page, root->crc}, &how);
	free(d->asked);
	d->asked = NULL;
	if (rc)
		return err_set(err, rc, "volume table: %s", rc == -EBADMSG ? "a page is damaged" : strerror(-rc));
	each_record(&tree, each, ctx, err);
	ptree_forget(&env, &tree);
	return err->code;
}
