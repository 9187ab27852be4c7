/* SPDX-License-Identifier: GPL-2.0-only */
/* block.c - the bytes of snapshots, block by block: which there are is asked from the pool's maps, bytes go through
 * box/disk.h from and to the caller's own memory.
 *
 * Crash story of a put: the bytes are written, then the ledger is. Dead in between: the ledger has no entry, or that of
 * an earlier put, which completing finds to be wrong (fill.c); the client has no answer, and puts the block again.
 */
#include "verbs/block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "box/ledger.h"
#include "verbs/priv.h"

/* ---------------------------------------------------------------- which snapshot */

struct finding {
	struct ebs_call *c;
	const char *id;
	bool write;
	struct block_snapshot *to;
};

/* It is being deleted. Whoever still read it would keep it open, and the pool from deleting it. */
static bool is_going(struct store_tx *tx, const char *id)
{
	struct err err = ERR_INIT;
	json_t *lock = store_get(tx, T_LOCK, id, &err), *task = NULL;
	char number[24];
	bool going;

	if (lock) {
		text_fmt(number, sizeof(number), "%lld", (long long)number_of(lock, "task_id"));
		task = store_get(tx, T_TASK, number, &err);
	}
	going = task && !strcmp(text_of(task, "verb"), "snapshot-delete");
	json_decref(task);
	json_decref(lock);
	return going;
}

static int find(struct store_tx *tx, void *arg, struct err *err)
{
	struct finding *f = arg;
	json_t *row = find_row(tx, f->c, &kind_snapshot, f->id);
	const char *state = text_of(row, "state");
	int rc = row ? 0 : -ENOENT;

	(void)err;
	if (row) {
		text_fmt(f->to->id, sizeof(f->to->id), "%s", f->id);
		text_fmt(f->to->pool, sizeof(f->to->pool), "%s", text_of(row, "pool"));
		text_fmt(f->to->name, sizeof(f->to->name), "%s", text_of(row, "pool_name"));
		f->to->size_bytes = (uint64_t)number_of(row, "size_bytes");
		f->to->filling = !strcmp(state, "pending") && number_of(row, "fill_until_ms");
	}
	if (!rc && (!strcmp(state, "recoverable") || is_going(tx, f->id)))
		rc = ebs_fail(f->c, EBS_NO_SNAPSHOT, -ENOENT, "The snapshot '%s' does not exist.", f->id);
	if (!rc && (f->write ? !f->to->filling : strcmp(state, "completed") != 0))
		rc = ebs_fail(f->c, EBS_INCORRECT_STATE, -EBUSY, "Snapshot '%s' is in the '%s' state.", f->id, state);
	/* It is about to be completed, or to go: what is put now could be in it or not. */
	if (!rc && f->write && saga_locked(tx, f->id, err))
		rc = ebs_fail_err(f->c, err);
	json_decref(row);
	return rc;
}

int block_find(struct ebs *e, struct ebs_call *c, const char *id, bool write, struct block_snapshot *ret)
{
	struct finding f = {c, id, write, ret};
	struct err err = ERR_INIT;
	int rc;

	c->ebs = e;
	c->verb = ebs_find_verb(write ? "snapshot-start" : "snapshot-describe"); /* whose rights it wants */
	if (!rights_verb(c)) {
		rc = -EACCES;
	} else {
		rc = store_read(e->store, find, &f, &err);
		if (rc && !c->code)
			ebs_fail_err(c, &err);
	}
	rights_audit(c);
	return rc;
}

int block_proof(struct ebs *e, const char *about, const char *text, uint8_t to[32])
{
	return seal_mac(e->seal, about, text, to);
}

uint32_t block_tokens_s(const struct ebs *e)
{
	return e->conf.block_tokens_s;
}

/* ---------------------------------------------------------------- which blocks */

struct collecting {
	uint32_t *indexes;
	unsigned room, n;
	uint64_t next; /* the first that is not known to be in or not */
};

/* false: there is no room. */
static bool add_run(struct collecting *l, uint64_t off, uint64_t end)
{
	for (uint64_t i = MAX(off / BLOCK_BYTES, l->next); i * BLOCK_BYTES < end; i++) {
		if (l->n == l->room)
			return false;
		l->indexes[l->n++] = (uint32_t)i;
		l->next = i + 1;
	}
	return true;
}

/* One answer's runs. 1: there may be more behind *at; 0: all are in, or it is full. */
static int add_runs(struct collecting *l, const json_t *answer, uint64_t size, uint64_t *at)
{
	json_t *run, *next = json_object_get(answer, "next");
	size_t i;

	json_array_foreach(json_object_get(answer, "runs"), i, run)
	{
		uint64_t off = (uint64_t)number_of(run, "offset_bytes");

		if (off < size && !add_run(l, off, MIN(off + (uint64_t)number_of(run, "length_bytes"), size)))
			return 0;
	}
	*at = json_is_integer(next) ? (uint64_t)json_integer_value(next) : size;
	/* Of a block that is in, the rest need not be looked at. */
	*at = MAX(*at, l->next * BLOCK_BYTES);
	if (*at < size)
		return 1;
	l->next = UINT64_MAX;
	return 0;
}

int block_list(struct ebs_call *c, const struct block_snapshot *from, const struct block_snapshot *to, uint64_t first,
	       uint32_t *indexes, unsigned room, unsigned *ret_n, uint64_t *ret_next)
{
	struct collecting l = {.indexes = indexes, .room = room, .next = first};
	uint64_t at = first * BLOCK_BYTES;
	struct err err = ERR_INIT;
	int more = 1;

	if (from && strcmp(from->pool, to->pool))
		return ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "the snapshots are in different pools");
	while (more > 0) {
		json_t *args = json_pack("{s:s*, s:s, s:I}", "from", from ? from->name : NULL, "to", to->name,
					 "offset_bytes", (json_int_t)at);
		json_t *answer = at < to->size_bytes || !at ? pool_call(c->ebs->pools, to->pool, "volume-diff", args,
									POOL_CALL_MS, &err)
							    : json_object();

		json_decref(args);
		more = answer ? add_runs(&l, answer, to->size_bytes, &at) : err.code;
		json_decref(answer);
	}
	*ret_n = l.n;
	*ret_next = l.next;
	return more ? ebs_fail_err(c, &err) : 0;
}

/* ---------------------------------------------------------------- bytes */

static int get_disk(struct ebs_call *c, const struct block_snapshot *s, bool write, struct disk **ret)
{
	char store[sizeof(s->pool) + sizeof(s->name)];
	struct err err = ERR_INIT;

	if (!c->ebs->disks)
		return ebs_fail(c, EBS_UNAVAILABLE, -ENOTSUP, "hybridd has no tgtd, by which blocks are moved");
	text_fmt(store, sizeof(store), "%s/%s", s->pool, s->name);
	return disk_get(c->ebs->disks, write ? s->name : s->id, store, write, ret, &err) ? ebs_fail_err(c, &err) : 0;
}

static bool beyond(struct ebs_call *c, const struct block_snapshot *s, uint64_t index)
{
	if (index < BLOCK_INDEX_MAX && index * BLOCK_BYTES < s->size_bytes)
		return false;
	ebs_fail(c, EBS_INVALID_PARAMETER, -ERANGE, "the block %llu is beyond the end", (unsigned long long)index);
	return true;
}

int block_read(struct ebs_call *c, const struct block_snapshot *s, uint64_t index, void *buf)
{
	struct err err = ERR_INIT;
	struct disk *d;
	uint64_t len;
	int rc;

	if (beyond(c, s, index))
		return -ERANGE;
	len = MIN(s->size_bytes - index * BLOCK_BYTES, BLOCK_BYTES);
	rc = get_disk(c, s, false, &d);
	if (rc)
		return rc;
	rc = disk_read(d, index * BLOCK_BYTES, buf, len, &err);
	disk_put(d, true);
	memset((char *)buf + len, 0, BLOCK_BYTES - len);
	return rc ? ebs_fail_err(c, &err) : 0;
}

static bool all_zero(const char *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

static int write_one(struct ebs_call *c, const struct block_snapshot *s, uint64_t index, const void *buf,
		     const uint8_t *digest)
{
	uint64_t len = MIN(s->size_bytes - index * BLOCK_BYTES, BLOCK_BYTES);
	char *path = fill_path(c->ebs, s->id);
	struct err err = ERR_INIT;
	struct disk *d;
	int rc;

	if (!path)
		return ebs_fail(c, EBS_INTERNAL, -ENOMEM, "out of memory");
	rc = get_disk(c, s, true, &d);
	if (!rc) {
		if (all_zero(buf, len))
			rc = disk_zero(d, index * BLOCK_BYTES, len, &err);
		else
			rc = disk_write(d, index * BLOCK_BYTES, buf, len, &err);
		disk_put(d, true);
		rc = rc ? rc : ledger_put(path, index, digest, &err);
		if (rc)
			ebs_fail_err(c, &err);
	}
	free(path);
	return rc;
}

int block_write(struct ebs *e, struct ebs_call *c, const char *id, uint64_t index, const void *buf,
		const uint8_t digest[BLOCK_DIGEST])
{
	struct block_snapshot s;
	struct fill_put put;
	int rc;

	/* First it is known that we are at it, then we look whether we may be: fill.c waits in the other order. */
	fill_put_begin(e, &put, id, index);
	rc = block_find(e, c, id, true, &s);
	if (!rc && beyond(c, &s, index))
		rc = -ERANGE;
	if (!rc && s.size_bytes - index * BLOCK_BYTES < BLOCK_BYTES &&
	    !all_zero((const char *)buf + (s.size_bytes - index * BLOCK_BYTES),
		      BLOCK_BYTES - (s.size_bytes - index * BLOCK_BYTES)))
		rc = ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "the block %llu has bytes beyond the end",
			      (unsigned long long)index);
	rc = rc ? rc : write_one(c, &s, index, buf, digest);
	fill_put_end(e, &put);
	return rc;
}
