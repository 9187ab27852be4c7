/* SPDX-License-Identifier: GPL-2.0-only */
/* conn.c - one connection to the file: how it is set up, its prepared statements, what its errors mean. */
#include "store/inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define BUSY_MS 10000
#define CACHE_KIB "16384" /* at most, of each connection: 10,000 volumes with tags are 6 MB */
#define WAL_KEPT_BYTES "67108864" /* what a burst made longer is cut to this at the next turn of the log */

/* ------------------------------------------------------------------ errors */
static int code_of_io(struct conn *c, int otherwise)
{
	int e = c->db ? sqlite3_system_errno(c->db) : 0;

	if (e == ENOSPC || e == EDQUOT || e == EFBIG)
		return -ENOSPC;
	return e == EACCES || e == EROFS || e == EPERM ? -e : otherwise;
}

static int code_of(struct conn *c, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_IOERR:
		return rc == SQLITE_IOERR_NOMEM ? -ENOMEM : code_of_io(c, -EIO);
	case SQLITE_CANTOPEN:
		return code_of_io(c, -EACCES);
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_CONSTRAINT:
		return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ? -EEXIST : -EINVAL;
	case SQLITE_TOOBIG:
		return -E2BIG;
	}
	return -EIO;
}

int conn_error(struct conn *c, int rc, struct err *err)
{
	if (c->db && sqlite3_extended_errcode(c->db) == rc)
		return err_set(err, code_of(c, rc), "catalogue %s: %s", c->path, sqlite3_errmsg(c->db));
	return err_set(err, code_of(c, rc), "catalogue %s: %s", c->path, sqlite3_errstr(rc));
}

/* ------------------------------------------------------------------ statements */
void conn_done(sqlite3_stmt *st)
{
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

static uint64_t hash_text(const char *s)
{
	uint64_t h = 0;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
	return hash64(h);
}

static struct statement *place_for(struct conn *c)
{
	struct statement *oldest = &c->statements[0];

	if (c->nstatements < CONN_STATEMENTS)
		return &c->statements[c->nstatements++];
	for (unsigned i = 1; i < CONN_STATEMENTS; i++)
		if (c->statements[i].used < oldest->used)
			oldest = &c->statements[i];
	sqlite3_finalize(oldest->stmt);
	free(oldest->sql);
	return oldest;
}

int conn_prepare(struct conn *c, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	uint64_t hash = hash_text(sql);
	sqlite3_stmt *st;
	char *copy;
	int rc;

	for (unsigned i = 0; i < c->nstatements; i++) {
		struct statement *s = &c->statements[i];

		if (s->hash == hash && !strcmp(s->sql, sql)) {
			s->used = ++c->uses;
			*ret = s->stmt;
			return 0;
		}
	}
	rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);
	if (rc)
		return conn_error(c, rc, err);
	copy = strdup(sql);
	if (!copy) {
		sqlite3_finalize(st);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*place_for(c) = (struct statement){ .sql = copy, .hash = hash, .used = ++c->uses, .stmt = st };
	*ret = st;
	return 0;
}

int conn_step(struct conn *c, sqlite3_stmt *st, struct err *err)
{
	int rc = sqlite3_step(st);

	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : conn_error(c, rc, err);
}

int conn_exec(struct conn *c, const char *sql, struct err *err)
{
	sqlite3_stmt *st;
	int rc = conn_prepare(c, sql, &st, err);

	if (rc)
		return rc;
	while ((rc = conn_step(c, st, err)) > 0)
		;
	conn_done(st);
	return rc;
}

int conn_number(struct conn *c, const char *sql, int64_t *ret, struct err *err)
{
	sqlite3_stmt *st;
	int rc = conn_prepare(c, sql, &st, err);

	if (rc)
		return rc;
	rc = conn_step(c, st, err);
	if (rc > 0)
		*ret = sqlite3_column_int64(st, 0);
	conn_done(st);
	return rc > 0 ? 0 : rc < 0 ? rc : err_set(err, -EIO, "catalogue %s: no answer to %s", c->path, sql);
}

int conn_bind(struct conn *c, sqlite3_stmt *st, unsigned at, const json_t *value, struct err *err)
{
	int rc;

	if (json_is_string(value))
		rc = sqlite3_bind_text64(st, (int)at, json_string_value(value), json_string_length(value),
					 SQLITE_TRANSIENT, SQLITE_UTF8);
	else if (json_is_integer(value))
		rc = sqlite3_bind_int64(st, (int)at, json_integer_value(value));
	else if (json_is_boolean(value))
		rc = sqlite3_bind_int(st, (int)at, json_is_true(value));
	else
		rc = sqlite3_bind_null(st, (int)at);
	return rc ? conn_error(c, rc, err) : 0;
}

/* ------------------------------------------------------------------ open, close */
static int set_up(struct conn *c, bool write, struct err *err)
{
	int rc;

	sqlite3_extended_result_codes(c->db, 1);
	sqlite3_busy_timeout(c->db, BUSY_MS);
	/* A misspelt column is an error, not a text; and what somebody put into the file's schema runs nothing. */
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	rc = conn_exec(c, "PRAGMA cell_size_check=ON", err);
	if (!rc)
		rc = conn_exec(c, "PRAGMA cache_size=-" CACHE_KIB, err);
	if (!rc) /* sorting needs no disk that may be full */
		rc = conn_exec(c, "PRAGMA temp_store=MEMORY", err);
	if (!rc && write)
		rc = format_check(c, err);
	/* Only now is the file changed: it is ours, or new. */
	if (!rc && write)
		rc = conn_exec(c, "PRAGMA journal_mode=WAL", err);
	if (!rc && write)
		rc = conn_exec(c, "PRAGMA synchronous=FULL", err);
	if (!rc && write)
		rc = conn_exec(c, "PRAGMA journal_size_limit=" WAL_KEPT_BYTES, err);
	if (!rc && !write)
		rc = conn_exec(c, "PRAGMA query_only=ON", err);
	return rc;
}

int conn_open(struct conn *c, const char *path, bool write, struct err *err)
{
	int rc;

	*c = (struct conn){ .path = path };
	/* Readers must be able to write, too: they share the index of the log (PATH-shm). */
	rc = sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	rc = rc ? conn_error(c, rc, err) : set_up(c, write, err);
	if (rc)
		conn_close(c);
	return rc;
}

void conn_close(struct conn *c)
{
	for (unsigned i = 0; i < c->nstatements; i++) {
		sqlite3_finalize(c->statements[i].stmt);
		free(c->statements[i].sql);
	}
	sqlite3_close(c->db);
	*c = (struct conn){ .path = c->path };
}
