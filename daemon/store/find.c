/* SPDX-License-Identifier: GPL-2.0-only */
/* find.c - many rows: filtered, in order, page by page; counted and summed; what belongs to them. */
#include "store/inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ finding */
static void put_order(struct sql *q, const struct store_query *query)
{
	const struct table *t = q->table;
	const char *down = query->descending ? " DESC" : "";

	fprintf(q->f, " ORDER BY ");
	if (query->order)
		fprintf(q->f, "t.\"%s\"%s, ", query->order, down);
	for (unsigned i = 0; i < t->nkeys; i++)
		fprintf(q->f, "%st.\"%s\"%s", i ? ", " : "", t->columns[i].name, down);
	if (!query->limit)
		return;
	/* One more than asked for tells whether there is a next page. */
	fprintf(q->f, " LIMIT ");
	sql_value(q, json_integer((json_int_t)query->limit + 1));
}

static int check_order(const struct table *t, const struct store_query *query, struct err *err)
{
	const struct column *c = query->order ? column_find(t, query->order) : NULL;

	if (query->order && (!c || c->type == COL_JSON))
		return err_set(err, -EINVAL, "%s cannot be ordered by \"%s\"", t->name, query->order);
	return 0;
}

/* Appends the rows of a prepared statement; `limit` of them at most, 0: all. *ret_more: there was another. */
static int read_rows(struct conn *c, sqlite3_stmt *st, const struct table *t, unsigned limit, json_t *rows,
		     bool *ret_more, struct err *err)
{
	int rc;

	while ((rc = conn_step(c, st, err)) > 0) {
		json_t *row;

		*ret_more = limit && json_array_size(rows) == limit;
		if (*ret_more)
			return 0;
		row = row_read(c, st, t, err);
		if (!row)
			return err ? err->code : -EIO;
		if (json_array_append_new(rows, row))
			return err_set(err, -ENOMEM, "out of memory");
	}
	return rc;
}

json_t *store_find(struct store_tx *tx, const struct store_query *query, char **ret_cursor, struct err *err)
{
	const struct table *t = &store_tables[query->table];
	json_t *rows = json_array();
	sqlite3_stmt *st;
	bool more = false;
	struct sql q;
	int rc = check_order(t, query, err);

	if (ret_cursor)
		*ret_cursor = NULL;
	if (!rc)
		rc = sql_begin(&q, t, err);
	if (rc) {
		json_decref(rows);
		return NULL;
	}
	fprintf(q.f, "SELECT ");
	row_columns(q.f, t, "t");
	fprintf(q.f, " FROM \"%s\" AS t", t->name);
	rc = sql_filters(&q, query->filters, query->nfilters, err);
	if (!rc && query->after)
		rc = cursor_after(&q, query, err);
	if (!rc)
		put_order(&q, query);
	if (!rc)
		rc = sql_prepare(&q, tx->conn, &st, err);
	if (!rc) {
		rc = read_rows(tx->conn, st, t, query->limit, rows, &more, err);
		conn_done(st);
	}
	sql_end(&q);
	if (!rc && more && ret_cursor) {
		*ret_cursor = cursor_make(t, query, json_array_get(rows, json_array_size(rows) - 1));
		rc = *ret_cursor ? 0 : err_set(err, -ENOMEM, "out of memory");
	}
	if (!rc)
		return rows;
	json_decref(rows);
	return NULL;
}

/* ------------------------------------------------------------------ counting */
static int find_number(struct store_tx *tx, const struct store_query *query, const char *what, int64_t *ret,
		       struct err *err)
{
	const struct table *t = &store_tables[query->table];
	sqlite3_stmt *st;
	struct sql q;
	int rc = sql_begin(&q, t, err);

	if (rc)
		return rc;
	fprintf(q.f, "SELECT %s FROM \"%s\" AS t", what, t->name);
	rc = sql_filters(&q, query->filters, query->nfilters, err);
	if (!rc)
		rc = sql_prepare(&q, tx->conn, &st, err);
	if (!rc) {
		rc = conn_step(tx->conn, st, err);
		if (rc > 0)
			*ret = sqlite3_column_int64(st, 0);
		conn_done(st);
	}
	sql_end(&q);
	return rc < 0 ? rc : 0;
}

int64_t store_count(struct store_tx *tx, const struct store_query *query, struct err *err)
{
	int64_t n = 0;
	int rc = find_number(tx, query, "count(*)", &n, err);

	return rc ? rc : n;
}

int store_sum(struct store_tx *tx, const struct store_query *query, const char *column, int64_t *ret, struct err *err)
{
	const struct table *t = &store_tables[query->table];
	const struct column *c = column_find(t, column);
	char what[100];
	int rc;

	*ret = 0;
	if (!c || c->type != COL_INT)
		return err_set(err, -EINVAL, "%s.%s is no number", t->name, column);
	snprintf(what, sizeof(what), "coalesce(sum(t.\"%s\"), 0)", c->name);
	rc = find_number(tx, query, what, ret, err);
	if (rc && (sqlite3_errcode(tx->conn->db) & 0xff) == SQLITE_ERROR)
		return err_set(err, -EOVERFLOW, "the sum of %s.%s has no room in 64 bits", t->name, column);
	return rc;
}

/* ------------------------------------------------------------------ what belongs to them */
/* The ids of rows as the text of a JSON array; new reference. */
static json_t *ids_of(const json_t *rows)
{
	json_t *ids = json_array(), *made, *row;
	char number[24], *text;
	size_t i;

	json_array_foreach(rows, i, row) {
		const char *id = row_id(row, number);

		if (id)
			json_array_append_new(ids, json_string(id));
	}
	text = json_dumps(ids, JSON_COMPACT);
	made = text ? json_string_nocheck(text) : NULL;
	free(text);
	json_decref(ids);
	return made;
}

/* All rows of `t` whose `column` names one of these. */
static json_t *related(struct store_tx *tx, const struct table *t, const char *column, const json_t *ids,
		       struct err *err)
{
	json_t *found = json_array();
	sqlite3_stmt *st;
	bool more;
	struct sql q;
	int rc = sql_begin(&q, t, err);

	if (!rc) {
		fprintf(q.f, "SELECT ");
		row_columns(q.f, t, "t");
		fprintf(q.f, " FROM \"%s\" AS t WHERE t.\"%s\" IN (SELECT value FROM json_each(", t->name, column);
		sql_value(&q, json_incref((json_t *)ids));
		fprintf(q.f, ")) ORDER BY t.\"%s\"", t->columns[0].name);
		for (unsigned i = 1; i < t->nkeys; i++)
			fprintf(q.f, ", t.\"%s\"", t->columns[i].name);
		rc = sql_prepare(&q, tx->conn, &st, err);
		if (!rc) {
			rc = read_rows(tx->conn, st, t, 0, found, &more, err);
			conn_done(st);
		}
		sql_end(&q);
	}
	if (!rc)
		return found;
	json_decref(found);
	return NULL;
}

json_t *store_tags(struct store_tx *tx, const json_t *rows, struct err *err)
{
	json_t *ids = ids_of(rows), *tags = NULL, *made = json_object(), *tag;
	size_t i;

	if (ids && made)
		tags = related(tx, &store_tables[T_TAG], "resource_id", ids, err);
	else
		err_set(err, -ENOMEM, "out of memory");
	json_array_foreach(tags, i, tag) {
		const char *id = json_string_value(json_object_get(tag, "resource_id"));
		json_t *value = json_object_get(tag, "value"), *of = json_object_get(made, id);

		if (!of) {
			of = json_object();
			json_object_set_new(made, id, of);
		}
		json_object_set_new(of, json_string_value(json_object_get(tag, "key")),
				    value ? json_incref(value) : json_string(""));
	}
	json_decref(ids);
	if (!tags) {
		json_decref(made);
		return NULL;
	}
	json_decref(tags);
	return made;
}

json_t *store_belonging(struct store_tx *tx, enum store_table table, const json_t *rows, struct err *err)
{
	const struct table *t = &store_tables[table];
	json_t *ids = ids_of(rows), *made = json_object(), *row;
	bool failed = !ids || !made;
	size_t i;

	if (failed)
		err_set(err, -ENOMEM, "out of memory");
	/* Ids say by their beginning what they are of: a row is found by the one relation that is meant. */
	for (const struct relation *r = t->relations; !failed && r->column; r++) {
		json_t *found = related(tx, t, r->column, ids, err);

		failed = !found;
		json_array_foreach(found, i, row) {
			const char *id = json_string_value(json_object_get(row, r->column));
			json_t *of = json_object_get(made, id);

			if (!of) {
				of = json_array();
				json_object_set_new(made, id, of);
			}
			json_array_append(of, row);
		}
		json_decref(found);
	}
	json_decref(ids);
	if (!failed)
		return made;
	json_decref(made);
	return NULL;
}
