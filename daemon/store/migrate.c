/* SPDX-License-Identifier: GPL-2.0-only */
/* migrate.c - the file's format: whose it is, which version it has, and how it becomes today's.
 *
 * Versions only add tables and columns, so bringing a file forward is to add what it lacks. The copy of the old file is
 * whole and durable under its last name before the one transaction that changes the original begins: killed before,
 * the next start does it again; killed inside, SQLite rolls back; killed after, the version says that it is done.
 */
#include "store/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION 0x48796243 /* "HybC", in SQLite's header */
#define UNKNOWN_NAMED 4

#define TO_TEXT(x) #x
#define TEXT_OF(x) TO_TEXT(x)

/* ------------------------------------------------------------------ what is there */
/* Names of the columns that a table has in the file; none: it is not there. */
static int each_column(struct conn *c, const char *table, void (*found)(void *arg, const char *name), void *arg,
		       struct err *err)
{
	sqlite3_stmt *st;
	int rc = conn_prepare(c, "SELECT name FROM pragma_table_info(?1)", &st, err);

	if (rc)
		return rc;
	rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_TRANSIENT);
	if (rc)
		rc = conn_error(c, rc, err);
	while (!rc && (rc = conn_step(c, st, err)) > 0) {
		const char *name = (const char *)sqlite3_column_text(st, 0);

		found(arg, name ? name : "");
		rc = 0;
	}
	conn_done(st);
	return rc;
}

struct unknown {
	const struct table *known; /* NULL: the table itself is not */
	const char *table;
	char text[200];
	unsigned n;
};

static void note_unknown(struct unknown *u, const char *column)
{
	size_t used = strlen(u->text);

	if (u->n++ < UNKNOWN_NAMED)
		snprintf(u->text + used, sizeof(u->text) - used, "%s%s%s%s", used ? ", " : "", u->table,
			 column ? "." : "", column ? column : "");
}

static void unknown_column(void *arg, const char *name)
{
	struct unknown *u = arg;

	if (!column_find(u->known, name))
		note_unknown(u, name);
}

/* Refuses a newer file by the names of what we do not know. */
static int refuse_newer(struct conn *c, int64_t version, struct err *err)
{
	struct unknown u = { 0 };
	json_t *names = json_array();
	sqlite3_stmt *st;
	size_t i;
	json_t *name;
	int rc = conn_prepare(c, "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT GLOB 'sqlite_*'", &st,
			      err);

	if (rc) {
		json_decref(names);
		return rc;
	}
	while (!rc && (rc = conn_step(c, st, err)) > 0)
		rc = json_array_append_new(names, json_string((const char *)sqlite3_column_text(st, 0))) ? -ENOMEM : 0;
	conn_done(st);
	json_array_foreach(names, i, name) {
		u.table = json_string_value(name);
		u.known = table_find(u.table, strlen(u.table));
		if (!u.known)
			note_unknown(&u, NULL);
		else if (!rc)
			rc = each_column(c, u.table, unknown_column, &u, err);
	}
	json_decref(names);
	if (rc)
		return rc;
	return err_set(err, -ENOTSUP, "catalogue %s: it is of a newer program (version %" PRId64 ", we know %d)%s%s%s",
		       c->path, version, SCHEMA_VERSION, u.n ? ": it has " : "", u.text,
		       u.n > UNKNOWN_NAMED ? ", …" : "");
}

struct state {
	int64_t application, version, objects;
};

static int read_state(struct conn *c, struct state *s, struct err *err)
{
	int rc = conn_number(c, "PRAGMA application_id", &s->application, err);

	if (!rc)
		rc = conn_number(c, "PRAGMA user_version", &s->version, err);
	if (!rc)
		rc = conn_number(c, "SELECT count(*) FROM sqlite_schema", &s->objects, err);
	return rc;
}

int format_check(struct conn *c, struct err *err)
{
	struct state s;
	int rc = read_state(c, &s, err);

	if (rc == -EBADMSG)
		return err_set(err, rc, "catalogue %s: damaged, or not a catalogue (SQLite: %s)", c->path,
			       sqlite3_errmsg(c->db));
	if (rc)
		return rc;
	if (!s.application && !s.version && !s.objects)
		return 0;
	if (s.application != APPLICATION)
		return err_set(err, -EBADMSG, "catalogue %s: it is another program's database", c->path);
	return s.version > SCHEMA_VERSION ? refuse_newer(c, s.version, err) : 0;
}

/* ------------------------------------------------------------------ the copy */
static int sync_path(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = fsync(fd) ? -errno : 0;
	close(fd);
	return rc;
}

static int sync_folder(const char *path)
{
	char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
	int rc;

	if (!folder)
		return -ENOMEM;
	if (slash)
		slash[slash == folder] = 0;
	rc = sync_path(slash ? folder : ".", O_RDONLY | O_DIRECTORY);
	free(folder);
	return rc;
}

static int vacuum_into(struct conn *c, const char *to, struct err *err)
{
	sqlite3_stmt *st;
	int rc = conn_prepare(c, "VACUUM INTO ?1", &st, err);

	if (rc)
		return rc;
	rc = sqlite3_bind_text(st, 1, to, -1, SQLITE_TRANSIENT);
	rc = rc ? conn_error(c, rc, err) : conn_step(c, st, err);
	conn_done(st);
	return rc;
}

static int keep_copy(struct conn *c, int64_t version, struct err *err)
{
	char *last = NULL, *now = NULL;
	int fd, rc;

	if (asprintf(&last, "%s.v%" PRId64, c->path, version) < 0 || asprintf(&now, "%s.new", last) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	/* SQLite fills an empty file, but would make one that everybody may read. What an earlier try left is
	 * worthless: it has not got its last name. */
	unlink(now);
	fd = open(now, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	rc = fd < 0 ? err_set(err, -errno, "%s: %s", now, strerror(errno)) : 0;
	if (fd >= 0)
		close(fd);
	if (!rc)
		rc = vacuum_into(c, now, err);
	if (!rc && ((rc = sync_path(now, O_RDONLY)) || (rename(now, last) && (rc = -errno)) ||
		    (rc = sync_folder(last))))
		err_set(err, rc, "%s: %s", now, strerror(-rc));
	if (rc) {
		unlink(now);
		err_wrap(err, "keeping a copy before the catalogue is brought forward");
	}
	free(last);
	free(now);
	return rc;
}

/* ------------------------------------------------------------------ making and adding */
static const char *sql_type(enum column_type t)
{
	return t == COL_INT || t == COL_BOOL ? "INTEGER" : "TEXT";
}

static int exec_built(struct conn *c, FILE *f, char **text, struct err *err)
{
	int rc = fclose(f) ? err_set(err, -ENOMEM, "out of memory") : conn_exec(c, *text, err);

	free(*text);
	return rc;
}

static int create_table(struct conn *c, const struct table *t, struct err *err)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return err_set(err, -ENOMEM, "out of memory");
	fprintf(f, "CREATE TABLE \"%s\" (", t->name);
	for (unsigned i = 0; i < t->ncolumns; i++)
		fprintf(f, "\"%s\" %s%s, ", t->columns[i].name, sql_type(t->columns[i].type),
			i >= t->nkeys ? "" : t->counted ? " PRIMARY KEY AUTOINCREMENT" : " NOT NULL");
	if (t->counted) {
		fprintf(f, "CHECK (\"id\" > 0)) STRICT");
		return exec_built(c, f, &text, err);
	}
	fprintf(f, "PRIMARY KEY (");
	for (unsigned i = 0; i < t->nkeys; i++)
		fprintf(f, "%s\"%s\"", i ? ", " : "", t->columns[i].name);
	fprintf(f, ")) STRICT, WITHOUT ROWID");
	return exec_built(c, f, &text, err);
}

struct present {
	const struct table *table;
	uint64_t columns; /* one bit each */
	bool any;
};

static void present_column(void *arg, const char *name)
{
	struct present *p = arg;
	const struct column *col = column_find(p->table, name);

	p->any = true;
	if (col)
		p->columns |= 1ull << (col - p->table->columns);
}

static int add_column(struct conn *c, const struct table *t, const struct column *col, struct err *err)
{
	char text[200];

	snprintf(text, sizeof(text), "ALTER TABLE \"%s\" ADD COLUMN \"%s\" %s", t->name, col->name,
		 sql_type(col->type));
	return conn_exec(c, text, err);
}

static int complete_table(struct conn *c, const struct table *t, bool may_add, struct err *err)
{
	struct present p = { .table = t };
	int rc = each_column(c, t->name, present_column, &p, err);

	if (rc)
		return rc;
	if (!p.any && may_add)
		return create_table(c, t, err);
	for (unsigned i = 0; i < t->ncolumns; i++) {
		if (p.columns & (1ull << i))
			continue;
		if (!may_add || i < t->nkeys)
			return err_set(err, -EBADMSG, "catalogue %s: damaged: %s.%s is missing", c->path, t->name,
				       t->columns[i].name);
		rc = add_column(c, t, &t->columns[i], err);
		if (rc)
			return rc;
	}
	return 0;
}

static int make_indexes(struct conn *c, const struct table *t, const char *const *lists, const char *kind,
			struct err *err)
{
	for (; *lists; lists++) {
		char *text = NULL;
		size_t len;
		FILE *f = open_memstream(&text, &len);
		int rc;

		if (!f)
			return err_set(err, -ENOMEM, "out of memory");
		fprintf(f, "CREATE %s IF NOT EXISTS \"%s by %s\" ON \"%s\" (", kind, t->name, *lists, t->name);
		for (const char *p = *lists; *p;) {
			size_t n = strcspn(p, ",");

			fprintf(f, "%s\"%.*s\"", p == *lists ? "" : ", ", (int)n, p);
			p += n;
			p += strspn(p, ", ");
		}
		fprintf(f, ")");
		rc = exec_built(c, f, &text, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int complete_all(struct conn *c, struct err *err)
{
	for (unsigned i = 0; i < STORE_TABLES; i++) {
		const struct table *t = &store_tables[i];
		int rc = complete_table(c, t, true, err);

		if (!rc)
			rc = make_indexes(c, t, t->unique, "UNIQUE INDEX", err);
		if (!rc)
			rc = make_indexes(c, t, t->indexes, "INDEX", err);
		if (rc)
			return rc;
	}
	return 0;
}

int format_bring(struct conn *c, struct err *err)
{
	struct state s;
	int rc = read_state(c, &s, err);

	if (!rc && s.version == SCHEMA_VERSION) {
		for (unsigned i = 0; !rc && i < STORE_TABLES; i++)
			rc = complete_table(c, &store_tables[i], false, err);
		return rc;
	}
	if (!rc && s.objects)
		rc = keep_copy(c, s.version, err);
	if (!rc)
		rc = conn_exec(c, "BEGIN IMMEDIATE", err);
	if (rc)
		return rc;
	rc = complete_all(c, err);
	if (!rc)
		rc = conn_exec(c, "PRAGMA application_id=" TEXT_OF(APPLICATION), err);
	if (!rc)
		rc = conn_exec(c, "PRAGMA user_version=" TEXT_OF(SCHEMA_VERSION), err);
	if (!rc)
		rc = conn_exec(c, "COMMIT", err);
	if (rc && !sqlite3_get_autocommit(c->db))
		conn_exec(c, "ROLLBACK", NULL);
	return rc;
}
