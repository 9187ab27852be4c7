/* SPDX-License-Identifier: GPL-2.0-only */
/* host_rig.c - the rig of the tests of real pools; see host_rig.h. */
#include "host_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[SCRATCH_PATH_MAX];

char *in_dir(const char *name)
{
	static char ring[4][128];
	static int turn;
	char *path = ring[turn++ % 4];

	snprintf(path, 128, "%s/%s", dir, name);
	return path;
}

void file_of(const char *name, uint64_t bytes)
{
	int fd = open(in_dir(name), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	close(fd);
}

void begin(void)
{
	scratch_new("/tmp", dir);
	CU_ASSERT_EQUAL_FATAL(mkdir(in_dir("stage"), 0700), 0);
}

void end(void)
{
	scratch_remove(dir);
}

struct conf *conf_of(const char *text)
{
	struct err err = ERR_INIT;
	struct conf *c = NULL;

	if (conf_parse(text, strlen(text), in_dir("c"), &c, &err) < 0)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

/* ------------------------------------------------------------------ the two verbs, and what they say */

/* `want` has "@" for the directory. */
static void assert_says(const struct err *err, const char *want)
{
	char full[ERR_TEXT_MAX];
	size_t n = 0;

	for (; *want && n < sizeof(full) - SCRATCH_PATH_MAX; want++)
		n += (size_t)snprintf(full + n, sizeof(full) - n, *want == '@' ? "%s" : "%.1s",
				      *want == '@' ? dir : want);
	full[n] = '\0';
	if (strcmp(err->text, full) != 0)
		printf("\nexpected: %s\ngot:      %s\n", full, err->text);
	CU_ASSERT_STRING_EQUAL(err->text, full);
}

void create_says(const char *text, bool force, int code, const char *want)
{
	struct conf *c = conf_of(text);
	struct err err = ERR_INIT;

	CU_ASSERT_EQUAL(host_pool_create(&c->pools[0], force, &err), code);
	assert_says(&err, want);
	conf_free(c);
}

struct host_pool *open_pool(const char *text, unsigned flags)
{
	struct conf *c = conf_of(text);
	struct host_pool *h = NULL;
	struct err err = ERR_INIT;

	if (host_pool_open(&c->pools[0], flags, &h, &err) < 0)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	conf_free(c);			/* not needed any more */
	return h;
}

void open_says(const char *text, unsigned flags, int code, const char *want)
{
	struct conf *c = conf_of(text);
	struct host_pool *h;
	struct err err = ERR_INIT;

	CU_ASSERT_EQUAL(host_pool_open(&c->pools[0], flags, &h, &err), code);
	assert_says(&err, want);
	conf_free(c);
}

void close_pool(struct host_pool *h)
{
	struct err err = ERR_INIT;

	CU_ASSERT_EQUAL(host_pool_close(h, &err), 0);
}

void two_files(void)
{
	begin();
	file_of("ssd", SSD_BYTES);
	file_of("hdd", HDD_BYTES);
	create_says(TWO_FILES, false, 0, "");
}

int staging_files(char ret_path[128])
{
	static const char hex[] = "0123456789abcdef";
	DIR *d = opendir(in_dir("stage"));
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		CU_ASSERT_EQUAL(strlen(e->d_name), strlen("hybrid-") + 32 + strlen(".staging"));
		CU_ASSERT_EQUAL(strspn(e->d_name + 7, hex), 32);
		snprintf(ret_path, 128, "%s/stage/%.60s", dir, e->d_name);
		n++;
	}
	closedir(d);
	return n;
}

/* ------------------------------------------------------------------ requests */

static void req_done(struct hb_req *req)
{
	*(bool *)req->owner = true;
}

/* One request, waited for. */
static int request(struct hb_pool *pool, struct hb_volume *vol, enum hb_op op, uint64_t off, void *buf, uint64_t len)
{
	bool done = false;
	struct hb_req req = {
		.op = op, .vol = vol, .off_bytes = off, .len_bytes = len, .buf = buf, .done = req_done, .owner = &done,
	};
	struct pollfd polls[HB_DEVS_MAX];
	int fds[HB_DEVS_MAX], n;

	done = hb_submit(&req);
	while (!done) {
		hb_pool_run(pool);
		n = hb_pool_event_fds(pool, fds);
		for (int i = 0; i < n; i++)
			polls[i] = (struct pollfd){ fds[i], POLLIN, 0 };
		if (!done)
			poll(polls, (nfds_t)n, 10);
	}
	return req.error;
}

static void pattern(unsigned char *buf, size_t len, unsigned int with)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (unsigned char)(i * 7 + i / 512 + with);
}

void write_pattern(struct host_pool *h, const char *volume, unsigned int with)
{
	struct hb_pool *pool = host_pool_engine(h);
	unsigned char *buf = malloc(KIB(256));
	struct err err = ERR_INIT;
	struct hb_volume *vol;

	hb_volume_create(pool, volume, MIB(16), &err);
	CU_ASSERT_EQUAL_FATAL(hb_volume_open(pool, volume, &vol, &err), 0);
	pattern(buf, KIB(256), with);
	for (int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(request(pool, vol, HB_WRITE, (uint64_t)i * MIB(2), buf, KIB(256)), 0);
	hb_volume_close(vol);
	free(buf);
}

void read_pattern(struct host_pool *h, const char *volume, unsigned int with)
{
	struct hb_pool *pool = host_pool_engine(h);
	unsigned char *buf = malloc(KIB(256)), *want = malloc(KIB(256));
	struct err err = ERR_INIT;
	struct hb_volume *vol;

	CU_ASSERT_EQUAL_FATAL(hb_volume_open(pool, volume, &vol, &err), 0);
	pattern(want, KIB(256), with);
	for (int i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(request(pool, vol, HB_READ, (uint64_t)i * MIB(2), buf, KIB(256)), 0);
		CU_ASSERT_EQUAL(memcmp(buf, want, KIB(256)), 0);
	}
	hb_volume_close(vol);
	free(buf);
	free(want);
}
