/* SPDX-License-Identifier: GPL-2.0-only */
/* inside.h - what the files of this room share: tables as data, connections, transactions, SQL with bound values. */
#ifndef HB_STORE_INSIDE_H
#define HB_STORE_INSIDE_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "store/store.h"

/* ---------------------------------------------------------------- tables.c: the schema as data */

enum column_type { COL_TEXT, COL_INT, COL_BOOL, COL_JSON };

struct column {
	const char *name;
	enum column_type type;
};

/* Rows belong to those of `parent` (STORE_TABLES: of any table) whose id is in this column. */
struct relation {
	const char *column;
	enum store_table parent;
};

struct table {
	const char *name;
	const struct column *columns; /* the key's first */
	unsigned ncolumns, nkeys;
	bool counted; /* the key is a number that the store draws, never the same twice */
	const char *const *unique; /* lists of columns, as SQL wants them; end with NULL */
	const char *const *indexes; /* the same */
	const struct relation *relations; /* end with a NULL column */
};

extern const struct table store_tables[STORE_TABLES];

/* NULL: there is none of that name. */
const struct table *table_find(const char *name, size_t len);
const struct column *column_find(const struct table *t, const char *name);
/* -EINVAL unless the value (or JSON null, or NULL) is of the column's type. */
int column_check(const struct table *t, const struct column *c, const json_t *value, struct err *err);

/* ---------------------------------------------------------------- conn.c: one connection, its statements */

#define CONN_STATEMENTS 128

struct conn {
	sqlite3 *db;
	const char *path; /* borrowed, for error texts */
	uint64_t uses; /* counts prepares: the statement not used for longest makes room */
	struct statement {
		char *sql;
		uint64_t hash, used;
		sqlite3_stmt *stmt;
	} statements[CONN_STATEMENTS];
	unsigned nstatements;
};

/* The file must be there. Leaves nothing open when it fails. */
int conn_open(struct conn *c, const char *path, bool write, struct err *err);
void conn_close(struct conn *c);
/* A -errno and a sentence for what the last call on this connection said. */
int conn_error(struct conn *c, int rc, struct err *err);
/* From the cache, or new. To be given back with conn_done() before the same text is prepared again. */
int conn_prepare(struct conn *c, const char *sql, sqlite3_stmt **ret, struct err *err);
void conn_done(sqlite3_stmt *st);
/* A statement without values or rows; through the cache. */
int conn_exec(struct conn *c, const char *sql, struct err *err);
/* The first column of the first row as a number. */
int conn_number(struct conn *c, const char *sql, int64_t *ret, struct err *err);
/* 1: a row; 0: no more; else a -errno. */
int conn_step(struct conn *c, sqlite3_stmt *st, struct err *err);
/* By the JSON type; NULL and JSON null: NULL. Texts are copied. */
int conn_bind(struct conn *c, sqlite3_stmt *st, unsigned at, const json_t *value, struct err *err);

/* ---------------------------------------------------------------- migrate.c: the file's format */

/* Is it a catalogue, and not newer than we are? Reads only: a file that is not ours stays as it is. */
int format_check(struct conn *c, struct err *err);
/* Makes the tables of a new file, or brings an older one forward, after a copy of it was kept as PATH.vVERSION. */
int format_bring(struct conn *c, struct err *err);

/* ---------------------------------------------------------------- transactions */

struct store_tx {
	struct conn *conn;
	bool write;
	int64_t last_id;
};

/* ---------------------------------------------------------------- row.c */

/* "c1", "c2", ...: all columns, with "ALIAS." before each. */
void row_columns(FILE *f, const struct table *t, const char *alias);
/* New object of the row that the statement stands on, NULL columns left out. */
json_t *row_read(struct conn *c, sqlite3_stmt *st, const struct table *t, struct err *err);
/* The id of a row as text; NULL: it has none. *ret_number is room for it, if it is a number. */
const char *row_id(const json_t *row, char ret_number[24]);

/* ---------------------------------------------------------------- sql.c: text, and the values bound to it */

struct sql {
	const struct table *table;
	FILE *f;
	char *text; /* whole after sql_prepare() */
	size_t len;
	json_t *values; /* array */
	unsigned patterns; /* values of all filters, but of those for equal ones */
	bool failed; /* out of memory: found out at sql_prepare() */
};

int sql_begin(struct sql *q, const struct table *t, struct err *err);
void sql_end(struct sql *q);
/* Adds "?N" to the text, and the value (reference is taken). */
void sql_value(struct sql *q, json_t *value);
int sql_prepare(struct sql *q, struct conn *c, sqlite3_stmt **ret, struct err *err);
/* " WHERE ..." of the filters. */
int sql_filters(struct sql *q, const struct store_filter *filters, unsigned n, struct err *err);

/* ---------------------------------------------------------------- cursor.c */

/* The place of `row` in this order, malloc'd; NULL: no memory. */
char *cursor_make(const struct table *t, const struct store_query *q, const json_t *row);
/* Adds " AND (...)": what is behind it. -EINVAL: not a cursor of this query's order. */
int cursor_after(struct sql *sql, const struct store_query *q, struct err *err);

#endif
