/* SPDX-License-Identifier: GPL-2.0-only */
/* fill.c - snapshots that are filled from outside: started, completed, given up.
 *
 * While it is "pending" there is a volume in the pool, empty or a clone of the parent, which no other verb knows: its
 * name is FILL_PREFIX and the snapshot's digits. Blocks are written to it (block.c), and a ledger beside the catalogue
 * says which, with their checksums. Completing counts and aggregates these, makes all durable, reads every block that
 * was put and compares it, and has the pool freeze the volume.
 *
 * Crash stories
 * - hybridd dies: row, volume and ledger are there, the next life goes on with it. A block whose put was not answered
 *   is in the volume, the ledger, both or neither; it is put again, and completing compares the two.
 * - A power cut, or tgtd dies while we are dead: what was put and not flushed may be lost. Completing reads after it
 *   has flushed, so it finds that out before anything is called completed; the client puts these blocks again.
 * - start: made again means "it exists". complete: nothing but the pool's snapshot is made before the pivot, and that
 *   has the row's id for a name; once the row says completed, only the volume and the ledger are left to go.
 * - given up, or late: first nobody writes any more, then the volume goes, with it the ledger and the row.
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "box/ledger.h"
#include "verbs/block.h"
#include "verbs/priv.h"

#define FILLS_MAX 100 /* at a time */
#define MINUTE_MS 60000ull

/* ---------------------------------------------------------------- who is putting */

static bool same_block(const struct fill_put *a, const struct fill_put *b)
{
	return a->index == b->index && !strcmp(a->id, b->id);
}

static bool under_way(struct ebs *e, const struct fill_put *put)
{
	list_each(l, &e->fill.puts) {
		if (same_block(list_entry(l, struct fill_put, link), put))
			return true;
	}
	return false;
}

void fill_put_begin(struct ebs *e, struct fill_put *put, const char *id, uint64_t index)
{
	*put = (struct fill_put){.id = id, .index = index};
	pthread_mutex_lock(&e->fill.lock);
	while (under_way(e, put))
		pthread_cond_wait(&e->fill.ended, &e->fill.lock);
	list_push(&e->fill.puts, &put->link);
	pthread_mutex_unlock(&e->fill.lock);
}

void fill_put_end(struct ebs *e, struct fill_put *put)
{
	pthread_mutex_lock(&e->fill.lock);
	list_del(&put->link);
	pthread_cond_broadcast(&e->fill.ended);
	pthread_mutex_unlock(&e->fill.lock);
}

/* Of this snapshot. New ones see the saga's lock. */
static void wait_for_puts(struct ebs *e, const char *id)
{
	bool any;

	pthread_mutex_lock(&e->fill.lock);
	do {
		any = false;
		list_each(l, &e->fill.puts)
			any |= !strcmp(list_entry(l, struct fill_put, link)->id, id);
		if (any)
			pthread_cond_wait(&e->fill.ended, &e->fill.lock);
	} while (any);
	pthread_mutex_unlock(&e->fill.lock);
}

char *fill_path(const struct ebs *e, const char *id)
{
	const char *slash = strrchr(e->conf.catalogue, '/');
	char *path = NULL;

	if (asprintf(&path, "%.*sfilling/%s", slash ? (int)(slash + 1 - e->conf.catalogue) : 0, e->conf.catalogue,
		     id) < 0)
		return NULL;
	return path;
}

bool fill_is_volume(const char *name, char snapshot[EBS_ID_MAX])
{
	size_t n = strlen(FILL_PREFIX);

	if (strncmp(name, FILL_PREFIX, n) != 0)
		return false;
	text_fmt(snapshot, EBS_ID_MAX, "snap-%s", name + n);
	return ebs_is_id(snapshot, "snap-");
}

/* ---------------------------------------------------------------- start */

static int room_for_one(struct store_tx *tx, struct ebs_call *c)
{
	const char *values[] = {"9000000000000000000"};
	struct store_filter f = {.column = "fill_until_ms", .values = values, .nvalues = 1, .how = FILTER_BELOW};
	struct store_query q = {.table = T_SNAPSHOT, .filters = &f, .nfilters = 1};
	struct err err = ERR_INIT;
	int64_t n = store_count(tx, &q, &err);

	if (n < 0)
		return ebs_fail_err(c, &err);
	if (n >= FILLS_MAX)
		return ebs_fail(c, EBS_PENDING_LIMIT, -EDQUOT, "%d snapshots are being filled already", FILLS_MAX);
	return quota_check(tx, c, "snapshots", 1);
}

static int from_parent(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_snapshot, arg_text(c, "parent"));
	json_int_t size = number_of(row, "size_bytes");
	int rc = row ? 0 : -ENOENT;

	if (!rc && strcmp(text_of(row, "state"), "completed"))
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Snapshot '%s' is in the '%s' state.", text_of(row, "id"),
			      text_of(row, "state"));
	if (!rc && number_of(doc, "size_bytes") < size)
		rc = ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "The size is less than the parent's, %lld bytes.",
			      (long long)size);
	if (!rc) {
		json_object_set(doc, "source", json_object_get(row, "pool_name"));
		json_object_set_new(doc, "source_bytes", json_integer(size));
		json_object_set(doc, "pool", json_object_get(row, "pool"));
	}
	json_decref(row);
	return rc;
}

static int start_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	const char *id = text_of(doc, "snapshot");
	struct err err = ERR_INIT;
	json_t *change;
	int rc = room_for_one(tx, c);

	if (!rc && arg_given(c, "parent"))
		rc = from_parent(tx, c, doc);
	rc = rc ? rc : snapshot_enter(tx, c, doc, id, doc, NULL);
	if (rc)
		return rc;
	change = json_pack("{s:O, s:I}", "pool_name", json_object_get(doc, "id"), "fill_until_ms",
			   (json_int_t)(ebs_now_ms(c->ebs) + arg_number(c, "timeout_minutes", 60) * MINUTE_MS));
	rc = store_update(tx, T_SNAPSHOT, id, change, &err);
	json_decref(change);
	return rc ? ebs_fail_err(c, &err) : 0;
}

void run_snapshot_start(struct ebs_call *c)
{
	char id[EBS_ID_MAX], volume[EBS_ID_MAX];
	char *parent = arg_given(c, "parent") ? find_id(c, &kind_snapshot, arg_text(c, "parent")) : NULL;
	const char *locks[] = {id, parent};
	struct change ch = {.saga = "snapshot-start",
			    .resource = id,
			    .locks = locks,
			    .nlocks = parent ? 2 : 1,
			    .begin = start_begin,
			    .kind = &kind_snapshot,
			    .show = snapshot_shown};
	json_int_t size = (json_int_t)arg_number(c, "size_bytes", 0);
	json_t *pool = NULL;

	if (arg_given(c, "parent") && !parent)
		return;
	if (size % 512)
		ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"size_bytes\": expected a multiple of 512");
	else
		pool = parent ? json_string("") : pool_of(c);
	if (pool) {
		ebs_new_id(id, "snap-");
		text_fmt(volume, sizeof(volume), FILL_PREFIX "%s", id + strlen("snap-"));
		ch.doc = json_pack("{s:s, s:s, s:I, s:o}", "snapshot", id, "id", volume, "size_bytes", size, "pool",
				   pool);
		change_run(c, &ch);
	}
	free(parent);
}

static int drop_volume(struct saga *s, struct err *err)
{
	return pool_drop(s->ctx, text_of(s->doc, "pool"), text_of(s->doc, "id"), err);
}

static int drop_all(struct saga *s, struct err *err)
{
	char *path = fill_path(s->ctx, text_of(s->doc, "snapshot"));
	int rc = path ? ledger_remove(path, err) : err_set(err, -ENOMEM, "out of memory");

	free(path);
	return rc ? rc : drop_volume(s, err);
}

static int drop_row(struct store_tx *tx, struct saga *s, struct err *err)
{
	const char *id = text_of(s->doc, "snapshot");
	int rc = tags_drop(tx, id, err);

	rc = rc ? rc : store_delete(tx, T_SNAPSHOT, id, err);
	if (rc != -ENOENT)
		return rc;
	*err = ERR_INIT;
	return 0;
}

const struct saga_step snapshot_start_steps[] = {
	{"pool", volume_make, NULL, drop_volume, drop_row},
};

/* ---------------------------------------------------------------- complete */

struct summing {
	gnutls_hash_hd_t all;
	uint64_t n;
};

static int sum_one(void *ctx, uint64_t index, const uint8_t digest[LEDGER_DIGEST], struct err *err)
{
	struct summing *s = ctx;

	(void)index;
	s->n++;
	return gnutls_hash(s->all, digest, LEDGER_DIGEST) ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* What the client says of all: how many blocks, and the SHA-256 of their checksums in order. */
static int compare_sum(struct ebs *e, const json_t *doc, struct err *err)
{
	const char *said = text_of(doc, "checksum");
	char *path = fill_path(e, text_of(doc, "snapshot"));
	struct summing s = {0};
	uint8_t digest[32];
	char hex[65];
	int rc;

	if (!path || gnutls_hash_init(&s.all, GNUTLS_DIG_SHA256)) {
		free(path);
		return err_set(err, -ENOMEM, "out of memory");
	}
	rc = ledger_each(path, sum_one, &s, err);
	gnutls_hash_deinit(s.all, digest);
	free(path);
	for (unsigned i = 0; i < sizeof(digest); i++)
		text_fmt(hex + 2 * i, 3, "%02x", digest[i]);
	if (!rc && s.n != (uint64_t)number_of(doc, "changed_blocks"))
		rc = err_set(err, -EINVAL, "%llu blocks were put, not %lld", (unsigned long long)s.n,
			     (long long)number_of(doc, "changed_blocks"));
	if (!rc && said && strcmp(said, hex) != 0)
		rc = err_set(err, -EINVAL, "the checksum of all blocks that were put is another one");
	return rc;
}

static int complete_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_snapshot, text_of(doc, "snapshot"));
	int rc = row ? 0 : -ENOENT;

	if (!rc && (strcmp(text_of(row, "state"), "pending") != 0 || !number_of(row, "fill_until_ms")))
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Snapshot '%s' is in the '%s' state.", text_of(row, "id"),
			      text_of(row, "state"));
	if (!rc) {
		json_object_set(doc, "pool", json_object_get(row, "pool"));
		json_object_set(doc, "id", json_object_get(row, "pool_name"));
		json_object_set(doc, "size_bytes", json_object_get(row, "size_bytes"));
	}
	json_decref(row);
	return rc;
}

void run_snapshot_complete(struct ebs_call *c)
{
	char *id = find_id(c, &kind_snapshot, arg_text(c, "snapshot"));
	const char *locks[] = {id};
	struct change ch = {.saga = "snapshot-complete",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 1,
			    .begin = complete_begin,
			    .kind = &kind_snapshot,
			    .show = snapshot_shown};

	if (!id)
		return;
	ch.doc = json_pack("{s:s, s:I, s:O*}", "snapshot", id, "changed_blocks",
			   (json_int_t)arg_number(c, "changed_blocks", 0), "checksum", arg_json(c, "checksum"));
	change_run(c, &ch);
	free(id);
}

struct checking {
	struct saga *s;
	struct disk *disk;
	char *buf;
	uint64_t size, done;
};

static int check_one(void *ctx, uint64_t index, const uint8_t digest[LEDGER_DIGEST], struct err *err)
{
	struct checking *k = ctx;
	uint64_t at = index * BLOCK_BYTES, len = MIN(k->size - at, BLOCK_BYTES), all;
	uint8_t is[32];
	int rc = disk_read(k->disk, at, k->buf, len, err);

	memset(k->buf + len, 0, BLOCK_BYTES - len);
	if (!rc && gnutls_hash_fast(GNUTLS_DIG_SHA256, k->buf, BLOCK_BYTES, is))
		rc = err_set(err, -ENOMEM, "out of memory");
	if (!rc && memcmp(is, digest, sizeof(is)) != 0)
		rc = err_set(err, -EINVAL, "the block %llu is not what was put: put it again",
			     (unsigned long long)index);
	if (!rc && saga_stopping(k->s))
		rc = err_set(err, -EAGAIN, "hybridd is about to end");
	all = (uint64_t)MAX(number_of(k->s->doc, "changed_blocks"), (json_int_t)1);
	if (!rc)
		saga_progress(k->s, (unsigned)(++k->done * 100 / all));
	return rc;
}

/* The order matters: what is read after the flush, and is right, is durable. */
static int check_blocks(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	const char *id = text_of(s->doc, "id");
	struct checking k = {.s = s, .buf = malloc(BLOCK_BYTES), .size = (uint64_t)number_of(s->doc, "size_bytes")};
	char *path = fill_path(e, text_of(s->doc, "snapshot")), store[160];
	int rc = k.buf && path ? 0 : err_set(err, -ENOMEM, "out of memory");

	text_fmt(store, sizeof(store), "%s/%s", text_of(s->doc, "pool"), id);
	if (!rc) {
		rc = disk_get(e->disks, id, store, true, &k.disk, err);
		if (rc == -ENOENT) /* it is there: so its pool is not open (yet) */
			rc = err->code = -EAGAIN;
	}
	if (!rc) {
		rc = disk_flush(k.disk, err);
		rc = rc ? rc : ledger_each(path, check_one, &k, err);
		disk_put(k.disk, true);
	}
	free(path);
	free(k.buf);
	return rc;
}

/* As with images (import.c): some workers stay for others. */
static int check_in_turn(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	unsigned most = MAX(e->conf.workers / 4, 1u);
	int rc;

	if (!e->disks)
		return err_set(err, -ENOTSUP, "hybridd has no tgtd, by which blocks are read");
	if (atomic_fetch_add(&e->imports, 1) < most) {
		rc = check_blocks(s, err);
	} else {
		saga_progress(s, 0);
		rc = err_set(err, -EAGAIN, "%u others are reading much: it waits for its turn", most);
	}
	atomic_fetch_sub(&e->imports, 1);
	return rc;
}

static int complete_check(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	int rc;

	wait_for_puts(e, text_of(s->doc, "snapshot"));
	rc = compare_sum(e, s->doc, err);
	if (!rc && number_of(s->doc, "changed_blocks"))
		rc = check_in_turn(s, err);
	return rc || !e->disks ? rc : disks_forget(e->disks, text_of(s->doc, "id"), err);
}

static int complete_freeze(struct saga *s, struct err *err)
{
	int rc = ask_pool(s, "snapshot-group",
			  json_pack("{s:[{s:O, s:O}]}", "members", "volume", json_object_get(s->doc, "id"), "snapshot",
				    json_object_get(s->doc, "snapshot")),
			  err);

	if (rc != -EEXIST)
		return rc;
	*err = ERR_INIT;
	return 0;
}

static int complete_settle(struct store_tx *tx, struct saga *s, struct err *err)
{
	const char *id = text_of(s->doc, "snapshot");
	json_t *change = json_pack("{s:s, s:i, s:s, s:n}", "state", "completed", "progress_pct", 100, "pool_name", id,
				   "fill_until_ms");
	int rc = store_update(tx, T_SNAPSHOT, id, change, err);

	json_decref(change);
	return rc;
}

static int complete_undo(struct saga *s, struct err *err)
{
	return pool_drop(s->ctx, text_of(s->doc, "pool"), text_of(s->doc, "snapshot"), err);
}

const struct saga_step snapshot_complete_steps[] = {
	{"check", complete_check, NULL, NULL, NULL},
	{"freeze", complete_freeze, complete_settle, complete_undo, NULL},
	{"drop", drop_all, NULL, NULL, NULL},
};

/* ---------------------------------------------------------------- given up */

/* That nobody writes comes first; it is what the pool would refuse for. */
static int cancel_disk(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;

	wait_for_puts(e, text_of(s->doc, "snapshot"));
	return e->disks ? disks_forget(e->disks, text_of(s->doc, "id"), err) : 0;
}

const struct saga_step snapshot_cancel_steps[] = {
	{"disk", cancel_disk, NULL, NULL, NULL},
	{"pool", drop_all, drop_row, NULL, NULL},
};

struct asking {
	const char *id;
	bool filling;
};

static int ask_filling(struct store_tx *tx, void *arg, struct err *err)
{
	struct asking *a = arg;
	json_t *row = store_get(tx, T_SNAPSHOT, a->id, err);

	a->filling = number_of(row, "fill_until_ms") != 0;
	json_decref(row);
	return err->code;
}

bool fill_cancel(struct ebs_call *c, const char *id)
{
	const char *locks[] = {id};
	struct change ch = {.saga = "snapshot-cancel",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 1,
			    .begin = complete_begin};
	struct asking a = {.id = id};
	struct err err = ERR_INIT;

	if (store_read(c->ebs->store, ask_filling, &a, &err) || !a.filling)
		return false;
	ch.doc = json_pack("{s:s}", "snapshot", id);
	change_run(c, &ch);
	return true;
}
