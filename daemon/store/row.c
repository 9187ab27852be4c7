/* SPDX-License-Identifier: GPL-2.0-only */
/* row.c - single rows: JSON objects into columns and back. */
#include "store/inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ reading */
void row_columns(FILE *f, const struct table *t, const char *alias)
{
	for (unsigned i = 0; i < t->ncolumns; i++)
		fprintf(f, "%s%s.\"%s\"", i ? ", " : "", alias, t->columns[i].name);
}

static json_t *read_value(sqlite3_stmt *st, int at, enum column_type type)
{
	const char *text;
	int len;

	if (type == COL_INT)
		return json_integer(sqlite3_column_int64(st, at));
	if (type == COL_BOOL)
		return json_boolean(sqlite3_column_int64(st, at));
	text = (const char *)sqlite3_column_text(st, at);
	len = sqlite3_column_bytes(st, at);
	if (!text)
		return NULL;
	return type == COL_TEXT ? json_stringn(text, (size_t)len)
				: json_loadb(text, (size_t)len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

json_t *row_read(struct conn *c, sqlite3_stmt *st, const struct table *t, struct err *err)
{
	json_t *row = json_object();

	for (unsigned i = 0; row && i < t->ncolumns; i++) {
		const struct column *col = &t->columns[i];
		json_t *value;

		if (sqlite3_column_type(st, (int)i) == SQLITE_NULL)
			continue;
		value = read_value(st, (int)i, col->type);
		if (!value) {
			json_decref(row);
			err_set(err, -EBADMSG, "catalogue %s: damaged: what is in a row's %s.%s is not %s", c->path,
				t->name, col->name, col->type == COL_JSON ? "JSON" : "UTF-8");
			return NULL;
		}
		if (json_object_set_new_nocheck(row, col->name, value)) {
			json_decref(row);
			row = NULL;
		}
	}
	if (!row)
		err_set(err, -ENOMEM, "out of memory");
	return row;
}

const char *row_id(const json_t *row, char ret_number[24])
{
	const json_t *id = json_object_get(row, "id");

	if (!json_is_integer(id))
		return json_string_value(id);
	snprintf(ret_number, 24, "%" JSON_INTEGER_FORMAT, json_integer_value(id));
	return ret_number;
}

/* ------------------------------------------------------------------ keys */
char *store_key(enum store_table table, const json_t *row)
{
	const struct table *t = &store_tables[table];
	char *key = NULL, number[24];
	size_t len;
	FILE *f;

	if (t->counted)
		return json_is_integer(json_object_get(row, "id")) ? strdup(row_id(row, number)) : NULL;
	f = open_memstream(&key, &len);
	if (!f)
		return NULL;
	for (unsigned i = 0; i < t->nkeys; i++) {
		const char *part = json_string_value(json_object_get(row, t->columns[i].name));

		if (!part) {
			fclose(f);
			free(key);
			return NULL;
		}
		fprintf(f, "%s%s", i ? "\n" : "", part);
	}
	if (!fclose(f))
		return key;
	free(key);
	return NULL;
}

/* The parts of `id` as values of the key's columns. NULL: it can be nobody's id, or there is no memory. */
static json_t *key_values(const struct table *t, const char *id)
{
	json_t *parts;
	char *end;
	long long number;

	if (t->counted) {
		errno = 0;
		number = strtoll(id, &end, 10);
		if (*id < '1' || *id > '9' || *end || errno)
			return NULL;
		return json_pack("[I]", (json_int_t)number);
	}
	parts = json_array();
	/* The last one may have newlines of its own: keys of tags are the user's. */
	for (unsigned i = 0; i < t->nkeys; i++) {
		size_t len = i + 1 < t->nkeys ? strcspn(id, "\n") : strlen(id);

		if (json_array_append_new(parts, json_stringn(id, len)) || (i + 1 < t->nkeys && !id[len])) {
			json_decref(parts);
			return NULL;
		}
		id += len + 1;
	}
	return parts;
}

/* Adds the condition that a row has this id. */
static int where_key(struct sql *q, const char *id)
{
	json_t *parts = key_values(q->table, id);

	if (!parts)
		return -ENOENT;
	for (unsigned i = 0; i < q->table->nkeys; i++) {
		fprintf(q->f, "%s\"%s\" = ", i ? " AND " : " WHERE ", q->table->columns[i].name);
		sql_value(q, json_incref(json_array_get(parts, i)));
	}
	json_decref(parts);
	return 0;
}

static int absent(const struct table *t, const char *id, struct err *err)
{
	return err_set(err, -ENOENT, "%s %s is not there", t->name, id);
}

json_t *store_get(struct store_tx *tx, enum store_table table, const char *id, struct err *err)
{
	const struct table *t = &store_tables[table];
	json_t *row = NULL;
	sqlite3_stmt *st;
	struct sql q;

	/* What an earlier call left in err must not make "not there" an error. */
	if (err)
		*err = ERR_INIT;
	if (sql_begin(&q, t, err))
		return NULL;
	fprintf(q.f, "SELECT ");
	row_columns(q.f, t, "t");
	fprintf(q.f, " FROM \"%s\" AS t", t->name);
	if (!where_key(&q, id) && !sql_prepare(&q, tx->conn, &st, err)) {
		if (conn_step(tx->conn, st, err) > 0)
			row = row_read(tx->conn, st, t, err);
		conn_done(st);
	}
	sql_end(&q);
	return row;
}

/* ------------------------------------------------------------------ writing */
static int may_write(struct store_tx *tx, struct err *err)
{
	return tx->write ? 0 : err_set(err, -EROFS, "a reading transaction cannot write");
}

static int check_row(const struct table *t, const json_t *row, struct err *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(row))
		return err_set(err, -EINVAL, "%s: a row must be an object", t->name);
	json_object_foreach((json_t *)row, name, value) {
		const struct column *col = column_find(t, name);
		int rc = col ? column_check(t, col, value, err)
			     : err_set(err, -EINVAL, "%s has no column %s", t->name, name);

		if (rc)
			return rc;
	}
	return 0;
}

/* What is bound for a value: JSON columns hold its text. */
static json_t *stored(const struct column *col, const json_t *value)
{
	char *text;
	json_t *made;

	if (!value || json_is_null(value))
		return json_null();
	if (col->type != COL_JSON)
		return json_incref((json_t *)value);
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	made = text ? json_string_nocheck(text) : NULL;
	free(text);
	return made;
}

/* Runs a statement that changes rows; 0: one row was. */
static int change(struct store_tx *tx, struct sql *q, const char *id, struct err *err)
{
	const struct table *t = q->table;
	sqlite3_stmt *st;
	int rc = sql_prepare(q, tx->conn, &st, err);

	if (rc)
		return rc;
	rc = conn_step(tx->conn, st, err);
	if (rc == -EEXIST) {
		/* "UNIQUE constraint failed: volume.pool, volume.pool_name" */
		const char *columns = strrchr(sqlite3_errmsg(tx->conn->db), ':');

		err_set(err, rc, "%s: there is another with the same%s", t->name, columns ? columns + 1 : "");
	} else if (!rc && !sqlite3_changes(tx->conn->db)) {
		rc = absent(t, id, err);
	}
	conn_done(st);
	return rc;
}

int store_insert(struct store_tx *tx, enum store_table table, const json_t *row, struct err *err)
{
	const struct table *t = &store_tables[table];
	struct sql q;
	int rc = may_write(tx, err);

	if (!rc)
		rc = check_row(t, row, err);
	for (unsigned i = 0; !rc && i < t->nkeys && !t->counted; i++)
		if (!json_object_get(row, t->columns[i].name) || json_is_null(json_object_get(row, t->columns[i].name)))
			rc = err_set(err, -EINVAL, "%s.%s: a row must have it", t->name, t->columns[i].name);
	if (!rc && t->counted && json_is_integer(json_object_get(row, "id")) &&
	    json_integer_value(json_object_get(row, "id")) <= 0)
		rc = err_set(err, -EINVAL, "%s.id: expected a positive number", t->name);
	if (!rc)
		rc = sql_begin(&q, t, err);
	if (rc)
		return rc;
	/* Always all columns: one statement for each table. */
	fprintf(q.f, "INSERT INTO \"%s\" VALUES (", t->name);
	for (unsigned i = 0; i < t->ncolumns; i++) {
		fputs(i ? ", " : "", q.f);
		sql_value(&q, stored(&t->columns[i], json_object_get(row, t->columns[i].name)));
	}
	fprintf(q.f, ")");
	rc = change(tx, &q, "", err);
	if (!rc)
		tx->last_id = t->counted ? sqlite3_last_insert_rowid(tx->conn->db) : 0;
	sql_end(&q);
	return rc;
}

int64_t store_new_id(const struct store_tx *tx)
{
	return tx->last_id;
}

int store_update(struct store_tx *tx, enum store_table table, const char *id, const json_t *changes, struct err *err)
{
	const struct table *t = &store_tables[table];
	struct sql q;
	bool some = false;
	int rc = may_write(tx, err);

	if (!rc)
		rc = check_row(t, changes, err);
	for (unsigned i = 0; !rc && i < t->nkeys; i++)
		if (json_object_get(changes, t->columns[i].name))
			rc = err_set(err, -EINVAL, "%s.%s: a key cannot be changed", t->name, t->columns[i].name);
	if (!rc)
		rc = sql_begin(&q, t, err);
	if (rc)
		return rc;
	fprintf(q.f, "UPDATE \"%s\" SET ", t->name);
	for (unsigned i = t->nkeys; i < t->ncolumns; i++) {
		const json_t *value = json_object_get(changes, t->columns[i].name);

		if (!value)
			continue;
		fprintf(q.f, "%s\"%s\" = ", some ? ", " : "", t->columns[i].name);
		sql_value(&q, stored(&t->columns[i], value));
		some = true;
	}
	if (!some) /* nothing to set, but -ENOENT is still an answer */
		fprintf(q.f, "\"%s\" = \"%s\"", t->columns[t->ncolumns - 1].name, t->columns[t->ncolumns - 1].name);
	rc = where_key(&q, id) ? absent(t, id, err) : change(tx, &q, id, err);
	sql_end(&q);
	return rc;
}

int store_delete(struct store_tx *tx, enum store_table table, const char *id, struct err *err)
{
	const struct table *t = &store_tables[table];
	struct sql q;
	int rc = may_write(tx, err);

	if (!rc)
		rc = sql_begin(&q, t, err);
	if (rc)
		return rc;
	fprintf(q.f, "DELETE FROM \"%s\"", t->name);
	rc = where_key(&q, id) ? absent(t, id, err) : change(tx, &q, id, err);
	sql_end(&q);
	return rc;
}
