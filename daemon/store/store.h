/* SPDX-License-Identifier: GPL-2.0-only */
/* store.h - the catalogue: tables of JSON rows in one SQLite file. Thread-safe.
 *
 * Rows are JSON objects whose members are the table's columns (schema.h lists them); absent members are NULL. Every
 * table has the column "id" (text) as its key, but for "tag", "lock" and "token" (schema.h).
 *
 * Invariants
 * (1) One thread writes. What store_write() returned 0 for is durable (WAL, synchronous=FULL), and visible to every
 *     store_read() that begins later.
 * (2) A write function sees what earlier ones in its transaction did. If it fails, what it did is rolled back, and only
 *     that.
 * (3) A read function sees one state of the catalogue throughout, and never waits for the writer.
 * (4) A file of a newer program is refused by the name of what it has; an older one is brought forward in one
 *     transaction, after a copy of it was kept beside it.
 */
#ifndef HB_STORE_H
#define HB_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/schema.h"

struct store;
struct store_tx; /* a transaction; only inside the function that got it */

/* Opens or makes the file (mode 0600), and beside it PATH.lock. -EBUSY: another process has it; -ENOTSUP: it is of a
 * newer program; -EBADMSG: it is damaged (files of up to 64 MiB are read as a whole), or not a catalogue, and left
 * as it is. Errors name the file. */
int store_open(const char *path, struct store **ret, struct err *err);
/* Waits for the writes under way. NULL is fine. */
void store_close(struct store *s);
/* Reads the whole file: -EBADMSG if it is damaged. A reading transaction; takes a second for some 100 MB. */
int store_check(struct store *s, struct err *err);

typedef int store_fn(struct store_tx *tx, void *arg, struct err *err); /* 0 or a -errno */

/* Runs fn on the writing thread, together with others' in one transaction. fn must not block, nor call store_write()
 * or store_read() (asserted). Returns fn's error, or the commit's (-EIO, -ENOSPC); then nothing of it is there. One
 * case is out of our hands: if the disk failed to flush (-EIO), and power fails before any later commit, what was to
 * be committed may be found there; so whoever acts on such an error outside commits that he does so first (saga.c). */
int store_write(struct store *s, store_fn *fn, void *arg, struct err *err);
/* Runs fn on this thread, in a transaction that cannot write (-EROFS). Eight at a time; more wait for one of them. */
int store_read(struct store *s, store_fn *fn, void *arg, struct err *err);

/* ---------------------------------------------------------------- rows */

/* New reference, or NULL: not there (err->code is 0) or an error (err->code < 0). Key columns: see schema.h; `id` is
 * the key's columns joined with a newline where there are several, and a decimal number where they are counted.
 * Columns that are NULL have no member. */
json_t *store_get(struct store_tx *tx, enum store_table t, const char *id, struct err *err);
/* -EEXIST: the key is taken, or a UNIQUE column. Unknown members, other types: -EINVAL. A counted id that is not
 * given is drawn: one more than any that ever was. */
int store_insert(struct store_tx *tx, enum store_table t, const json_t *row, struct err *err);
/* The counted id of the row that this transaction's function inserted last; 0 if that has none. */
int64_t store_new_id(const struct store_tx *tx);
/* Sets the members of `changes` (JSON null: to NULL). -ENOENT; a member of the key: -EINVAL. */
int store_update(struct store_tx *tx, enum store_table t, const char *id, const json_t *changes, struct err *err);
/* -ENOENT. */
int store_delete(struct store_tx *tx, enum store_table t, const char *id, struct err *err);

/* The id of a row as store_get() and the others take it, malloc'd; NULL: it lacks a column of its key, or no memory. */
char *store_key(enum store_table t, const json_t *row);

/* One condition; values are ORed, conditions ANDed. */
struct store_filter {
	/* A column; "tag:KEY" (the tag's value), "tag-key", or "TABLE.COLUMN" of rows that belong to this one (schema.h
	 * says how tables belong together, e.g. "attachment.device" of a volume). */
	const char *column;
	/* With glob: '*' means any characters, '?' any one; '\' takes the meaning of the next away. A bool is "true" or
	 * "false", a number decimal. At most 200 in all filters of a query together, but for equal: any number. None:
	 * nothing is found. */
	const char *const *values;
	unsigned nvalues;
	enum { FILTER_EQUAL, FILTER_GLOB, FILTER_BELOW, FILTER_ABOVE } how; /* number columns for the last two */
	bool negate; /* what is NULL fulfils this */
};

struct store_query {
	enum store_table table;
	const struct store_filter *filters;
	unsigned nfilters; /* at most 64 */
	const char *order; /* a column, or NULL: the key; ties are broken by the key */
	bool descending;
	const char *after; /* the cursor of an earlier answer, or NULL */
	unsigned limit; /* rows; 0: all */
};

/* New array of rows, or NULL with err; -EINVAL: a column that is not there, a value that is none of its column's.
 * *ret_cursor (malloc'd; NULL: that was all), for the next page, or ret_cursor is
 * NULL. Rows that come or go between pages are seen or not; no other row is left out or seen twice. A cursor that is
 * not ours: -EINVAL. */
json_t *store_find(struct store_tx *tx, const struct store_query *q, char **ret_cursor, struct err *err);
/* How many, limit and after disregarded; or a -errno. */
int64_t store_count(struct store_tx *tx, const struct store_query *q, struct err *err);
/* The sum of a number column over the rows found. -EOVERFLOW. */
int store_sum(struct store_tx *tx, const struct store_query *q, const char *column, int64_t *ret, struct err *err);

/* ---------------------------------------------------------------- tags of many rows at once */

/* {"vol-1": {"Name": "a"}, ...} for these rows' ids; new reference. */
json_t *store_tags(struct store_tx *tx, const json_t *rows, struct err *err);
/* {"vol-1": [row, ...], ...}: rows of `t` that belong to these (by whichever column names them), by their keys; new
 * reference. Who has none has no member. */
json_t *store_belonging(struct store_tx *tx, enum store_table t, const json_t *rows, struct err *err);

#endif
