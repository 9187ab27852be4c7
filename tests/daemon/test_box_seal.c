/* SPDX-License-Identifier: GPL-2.0-only */
/* test_box_seal.c - box/seal.h: what is sealed opens with its key and its row only; the key's file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box/seal.h"
#include "tests/daemon/suites.h"

static char dir[64], path[96];

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/hybrid-seal.XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/key", dir);
}

static void remove_dir(void)
{
	unlink(path);
	CHECK(rmdir(dir) == 0); /* nothing else was left there */
}

static int unwrap(struct seal *s, const char *about, const char *sealed, const char *want)
{
	struct err err = ERR_INIT;
	char *secret = NULL;
	int rc = seal_unwrap(s, about, sealed, &secret, &err);

	CHECK((rc == 0) == (secret != NULL));
	CHECK(rc == err.code);
	if (want && rc == 0)
		CHECK(!strcmp(secret, want));
	seal_forget(secret);
	return rc;
}

static void test_round_trip(void)
{
	struct err err = ERR_INIT;
	struct seal *s, *again;
	char *a, *b;

	make_dir();
	CHECK(seal_open(path, &s, &err) == 0);
	a = seal_wrap(s, "vol-att-1", "a secret");
	b = seal_wrap(s, "vol-att-1", "a secret");
	CHECK(a && b && strcmp(a, b)); /* another nonce each time */
	CHECK(!strncmp(a, "s1:", 3) && !strstr(a, "a secret"));
	CHECK(unwrap(s, "vol-att-1", a, "a secret") == 0);
	CHECK(unwrap(s, "vol-att-1", b, "a secret") == 0);
	CHECK(unwrap(s, "vol-att-2", a, NULL) == -EBADMSG);
	seal_close(s);
	CHECK(seal_open(path, &again, &err) == 0);
	CHECK(unwrap(again, "vol-att-1", a, "a secret") == 0);
	seal_close(again);
	CHECK(unlink(path) == 0);
	CHECK(seal_open(path, &again, &err) == 0); /* another key */
	CHECK(unwrap(again, "vol-att-1", a, NULL) == -EBADMSG);
	seal_close(again);
	free(a);
	free(b);
	remove_dir();
}

/* Any one byte changed, cut or added, and it does not open: base64 has spare bits and forms, so the text may open only
 * if it says the same. */
static void test_damage(void)
{
	struct err err = ERR_INIT;
	struct rng rng = unit_rng();
	struct seal *s;
	char *sealed, *copy;
	size_t len;

	make_dir();
	CHECK(seal_open(path, &s, &err) == 0);
	sealed = seal_wrap(s, "x", "0123456789abcdef0123456789abcdef");
	len = strlen(sealed);
	copy = malloc(len + 2);
	for (unit_step = 0; unit_step < 3000; unit_step++) {
		size_t i = rng_below(&rng, (uint32_t)len);

		memcpy(copy, sealed, len + 1);
		switch (rng_below(&rng, 3)) {
		case 0:
			copy[i] = (char)(1 + rng_below(&rng, 126));
			break;
		case 1:
			copy[i] = '\0';
			break;
		default:
			memmove(copy + i + 1, copy + i, len - i + 1);
			copy[i] = (char)(1 + rng_below(&rng, 126));
		}
		unwrap(s, "x", copy, "0123456789abcdef0123456789abcdef");
		if (copy[i] && copy[i] != sealed[i] && i > 3 && i < len - 4 && strlen(copy) == len)
			CHECK(unwrap(s, "x", copy, NULL) == -EBADMSG);
	}
	CHECK(unwrap(s, "x", "", NULL) == -EBADMSG);
	CHECK(unwrap(s, "x", "s1:", NULL) == -EBADMSG);
	CHECK(unwrap(s, "x", "s1:AAAA", NULL) == -EBADMSG);
	CHECK(unwrap(s, "x", "s2:AAAA", NULL) == -EBADMSG);
	free(copy);
	free(sealed);
	seal_close(s);
	remove_dir();
}

static int open_rc(void)
{
	struct err err = ERR_INIT;
	struct seal *s = NULL;
	int rc = seal_open(path, &s, &err);

	CHECK(rc == err.code && (rc == 0) == (s != NULL));
	seal_close(s);
	return rc;
}

static void test_key_file(void)
{
	struct stat st;
	char other[128];
	int fd;

	make_dir();
	CHECK(open_rc() == 0);
	CHECK(stat(path, &st) == 0 && st.st_size == 32 && (st.st_mode & 07777) == 0600);
	CHECK(chmod(path, 0640) == 0 && open_rc() == -EPERM);
	CHECK(chmod(path, 0604) == 0 && open_rc() == -EPERM);
	CHECK(chmod(path, 0400) == 0 && open_rc() == 0);
	CHECK(chmod(path, 0600) == 0 && truncate(path, 31) == 0 && open_rc() == -EBADMSG);
	CHECK(truncate(path, 33) == 0 && open_rc() == -EBADMSG);
	CHECK(truncate(path, 0) == 0 && open_rc() == -EBADMSG); /* never "make a new one": secrets would be lost */
	if (geteuid() == 0)
		CHECK(truncate(path, 32) == 0 && chown(path, 12345, 0) == 0 && open_rc() == -EPERM);
	snprintf(other, sizeof(other), "%s/other", dir);
	fd = open(other, O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && write(fd, "0123456789abcdef0123456789abcdef", 32) == 32 && close(fd) == 0);
	CHECK(unlink(path) == 0 && symlink(other, path) == 0 && open_rc() == -ELOOP);
	CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0 && open_rc() == -EINVAL && rmdir(path) == 0);
	CHECK(unlink(other) == 0);
	remove_dir();
}

static void test_random(void)
{
	char a[65], b[65];
	unsigned seen[128] = {0};

	seal_random(a, 64);
	seal_random(b, 64);
	CHECK(strlen(a) == 64 && strcmp(a, b));
	for (int i = 0; i < 2000; i++) {
		seal_random(a, 64);
		for (int k = 0; k < 64; k++)
			seen[(unsigned char)a[k] & 127]++;
	}
	for (int c = 0; c < 128; c++) {
		bool letter = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		CHECK(letter ? seen[c] > 1600 && seen[c] < 2600 : !seen[c]); /* 2065 expected, sd 45 */
	}
	seal_random(a, 0);
	CHECK(!*a);
	CHECK(seal_same("abc", "abc", 3) && !seal_same("abc", "abd", 3));
}

static CU_TestInfo tests[] = {
	{"round_trip", test_round_trip},
	{"damage", test_damage},
	{"key_file", test_key_file},
	{"random", test_random},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_box_seal = {"box_seal", tests};
