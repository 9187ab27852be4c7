/* SPDX-License-Identifier: GPL-2.0-only */
/* test_store_hostile.c - the catalogue and what befalls its file: garbage, other programs', newer and older ones, torn
 * logs, full disks, no rights, a second process. */
#include "suites.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faulty_vfs.h"
#include "store/store.h"
#include "tests/unit/scratch.h"

static char dir[SCRATCH_PATH_MAX], path[64];

static void begin(void)
{
	scratch_new("/tmp", dir);
	snprintf(path, sizeof(path), "%s/catalogue", dir);
}

static char *beside(const char *what)
{
	static char name[100];

	snprintf(name, sizeof(name), "%s%s", path, what);
	return name;
}

static int open_rc(struct err *err)
{
	struct store *s;
	int rc = store_open(path, &s, err);

	CU_ASSERT_EQUAL(rc, err->code);
	CU_ASSERT(!rc || (!s && strstr(err->text, path)));
	store_close(s);
	return rc;
}

static void write_file(const char *name, const void *bytes, size_t n)
{
	FILE *f = fopen(name, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

/* malloc'd */
static char *read_all(const char *name, size_t *ret_n)
{
	FILE *f = fopen(name, "r");
	char *bytes = malloc(16 << 20);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	*ret_n = fread(bytes, 1, 16 << 20, f);
	fclose(f);
	return bytes;
}

static void sql(const char *text)
{
	sqlite3 *db;

	CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &db), SQLITE_OK);
	CU_ASSERT_EQUAL(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static int put_fn(struct store_tx *tx, void *arg, struct err *err)
{
	json_t *row = json_pack("{s:s, s:s}", "id", arg, "value", "something that takes some room in the file");
	int rc = store_insert(tx, T_SETTING, row, err);

	json_decref(row);
	return rc;
}

static int put(struct store *s, int n, struct err *err)
{
	char id[20];

	snprintf(id, sizeof(id), "%d", n);
	return store_write(s, put_fn, id, err);
}

static int has_fn(struct store_tx *tx, void *arg, struct err *err)
{
	json_t *row = store_get(tx, T_SETTING, arg, err);
	int rc = row ? 0 : err->code ? err->code : -ENOENT;

	json_decref(row);
	return rc;
}

static bool has(struct store *s, int n)
{
	char id[20];

	snprintf(id, sizeof(id), "%d", n);
	return store_read(s, has_fn, id, NULL) == 0;
}

/* ------------------------------------------------------------------ files that are no catalogue */
static void test_garbage(void)
{
	struct rng rng = unit_rng();
	struct err err = ERR_INIT;
	char junk[20000], *now;
	size_t n;

	begin();
	for (int i = 0; i < 20; i++) {
		size_t len = i ? 1 + rng_below(&rng, sizeof(junk)) : 1;

		for (size_t k = 0; k < len; k++)
			junk[k] = (char)(rng_next(&rng) | 1);
		write_file(path, junk, len);
		CU_ASSERT_EQUAL(open_rc(&err), -EBADMSG);
		now = read_all(path, &n);
		CU_ASSERT(n == len && !memcmp(now, junk, n)); /* left as it is */
		free(now);
	}
	unlink(path);
	mkdir(path, 0700);
	CU_ASSERT_EQUAL(open_rc(&err), -EISDIR);
	rmdir(path);
	sql("CREATE TABLE songs (title TEXT)");
	CU_ASSERT_EQUAL(open_rc(&err), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "another program"));
	unlink(path);
	write_file(path, "", 0);
	err = ERR_INIT;
	CU_ASSERT_EQUAL(open_rc(&err), 0);
	scratch_remove(dir);
}

/* Any page of a good file overwritten: refused, or (unused bytes) all is there. Never a crash, never a loss unsaid. */
static void test_damage(void)
{
	struct rng rng = unit_rng();
	struct err err = ERR_INIT;
	struct store *s;
	char *good;
	size_t n;
	int refused = 0;

	begin();
	CU_ASSERT_EQUAL_FATAL(store_open(path, &s, &err), 0);
	for (int i = 0; i < 300; i++)
		CU_ASSERT_EQUAL(put(s, i, &err), 0);
	store_close(s);
	good = read_all(path, &n);
	CU_ASSERT_EQUAL(n % 4096, 0);
	for (size_t page = 0; page < n / 4096; page++) {
		char *bad = malloc(n);

		memcpy(bad, good, n);
		for (size_t k = 0; k < 4096; k++)
			bad[page * 4096 + k] = (char)rng_next(&rng);
		write_file(path, bad, n);
		free(bad);
		err = ERR_INIT;
		if (store_open(path, &s, &err) == 0) {
			for (int i = 0; i < 300; i++)
				CHECK(has(s, i));
			store_close(s);
			continue;
		}
		CU_ASSERT_EQUAL(err.code, -EBADMSG);
		refused++;
	}
	CU_ASSERT(refused > 10);
	free(good);
	scratch_remove(dir);
}

/* ------------------------------------------------------------------ versions */
static void test_versions(void)
{
	struct err err = ERR_INIT;
	struct store *s;
	char *copy;
	size_t n;

	begin();
	CU_ASSERT_EQUAL(open_rc(&err), 0);
	sql("PRAGMA user_version=99; ALTER TABLE volume ADD COLUMN colour TEXT; CREATE TABLE moons (id TEXT)");
	CU_ASSERT_EQUAL(open_rc(&err), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "volume.colour, moons"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "99"));
	/* An older one: without a table, an index, some columns. */
	sql("PRAGMA user_version=0; DROP TABLE moons; DROP TABLE quota; DROP INDEX \"volume by state\";"
	    "ALTER TABLE task DROP COLUMN trouble; INSERT INTO setting VALUES ('7', 'x')");
	err = ERR_INIT;
	CU_ASSERT_EQUAL_FATAL(store_open(path, &s, &err), 0);
	CU_ASSERT(has(s, 7));
	CU_ASSERT_EQUAL(put(s, 8, &err), 0);
	store_close(s);
	copy = read_all(beside(".v0"), &n);
	CU_ASSERT(n > 4096 && !memcmp(copy, "SQLite format 3", 15));
	free(copy);
	CU_ASSERT_NOT_EQUAL(access(beside(".v0.new"), F_OK), 0);
	sql("SELECT trouble FROM task; SELECT most FROM quota;"
	    "SELECT 1 FROM volume INDEXED BY \"volume by state\" WHERE state = 'x'");
	/* The copy is the old one, and can be gone back to. */
	CU_ASSERT_EQUAL(rename(beside(".v0"), path), 0);
	CU_ASSERT_EQUAL_FATAL(store_open(path, &s, &err), 0);
	CU_ASSERT(has(s, 7));
	CU_ASSERT(!has(s, 8));
	store_close(s);
	/* Today's version, but not today's columns. */
	sql("ALTER TABLE task DROP COLUMN trouble");
	CU_ASSERT_EQUAL(open_rc(&err), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "task.trouble"));
	scratch_remove(dir);
}

/* The disk is full while it is brought forward: it stays what it was. */
static void test_full_migration(void)
{
	struct err err = ERR_INIT;
	int n = 0, rc;

	begin();
	faulty_install();
	CU_ASSERT_EQUAL(open_rc(&err), 0);
	sql("PRAGMA user_version=0; DROP TABLE quota; INSERT INTO setting VALUES ('7', 'x')");
	do {
		struct store *s;

		faulty_set(n++, -1);
		err = ERR_INIT;
		rc = store_open(path, &s, &err);
		CU_ASSERT(rc == 0 || rc == -ENOSPC);
		store_close(s);
		faulty_set(-1, -1);
	} while (rc && n < 500);
	CU_ASSERT(n > 5 && n < 500);
	err = ERR_INIT;
	CU_ASSERT_EQUAL(open_rc(&err), 0);
	sql("SELECT most FROM quota");
	scratch_remove(dir);
}

/* ------------------------------------------------------------------ crashes */
static void child_writes(int n)
{
	struct err err = ERR_INIT;
	struct store *s;

	if (store_open(path, &s, &err))
		_exit(1);
	for (int i = 0; i < n; i++)
		if (put(s, i, &err))
			_exit(1);
	_exit(0); /* nothing is closed */
}

static void test_torn_log(void)
{
	struct rng rng = unit_rng();
	struct err err = ERR_INIT;
	char *file, *log;
	size_t nfile, nlog;
	int status = -1;
	pid_t pid;

	begin();
	pid = fork();
	if (pid == 0)
		child_writes(40);
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL_FATAL(status, 0);
	file = read_all(path, &nfile);
	log = read_all(beside("-wal"), &nlog);
	for (int i = 0; i < 40; i++) {
		size_t keep = i ? rng_below(&rng, nlog + 1) : nlog;
		struct store *s;
		int have = 0;

		write_file(path, file, nfile);
		write_file(beside("-wal"), log, keep);
		unlink(beside("-shm"));
		err = ERR_INIT;
		/* The making of the tables may be cut off as well. */
		CU_ASSERT_EQUAL_FATAL(store_open(path, &s, &err), 0);
		while (have < 40 && has(s, have))
			have++;
		for (int k = have; k < 40; k++)
			CHECK(!has(s, k));
		CU_ASSERT(i || have == 40);
		CU_ASSERT_EQUAL(store_check(s, &err), 0);
		store_close(s);
	}
	free(file);
	free(log);
	scratch_remove(dir);
}

/* ------------------------------------------------------------------ full and failing disks */
static void test_full(void)
{
	struct err err = ERR_INIT;
	struct store *s;
	int next = 0;

	begin();
	faulty_install();
	CU_ASSERT_EQUAL_FATAL(store_open(path, &s, &err), 0);
	for (int round = 0; round < 12; round++) {
		bool flushes = round % 3 == 2;
		int rc;

		faulty_set(flushes ? -1 : round, flushes ? 0 : -1);
		do {
			err = ERR_INIT;
			rc = put(s, next++, &err);
		} while (!rc);
		CU_ASSERT_EQUAL(rc, flushes ? -EIO : -ENOSPC);
		CU_ASSERT_EQUAL(err.code, rc);
		CU_ASSERT(!has(s, next - 1));
		CU_ASSERT(next < 2 || has(s, next - 2) || round);
		faulty_set(-1, -1);
		CU_ASSERT_EQUAL(put(s, next - 1, &err), 0); /* and it goes on */
		CU_ASSERT(has(s, next - 1));
	}
	store_close(s);
	err = ERR_INIT;
	CU_ASSERT_EQUAL_FATAL(store_open(path, &s, &err), 0);
	for (int i = 0; i < next; i++)
		CU_ASSERT(has(s, i));
	store_close(s);
	scratch_remove(dir);
}

struct filler {
	pthread_t thread;
	struct store *store;
	int number;
	bool there[100];
};

static void *fill(void *arg)
{
	struct filler *f = arg;

	for (int i = 0; i < 100; i++)
		f->there[i] = put(f->store, f->number * 100 + i, NULL) == 0;
	return NULL;
}

/* Many writers, and the disk fills up now and then: what was answered with 0 is there, and nothing else. */
static void test_full_threads(void)
{
	struct filler f[6];
	struct err err = ERR_INIT;
	struct store *s;

	begin();
	faulty_install();
	CU_ASSERT_EQUAL_FATAL(store_open(path, &s, &err), 0);
	for (int i = 0; i < 6; i++) {
		f[i] = (struct filler){ .store = s, .number = i };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&f[i].thread, NULL, fill, &f[i]), 0);
	}
	for (int i = 0; i < 10; i++) {
		faulty_set(i % 2 ? -1 : 20, -1);
		usleep(10000);
	}
	faulty_set(-1, -1);
	for (int i = 0; i < 6; i++)
		pthread_join(f[i].thread, NULL);
	for (int life = 0; life < 2; life++) {
		for (int i = 0; i < 600; i++)
			CHECK(has(s, i) == f[i / 100].there[i % 100]);
		store_close(s);
		CU_ASSERT_EQUAL_FATAL(store_open(path, &s, &err), 0);
	}
	store_close(s);
	scratch_remove(dir);
}

/* ------------------------------------------------------------------ rights, others */
static void test_no_rights(void)
{
	struct err err = ERR_INIT;
	struct stat st;
	int status = -1;
	pid_t pid;

	begin();
	CU_ASSERT_EQUAL(open_rc(&err), 0);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	chmod(path, 0644); /* somebody opened it to all: closed again */
	CU_ASSERT_EQUAL(open_rc(&err), 0);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	unlink(path);
	unlink(beside(".lock"));
	chmod(dir, 0555);
	pid = fork();
	if (pid == 0) { /* root may write anywhere */
		struct store *s;

		if (getuid() == 0 && setuid(65534))
			_exit(2);
		_exit(store_open(path, &s, &err) == -EACCES && strstr(err.text, path) ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	chmod(dir, 0755);
	/* The files may be used, but none be made beside them. */
	err = ERR_INIT;
	CU_ASSERT_EQUAL(open_rc(&err), 0);
	if (getuid() == 0)
		CU_ASSERT(chown(path, 65534, (gid_t)-1) == 0 && chown(beside(".lock"), 65534, (gid_t)-1) == 0);
	chmod(dir, 0555);
	pid = fork();
	if (pid == 0) {
		struct store *s;
		int rc;

		if (getuid() == 0 && setuid(65534))
			_exit(2);
		rc = store_open(path, &s, &err);
		_exit(rc < 0 && strstr(err.text, path) ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	chmod(dir, 0755);
	scratch_remove(dir);
}

static void test_two(void)
{
	struct err err = ERR_INIT;
	struct store *s, *second;
	int status = -1;
	char pid_text[20];
	pid_t pid;

	begin();
	CU_ASSERT_EQUAL_FATAL(store_open(path, &s, &err), 0);
	CU_ASSERT_EQUAL(store_open(path, &second, &err), -EBUSY);
	snprintf(pid_text, sizeof(pid_text), "process %d ", (int)getpid());
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, pid_text));
	pid = fork();
	if (pid == 0)
		_exit(execl("/bin/sh", "sh", "-c", "exec 9<\"$0\"; flock -n 9", beside(".lock"), (char *)NULL));
	waitpid(pid, &status, 0);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	err = ERR_INIT;
	CU_ASSERT_EQUAL(put(s, 1, &err), 0);
	store_close(s);
	CU_ASSERT_EQUAL(open_rc(&err), 0);
	scratch_remove(dir);
}

static CU_TestInfo tests[] = {
	{ "garbage", test_garbage },
	{ "damage", test_damage },
	{ "versions", test_versions },
	{ "full_migration", test_full_migration },
	{ "torn_log", test_torn_log },
	{ "full", test_full },
	{ "full_threads", test_full_threads },
	{ "no_rights", test_no_rights },
	{ "two", test_two },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_store_hostile = { "store_hostile", tests };
