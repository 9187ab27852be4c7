/* SPDX-License-Identifier: GPL-2.0-only */
/* test_host_mirror.c - real pools whose mirrored write tier has halves of different sizes: the smaller one decided when
 * the pool was made, and nothing else is asked of a half ever after, whichever is lost and whatever comes instead. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host_rig.h"
#include "suites.h"

#define SMALL MIB(64)
#define LARGE MIB(80)
#define TWO_HALVES NAMES("main") "{ \"type\": \"ssd\", \"paths\": [ \"small\", \"large\" ] },\n" \
				 "{ \"type\": \"capacity\", \"path\": \"hdd\" } ] } ] }"

static bool both_in(struct host_pool *h)
{
	struct hb_mirror_status st;

	hb_mirror_status(host_pool_engine(h), &st);
	return st.half[0] == HB_HALF_IN && st.half[1] == HB_HALF_IN && st.recorded;
}

static void made_good(struct host_pool *h)
{
	for (int i = 0; i < 20000 && !both_in(h); i++) {
		hb_pool_run(host_pool_engine(h));
		poll(NULL, 0, 1);
	}
	CU_ASSERT_TRUE(both_in(h));
}

static void moved(const char *from, const char *to)
{
	CU_ASSERT_EQUAL(rename(in_dir(from), in_dir(to)), 0);
}

/* What is too small is refused, in words, and changes nothing. */
static void refuses(struct host_pool *h, uint64_t bytes)
{
	struct err err = ERR_INIT;
	char want[128];

	file_of("less", bytes);
	CU_ASSERT_EQUAL(host_mirror_replace(h, in_dir("less"), false, &err), -EINVAL);
	snprintf(want, sizeof(want), "less: has %llu bytes, the mirror %llu", (unsigned long long)bytes,
		 (unsigned long long)SMALL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, want));
	if (!strstr(err.text, want))
		printf("\nexpected: ... %s\ngot:      %s\n", want, err.text);
	unlink(in_dir("less"));
}

/* `lost` goes, `third` bytes come in its place, then `kept` goes as well. */
static void one_after_the_other(const char *lost, const char *kept, uint64_t third)
{
	struct err err = ERR_INIT;
	struct host_pool *h;

	begin();
	file_of("small", SMALL);
	file_of("large", LARGE);
	file_of("hdd", HDD_BYTES);
	create_says(TWO_HALVES, false, 0, "");
	h = open_pool(TWO_HALVES, 0);
	CU_ASSERT_TRUE(both_in(h));
	write_pattern(h, "v", 1);
	close_pool(h);
	moved(lost, "away");
	h = open_pool(TWO_HALVES, 0);
	read_pattern(h, "v", 1);
	write_pattern(h, "v", 2);
	refuses(h, SMALL - BLK_BYTES);
	file_of("third", third);
	CU_ASSERT_EQUAL(host_mirror_replace(h, in_dir("third"), false, &err), 0);
	if (err.code)
		printf("\n%s\n", err.text);
	made_good(h);
	write_pattern(h, "v", 3);
	close_pool(h);
	moved("third", lost);
	h = open_pool(TWO_HALVES, 0);
	CU_ASSERT_TRUE(both_in(h));
	read_pattern(h, "v", 3);
	close_pool(h);
	moved(kept, "away2");
	h = open_pool(TWO_HALVES, 0);
	read_pattern(h, "v", 3);
	refuses(h, SMALL - BLK_BYTES);
	file_of("fourth", SMALL);
	CU_ASSERT_EQUAL(host_mirror_replace(h, in_dir("fourth"), false, &err), 0);
	if (err.code)
		printf("\n%s\n", err.text);
	made_good(h);
	close_pool(h);
	end();
}

static void test_smaller_is_lost(void)
{
	one_after_the_other("small", "large", SMALL);
	one_after_the_other("small", "large", MIB(72));
	one_after_the_other("small", "large", MIB(96));
}

static void test_larger_is_lost(void)
{
	one_after_the_other("large", "small", SMALL);
	one_after_the_other("large", "small", MIB(72));
	one_after_the_other("large", "small", MIB(96));
}

static CU_TestInfo host_mirror_tests[] = {
	{ "smaller_is_lost", test_smaller_is_lost },
	{ "larger_is_lost", test_larger_is_lost },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_host_mirror = { "host_mirror", host_mirror_tests };
