/* SPDX-License-Identifier: GPL-2.0-only */
/* import.c - a volume begins as the bytes of a raw image on the box: checks, and the copying step.
 *
 * The new volume is all zeros, so zeros are not written: neither holes nor runs of zeros of the image. Before the step
 * ends everything is flushed, and the image is looked at: it must be the one that was asked for, and not have been
 * written to meanwhile.
 *
 * Crash stories
 * - tgtd dies: I/O waits for it; if that takes too long the step fails with "cannot be reached" and is tried again. It
 *   goes on where it was: what was answered outlives tgtd, and we are still the same life.
 * - hybridd dies: the saga is before its pivot, so it is undone: the target that the former life left goes, then the
 *   volume.
 * - Both, by a power cut: the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "box/rawfile.h"
#include "verbs/priv.h"

#define BLOCK_BYTES KIB(512) /* of one reading */
#define PIECE_BYTES KIB(64) /* of zeros that are skipped: a chunk of the pool takes its space as a whole */
#define PIECES (BLOCK_BYTES / PIECE_BYTES)
#define DEPTH 16 /* blocks under way */

/* ---------------------------------------------------------------- what is asked */

static int refuse(struct ebs_call *c, const struct err *err)
{
	static const int ours[] = {-ENOENT, -ENOTDIR, -EACCES, -EPERM, -ELOOP, -EINVAL, -EMEDIUMTYPE, -ENAMETOOLONG};

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (err->code == ours[i])
			return ebs_fail(c, EBS_INVALID_PARAMETER, err->code, "\"image\": %s", err->text);
	return ebs_fail_err(c, err);
}

int import_check(struct ebs_call *c, json_int_t *size_bytes, json_t **ret_mark)
{
	struct err err = ERR_INIT;
	struct rawfile image;
	uint64_t least;

	if (c->rights != EBS_MAY_ALL)
		return ebs_fail(c, EBS_UNAUTHORIZED, -EACCES, "Only an administrator may import images.");
	if (arg_given(c, "snapshot"))
		return ebs_fail(c, EBS_INVALID_COMBINATION, -EINVAL, "\"image\" and \"snapshot\" do not go together");
	if (!c->ebs->disks)
		return ebs_fail(c, EBS_UNAVAILABLE, -ENOTSUP, "hybridd has no tgtd, by which volumes are written");
	if (rawfile_open(arg_text(c, "image"), &image, &err))
		return refuse(c, &err);
	least = ROUND_UP(image.size_bytes, BLK_BYTES);
	*ret_mark = rawfile_mark(&image);
	rawfile_close(&image);
	if (*size_bytes && (uint64_t)*size_bytes < least)
		return ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL,
				"\"size_bytes\": the image has %llu bytes, the volume must not be smaller",
				(unsigned long long)least);
	if (!*size_bytes)
		*size_bytes = (json_int_t)least;
	return 0;
}

/* ---------------------------------------------------------------- copying */

struct slot {
	char *buf;
	struct disk_io io[PIECES]; /* more than there can be runs */
	unsigned ios; /* under way */
	bool used;
	uint64_t end; /* all of the image before it is in this slot, or was in former ones */
};

struct copy {
	struct saga *s;
	struct rawfile image;
	struct disk *disk;
	struct slot slots[DEPTH];
	unsigned next; /* slot; the oldest, too, if it is under way */
	bool failed;
};

static bool is_zero(const char *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

/* Waits for what is under way in it. Slots end in the order in which they began. */
static int slot_end(struct copy *cp, struct slot *slot, struct err *err)
{
	int rc = 0;

	for (unsigned i = 0; i < slot->ios; i++) {
		struct err one = ERR_INIT;

		if (disk_wait(&slot->io[i], &one) && !rc)
			rc = err_set(err, one.code, "%s", one.text);
	}
	slot->ios = 0;
	cp->failed |= rc != 0;
	/* After a failure nothing counts any more: what failed will be written anew, and all behind it. */
	if (slot->used && !cp->failed) {
		json_object_set_new(cp->s->doc, "copied_bytes", json_integer((json_int_t)slot->end));
		saga_progress(cp->s, (unsigned)(MIN(slot->end, cp->image.size_bytes) * 100 / cp->image.size_bytes));
	}
	slot->used = false;
	return rc;
}

static void write_run(struct copy *cp, struct slot *slot, uint64_t off, uint64_t from, uint64_t to)
{
	struct disk_io *io = &slot->io[slot->ios];

	if (from == to)
		return;
	*io = (struct disk_io){
		.op = DEV_WRITE, .off_bytes = off + from, .len_bytes = to - from, .buf = slot->buf + from};
	slot->ios++;
	disk_submit(cp->disk, io);
}

/* Writes the runs of pieces that are not all zero. len: a multiple of 512. */
static void slot_begin(struct copy *cp, struct slot *slot, uint64_t off, uint64_t len)
{
	uint64_t from = 0;

	for (uint64_t at = 0, n; at < len; at += n) {
		n = MIN(PIECE_BYTES - (off + at) % PIECE_BYTES, len - at);
		if (!is_zero(slot->buf + at, n))
			continue;
		write_run(cp, slot, off, from, at);
		from = at + n;
	}
	write_run(cp, slot, off, from, len);
}

/* One block, into the oldest slot. */
static int copy_block(struct copy *cp, uint64_t off, uint64_t len, struct err *err)
{
	struct slot *slot = &cp->slots[cp->next];
	int rc = slot_end(cp, slot, err);

	cp->next = (cp->next + 1) % DEPTH;
	rc = rc ? rc : rawfile_read(&cp->image, off, slot->buf, ROUND_UP(len, SECTOR_BYTES), err);
	if (rc)
		return rc;
	slot->end = off + len;
	slot->used = true;
	slot_begin(cp, slot, off, ROUND_UP(len, SECTOR_BYTES));
	return 0;
}

static int copy_all(struct copy *cp, struct err *err)
{
	uint64_t at = (uint64_t)number_of(cp->s->doc, "copied_bytes"), data, len;
	int more, rc = 0;

	while (!rc && (more = rawfile_data(&cp->image, at, &data, &len, err))) {
		if (more < 0)
			return more;
		at = ROUND_DOWN(data, SECTOR_BYTES);
		/* Blocks begin at multiples of their size, so that pieces lie as the pool's chunks do. */
		len = MIN(data + len, ROUND_DOWN(at, BLOCK_BYTES) + BLOCK_BYTES) - at;
		rc = copy_block(cp, at, len, err);
		at += len;
		if (!rc && saga_stopping(cp->s))
			rc = err_set(err, -EAGAIN, "hybridd is about to end");
	}
	return rc;
}

static int check_mark(const struct copy *cp, struct err *err)
{
	json_t *mark = rawfile_mark(&cp->image);
	bool same = json_equal(mark, json_object_get(cp->s->doc, "mark"));

	json_decref(mark);
	return same ? 0 : err_set(err, -ESTALE, "the image has changed since it was asked for, or while it was read");
}

/* Whatever has happened, nothing is under way at the end. */
static int end_all(struct copy *cp, int rc, struct err *err)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		struct err own = ERR_INIT;
		int one = slot_end(cp, &cp->slots[(cp->next + i) % DEPTH], &own);

		if (one && !rc)
			rc = err_set(err, one, "%s", own.text);
	}
	return rc;
}

static int copy_opened(struct copy *cp, struct err *err)
{
	int rc = check_mark(cp, err);
	char *memory = malloc(DEPTH * BLOCK_BYTES);

	if (!rc && !memory)
		rc = err_set(err, -ENOMEM, "out of memory");
	for (unsigned i = 0; memory && i < DEPTH; i++)
		cp->slots[i].buf = memory + i * BLOCK_BYTES;
	rc = rc ? rc : copy_all(cp, err);
	rc = end_all(cp, rc, err);
	rc = rc ? rc : check_mark(cp, err);
	rc = rc ? rc : disk_flush(cp->disk, err);
	free(memory);
	return rc;
}

static int copy(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	const char *id = text_of(s->doc, "id");
	struct copy *cp = calloc(1, sizeof(*cp));
	char *store = NULL;
	int rc;

	if (!cp || asprintf(&store, "%s/%s", text_of(s->doc, "pool"), id) < 0) {
		free(cp);
		return err_set(err, -ENOMEM, "out of memory");
	}
	cp->s = s;
	rc = rawfile_open(text_of(s->doc, "origin"), &cp->image, err);
	if (!rc) {
		rc = disk_get(e->disks, id, store, true, &cp->disk, err);
		/* The step before has made it: so its pool is not open (yet). */
		if (rc == -ENOENT)
			rc = err->code = -EAGAIN;
		rc = rc ? rc : copy_opened(cp, err);
		if (cp->disk)
			disk_put(cp->disk, false);
		rawfile_close(&cp->image);
	}
	free(store);
	free(cp);
	return rc;
}

/* Each has a worker for itself, for as long as it takes: others' sagas must not wait for that. */
int import_copy(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	unsigned most = MAX(e->conf.workers / 4, 1u);
	int rc;

	if (!e->disks)
		return err_set(err, -ENOTSUP, "hybridd has no tgtd, by which volumes are written");
	if (atomic_fetch_add(&e->imports, 1) < most) {
		rc = copy(s, err);
	} else {
		saga_progress(s, 0);
		rc = err_set(err, -EAGAIN, "%u images are being imported: it waits for its turn", most);
	}
	atomic_fetch_sub(&e->imports, 1);
	return rc;
}

int import_undo(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;

	return e->disks ? disks_forget(e->disks, text_of(s->doc, "id"), err) : 0;
}
