/* SPDX-License-Identifier: GPL-2.0-only */
/* lun.c - the backing store that tgtd sees: a LUN is made, opened on POOL/VOLUME, closed, gone.
 *
 * Happy path: init (bsopts) -> open (path) -> commands -> close -> exit, all synchronous. A path may be changed: close
 * and open again. A LUN is idle when tgtd destroys it, but not always when its path is changed or its medium ejected:
 * close ends what is running. When tgtd destroys a LUN, its mode and VPD pages are freed before close.
 *
 * Everything a handler of tgtd would do for our LUN is done by ours (ops.c): init puts one dispatcher behind all
 * opcodes, in this LUN's own copy of the table.
 */
#include "tgt/lun.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/loop.h"
#include "tgt/pools.h"
#include "tgt/vpd.h"
#include "tgt/work.h"

static struct link luns = { &luns, &luns };

static struct lun **slot_of(const struct tgt_lu *lu)
{
	return (struct lun **)((char *)(uintptr_t)lu + sizeof(struct tgt_lu));
}

struct lun *lun_of(const struct tgt_lu *lu)
{
	return *slot_of(lu);
}

bool lun_write_cache(const struct lun *lun)
{
	list_each(l, &lun->lu->mode_pages) {
		const struct tgt_mode_page *page = list_entry(l, struct tgt_mode_page, siblings);

		if (page->page == 0x08 && page->subpage == 0)
			return page->size > 0 && (page->data[0] & 0x04);
	}
	return false;
}

unsigned lun_count(const struct pool *pool)
{
	unsigned n = 0;

	list_each(l, &luns) {
		const struct lun *lun = list_entry(l, struct lun, link);

		n += lun->pool && (!pool || lun->pool == pool);
	}
	return n;
}

void lun_check_size(struct lun *lun)
{
	uint64_t size;

	if (!lun->vol)
		return;
	size = hb_volume_size(lun->vol);
	if (size == lun->lu->size)
		return;
	log_warning("hybrid: lun %" PRIu64 " of target %d: capacity now %" PRIu64 " bytes\n", lun->lu->lun,
		    lun->lu->target->tid, size);
	lun->lu->size = size;
	ua_sense_add_other_it_nexus(0, lun->lu, ASC_CAPACITY_CHANGED);
}

void lun_check_sizes(void)
{
	list_each(l, &luns)
		lun_check_size(list_entry(l, struct lun, link));
}

void lun_reverted(const struct hb_pool *pool, const char *volume)
{
	struct hb_volume_info info;

	list_each(l, &luns) {
		struct lun *lun = list_entry(l, struct lun, link);

		if (!lun->vol || lun->pool->hb != pool)
			continue;
		hb_volume_info(lun->vol, &info);
		if (strcmp(info.name, volume))
			continue;
		log_warning("hybrid: lun %" PRIu64 " of target %d: volume %s has been reverted\n", lun->lu->lun,
			    lun->lu->target->tid, volume);
		ua_sense_add_other_it_nexus(0, lun->lu, ASC_MEDIUM_MAY_HAVE_CHANGED);
		lun_check_size(lun);
	}
}

/* ------------------------------------------------------------------ init and exit */
/* "conf=FILE", or nothing. */
static int parse_bsopts(struct lun *lun, const char *bsopts, struct err *err)
{
	if (!bsopts || !*bsopts)
		return 0;
	if (strncmp(bsopts, "conf=", 5) || !bsopts[5])
		return err_set(err, -EINVAL, "bsopts \"%s\": expected conf=FILE", bsopts);
	if (bsopts[5] != '/')
		return err_set(err, -EINVAL, "bsopts \"%s\": the file's path must be absolute", bsopts);
	lun->conf_path = mem_strdup(bsopts + 5);
	return lun->conf_path ? 0 : err_set(err, -ENOMEM, "out of memory");
}

/* Also proves that the structs lie where we think: these members are near the ends of theirs. */
static int check_lu(const struct tgt_lu *lu, struct err *err)
{
	if (lu->bst != &lun_template || lu->cmd_perform != target_cmd_perform || !lu->target)
		return err_set(err, -EPROTONOSUPPORT, "this tgtd's structures are not as expected");
	if (lu->devtype.type != TGT_TYPE_DISK)
		return err_set(err, -EINVAL, "device type %u: a volume can only be a disk", lu->devtype.type);
	if (lu->blk_shift != SECTOR_SHIFT && lu->blk_shift != BLK_SHIFT)
		return err_set(err, -EINVAL, "block size %u: must be 512 or 4096", 1u << lu->blk_shift);
	return 0;
}

static void take_over(struct tgt_lu *lu)
{
	for (unsigned i = 0; i < TGT_OPCODES; i++) {
		lu->devtype.ops[i].perform = ops_dispatch;
		lu->devtype.ops[i].service_actions = NULL;
		lu->devtype.ops[i].pr_conflict_bits = 0;	/* ops.c sees to reservations */
	}
	lu->cmd_perform = perform_cmd;
}

static int lun_init(struct tgt_lu *lu, char *bsopts)
{
	struct err err = ERR_INIT;
	struct lun *lun = NULL;

	if (check_lu(lu, &err))
		goto fail;
	lun = mem_zalloc(sizeof(*lun));
	if (!lun) {
		err_set(&err, -ENOMEM, "out of memory");
		goto fail;
	}
	if (parse_bsopts(lun, bsopts, &err))
		goto fail;
	if (vpd_init(lu)) {
		err_set(&err, -ENOMEM, "out of memory");
		goto fail;
	}
	lun->lu = lu;
	list_init(&lun->idle);
	list_init(&lun->slabs);
	*slot_of(lu) = lun;
	list_push(&luns, &lun->link);
	take_over(lu);
	return TGT_OK;
fail:
	log_error("hybrid: lun %" PRIu64 ": %s\n", lu->lun, err.text);
	if (lun)
		mem_free(lun->conf_path);
	mem_free(lun);
	return err.code == -ENOMEM ? TGT_NOMEM : TGT_INVALID_REQUEST;
}

static void lun_exit(struct tgt_lu *lu)
{
	struct lun *lun = lun_of(lu);

	if (!lun)
		return;
	work_free_all(lun);
	list_del(&lun->link);
	mem_free(lun->conf_path);
	mem_free(lun);
	*slot_of(lu) = NULL;
}

/* ------------------------------------------------------------------ open and close */
/* "POOL/VOLUME" -> both names. Of an absolute path they are the last two components, the others do not matter: some
 * front ends (tgt-admin) insist on a path that exists, so there may be an empty file of that name. */
static int parse_path(const char *path, char pool[HB_NAME_MAX + 1], char volume[HB_NAME_MAX + 1], struct err *err)
{
	const char *slash = strrchr(path, '/'), *from = slash;

	while (from && from > path && from[-1] != '/')
		from--;
	if (slash && (from == path || *path == '/') && slash - from <= HB_NAME_MAX &&
	    strlen(slash + 1) <= HB_NAME_MAX) {
		memcpy(pool, from, (size_t)(slash - from));
		pool[slash - from] = 0;
		memcpy(volume, slash + 1, strlen(slash + 1) + 1);
		if (hb_name_ok(pool) && hb_name_ok(volume))
			return 0;
	}
	return err_set(err, -EINVAL, "expected POOL/VOLUME, or an absolute path that ends so");
}

static int open_volume(struct lun *lun, const char *path, struct err *err)
{
	char pool_name[HB_NAME_MAX + 1], volume[HB_NAME_MAX + 1];
	struct hb_volume *vol;
	struct pool *pool;

	if (lun->vol)
		return err_set(err, -EBUSY, "already open");
	if (parse_path(path, pool_name, volume, err) || pools_get(lun->conf_path, pool_name, &pool, err))
		return err->code;
	if (hb_volume_open(pool->hb, volume, &vol, err))
		return err->code;
	lun->pool = pool;
	lun->vol = vol;
	return 0;
}

static int lun_open(struct tgt_lu *lu, char *path, int *fd, uint64_t *size)
{
	struct lun *lun = lun_of(lu);
	struct hb_volume_info info;
	struct err err = ERR_INIT;

	*fd = -1;
	if (open_volume(lun, path, &err)) {
		log_error("hybrid: lun %" PRIu64 ": backing store \"%s\": %s\n", lu->lun, path, err.text);
		return err.code;
	}
	*fd = INT32_MAX;	/* never used; not negative is what tgtd looks at */
	hb_volume_info(lun->vol, &info);
	*size = info.size_bytes;
	lun->frozen = info.snapshot;
	lu->attrs.thin = 1;
	vpd_describe(lun);
	return 0;
}

static void lun_close(struct tgt_lu *lu)
{
	struct lun *lun = lun_of(lu);

	if (!lun || !lun->vol)
		return;
	lun->closing = true;
	while (lun->busy || lun->pins) {
		bool more = work_drain();

		if (lun->busy || lun->pins)
			loop_pump(more ? 0 : loop_now_ns() + SEC_NS);
	}
	hb_volume_close(lun->vol);
	loop_touch(lun->pool);
	lun->vol = NULL;
	lun->pool = NULL;
	lun->frozen = false;
	lun->closing = false;
}

/* Never called: no handler of tgtd's is left on our LUN. */
static int lun_submit(struct tgt_cmd *cmd)
{
	return cmd_sense(cmd, KEY_HARDWARE_ERROR, ASC_INTERNAL_FAILURE);
}

struct tgt_bst lun_template = {
	.name = "hybrid",
	/* More than our pointer: for device types other than disk tgtd puts another backing store in the place of ours,
	 * in the room that was made for ours. */
	.datasize = 1024,
	.open = lun_open,
	.close = lun_close,
	.init = lun_init,
	.exit = lun_exit,
	.cmd_submit = lun_submit,
};
