/* SPDX-License-Identifier: GPL-2.0-only */
/* sql.c - SQL text with its values: names come from the tables of this program only, values are bound, never pasted.
 *
 * The text depends on which columns and how many values are asked for, never on what the values are: so prepared
 * statements are found again.
 */
#include "store/inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILTERS_MOST 64
#define PATTERNS_MOST 200 /* as EC2's; they are a chain of ORs, and SQLite bounds the depth of an expression */
#define PATTERN_BYTES 4096

int sql_begin(struct sql *q, const struct table *t, struct err *err)
{
	*q = (struct sql){ .table = t, .values = json_array() };
	q->f = open_memstream(&q->text, &q->len);
	if (q->f && q->values)
		return 0;
	sql_end(q);
	return err_set(err, -ENOMEM, "out of memory");
}

void sql_end(struct sql *q)
{
	if (q->f)
		fclose(q->f);
	free(q->text);
	json_decref(q->values);
	*q = (struct sql){ 0 };
}

void sql_value(struct sql *q, json_t *value)
{
	if (!value || json_array_append_new(q->values, value))
		q->failed = true;
	fprintf(q->f, "?%zu", json_array_size(q->values));
}

int sql_prepare(struct sql *q, struct conn *c, sqlite3_stmt **ret, struct err *err)
{
	int rc;

	if (fflush(q->f) || ferror(q->f) || q->failed)
		return err_set(err, -ENOMEM, "out of memory");
	rc = conn_prepare(c, q->text, ret, err);
	for (size_t i = 0; !rc && i < json_array_size(q->values); i++) {
		rc = conn_bind(c, *ret, (unsigned)i + 1, json_array_get(q->values, i), err);
		if (rc)
			conn_done(*ret);
	}
	return rc;
}

/* ------------------------------------------------------------------ filters */
/* A column with the name that the statement knows its table by. */
struct place {
	const char *alias;
	const struct table *table;
	const struct column *column;
};

static void put_place(struct sql *q, const struct place *p)
{
	fprintf(q->f, "%s.\"%s\"", p->alias, p->column->name);
}

/* A filter's value as one of the column's; NULL: it is none. */
static json_t *value_of(const struct column *c, const char *text)
{
	char *end;
	long long number;

	if (c->type == COL_TEXT)
		return json_string(text);
	if (c->type == COL_BOOL)
		return !strcmp(text, "true") ? json_true() : !strcmp(text, "false") ? json_false() : NULL;
	errno = 0;
	number = strtoll(text, &end, 10);
	return errno || end == text || *end || strchr(" \t\n\v\f\r+", *text) ? NULL : json_integer(number);
}

static int wrong_value(const struct place *p, const char *text, struct err *err)
{
	return err_set(err, -EINVAL, "filter %s.%s: \"%s\" is not %s", p->table->name, p->column->name, text,
		       p->column->type == COL_TEXT ? "UTF-8" :
		       p->column->type == COL_BOOL ? "true or false" : "a whole number");
}

static int put_equal(struct sql *q, const struct place *p, const struct store_filter *f, struct err *err)
{
	json_t *list = json_array();
	char *text;

	for (unsigned i = 0; i < f->nvalues; i++) {
		json_t *value = value_of(p->column, f->values[i]);

		if (!value) {
			json_decref(list);
			return wrong_value(p, f->values[i], err);
		}
		if (json_array_append_new(list, value)) {
			json_decref(list);
			return err_set(err, -ENOMEM, "out of memory");
		}
	}
	put_place(q, p);
	if (f->nvalues == 1) {
		fprintf(q->f, " = ");
		sql_value(q, json_incref(json_array_get(list, 0)));
	} else {
		/* One value that holds them all: the same statement for any number. */
		text = json_dumps(list, JSON_COMPACT);
		fprintf(q->f, " IN (SELECT value FROM json_each(");
		sql_value(q, text ? json_string_nocheck(text) : NULL);
		fprintf(q->f, "))");
		free(text);
	}
	json_decref(list);
	return 0;
}

/* Ours into SQLite's: there '[' opens a set and '\' is a byte like any other. New string; NULL: no memory. */
static char *translate(const char *ours)
{
	char *theirs = malloc(3 * strlen(ours) + 2), *to = theirs;

	for (; to && *ours; ours++) {
		bool plain = *ours != '*' && *ours != '?';

		if (*ours == '\\' && ours[1]) {
			ours++;
			plain = true;
		}
		if (plain && (*ours == '*' || *ours == '?' || *ours == '[')) {
			*to++ = '[';
			*to++ = *ours;
			*to++ = ']';
		} else {
			*to++ = *ours;
		}
	}
	if (to)
		*to = 0;
	return theirs;
}

/* As text: what a user sees of it. "+" keeps SQLite from thinking about indexes: for one pattern that pays, but its
 * time for a chain of them grows faster than the chain. */
static void put_shown(struct sql *q, const struct place *p, bool many)
{
	if (p->column->type != COL_BOOL) {
		fputs(many ? "+" : "", q->f);
		put_place(q, p);
		return;
	}
	fprintf(q->f, "CASE ");
	put_place(q, p);
	fprintf(q->f, " WHEN 1 THEN 'true' WHEN 0 THEN 'false' END");
}

static int put_globs(struct sql *q, const struct place *p, const struct store_filter *f, struct err *err)
{
	bool plain = p->column->type == COL_TEXT;

	for (unsigned i = 0; plain && i < f->nvalues; i++)
		plain = !strpbrk(f->values[i], "*?\\");
	if (plain) /* an index can do that */
		return put_equal(q, p, f, err);
	if (!f->nvalues)
		fprintf(q->f, "0");
	for (unsigned i = 0; i < f->nvalues; i++) {
		char *pattern;
		json_t *value;

		if (strlen(f->values[i]) > PATTERN_BYTES)
			return err_set(err, -EINVAL, "filter %s.%s: a pattern of more than %d bytes", p->table->name,
				       p->column->name, PATTERN_BYTES);
		pattern = translate(f->values[i]);
		if (!pattern)
			return err_set(err, -ENOMEM, "out of memory");
		value = json_string(pattern);
		free(pattern);
		if (!value)
			return wrong_value(p, f->values[i], err);
		fputs(i ? " OR " : "", q->f);
		put_shown(q, p, f->nvalues > 1);
		fprintf(q->f, " GLOB ");
		sql_value(q, value);
	}
	return 0;
}

static int put_compared(struct sql *q, const struct place *p, const struct store_filter *f, struct err *err)
{
	if (p->column->type != COL_INT)
		return err_set(err, -EINVAL, "filter %s.%s: below and above are for numbers", p->table->name,
			       p->column->name);
	if (!f->nvalues)
		fprintf(q->f, "0");
	for (unsigned i = 0; i < f->nvalues; i++) {
		json_t *value = value_of(p->column, f->values[i]);

		if (!value)
			return wrong_value(p, f->values[i], err);
		fputs(i ? " OR " : "", q->f);
		put_place(q, p);
		fputs(f->how == FILTER_BELOW ? " < " : " > ", q->f);
		sql_value(q, value);
	}
	return 0;
}

static int put_condition(struct sql *q, const struct place *p, const struct store_filter *f, struct err *err)
{
	int rc;

	if (p->column->type == COL_JSON)
		return err_set(err, -EINVAL, "filter %s.%s: it cannot be filtered by", p->table->name,
			       p->column->name);
	/* All together: what SQLite needs to understand a statement grows faster than the statement. */
	q->patterns += f->how == FILTER_EQUAL ? 0 : f->nvalues;
	if (q->patterns > PATTERNS_MOST)
		return err_set(err, -EINVAL, "filter %s.%s: more than %d values in all", p->table->name,
			       p->column->name, PATTERNS_MOST);
	fprintf(q->f, "(");
	if (f->how == FILTER_EQUAL)
		rc = put_equal(q, p, f, err);
	else if (f->how == FILTER_GLOB)
		rc = put_globs(q, p, f, err);
	else
		rc = put_compared(q, p, f, err);
	fprintf(q->f, ")");
	return rc;
}

/* Rows of `p->table` that belong to this one by `column`, and fulfil the condition. `tag_key`: only tags of that
 * key. */
static int put_exists(struct sql *q, const struct place *p, const char *column, const char *tag_key,
		      const struct store_filter *f, struct err *err)
{
	int rc;

	fprintf(q->f, "EXISTS (SELECT 1 FROM \"%s\" AS %s WHERE %s.\"%s\" = t.\"id\" AND ", p->table->name, p->alias,
		p->alias, column);
	if (tag_key) {
		json_t *key = json_string(tag_key);

		if (!key)
			return err_set(err, -EINVAL, "filter tag:KEY: the key is not UTF-8");
		fprintf(q->f, "%s.\"key\" = ", p->alias);
		sql_value(q, key);
		fprintf(q->f, " AND ");
	}
	rc = put_condition(q, p, f, err);
	fprintf(q->f, ")");
	return rc;
}

static int no_column(const struct table *t, const char *name, struct err *err)
{
	return err_set(err, -EINVAL, "%s cannot be filtered by \"%s\"", t->name, name);
}

static int put_related(struct sql *q, const struct store_filter *f, const char *dot, struct err *err)
{
	struct place p = { .alias = "c", .table = table_find(f->column, (size_t)(dot - f->column)) };

	p.column = p.table ? column_find(p.table, dot + 1) : NULL;
	if (!p.column)
		return no_column(q->table, f->column, err);
	for (const struct relation *r = p.table->relations; r->column; r++)
		if (r->parent == STORE_TABLES || &store_tables[r->parent] == q->table)
			return put_exists(q, &p, r->column, NULL, f, err);
	return no_column(q->table, f->column, err);
}

static int put_filter(struct sql *q, const struct store_filter *f, struct err *err)
{
	const struct table *tag = &store_tables[T_TAG];
	bool has_id = !strcmp(q->table->columns[0].name, "id");
	struct place p = { .alias = "t", .table = q->table, .column = column_find(q->table, f->column) };
	const char *dot = strchr(f->column, '.');

	if (p.column)
		return put_condition(q, &p, f, err);
	if (!has_id)
		return no_column(q->table, f->column, err);
	p = (struct place){ .alias = "c", .table = tag };
	if (!strncmp(f->column, "tag:", 4)) {
		p.column = column_find(tag, "value");
		return put_exists(q, &p, "resource_id", f->column + 4, f, err);
	}
	if (!strcmp(f->column, "tag-key")) {
		p.column = column_find(tag, "key");
		return put_exists(q, &p, "resource_id", NULL, f, err);
	}
	return dot ? put_related(q, f, dot, err) : no_column(q->table, f->column, err);
}

int sql_filters(struct sql *q, const struct store_filter *filters, unsigned n, struct err *err)
{
	int rc = 0;

	if (n > FILTERS_MOST)
		return err_set(err, -EINVAL, "more than %d filters", FILTERS_MOST);
	fprintf(q->f, " WHERE 1");
	for (unsigned i = 0; !rc && i < n; i++) {
		/* What is NULL fulfils no condition, and so each one's contrary. */
		fprintf(q->f, " AND %s(", filters[i].negate ? "NOT coalesce" : "");
		rc = put_filter(q, &filters[i], err);
		fprintf(q->f, "%s)", filters[i].negate ? ", 0" : "");
	}
	return rc;
}
