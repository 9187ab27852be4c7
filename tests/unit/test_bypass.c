/* SPDX-License-Identifier: GPL-2.0-only */
/* test_bypass.c - long sequential writes past the write tier: which ones go that way, what the SSD gets of them, that
 * they are there afterwards; the record of it, and the feature that keeps older programs out.
 */
#include "suites.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "cache/seq.h"
#include "format/super.h"
#include "format/unit.h"
#include "pace_rig.h"

#define STREAM_BLK (MIB(64) / BLK_BYTES)

static void test_record(void)
{
	struct rec r = {.type = REC_CHUNKS, .vol = 77, .vblk = 1ull << 37, .pblk = (1ull << 39) + 16, .count = 128};
	struct rec back;
	uint8_t stream[REC_BYTES_MAX + 1];

	CU_ASSERT_EQUAL(rec_encode(&r, stream), 32);
	CU_ASSERT_EQUAL(rec_bytes(REC_CHUNKS), 32);
	CU_ASSERT_EQUAL(rec_decode(&back, stream, 31), 0);
	CU_ASSERT_EQUAL(rec_decode(&back, stream, 40), 32);
	CU_ASSERT(back.type == REC_CHUNKS && back.vol == 77 && back.vblk == r.vblk && back.pblk == r.pblk &&
		  back.count == 128 && !back.flags);
	stream[2] = 40;
	CU_ASSERT_EQUAL(rec_decode(&back, stream, 40), 0);
	stream[0] = REC_TYPES;
	CU_ASSERT_EQUAL(rec_decode(&back, stream, 40), 0);
}

/* Streams keep apart by space, and what is noted in them goes with them. */
static void test_seqs(void)
{
	struct seqs *s = seqs_new(2);
	struct seq *t;
	bool is_new;

	CU_ASSERT_PTR_NULL(seqs_new(1025));
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	t = seqs_follow(s, 1, 100, 8, &is_new);
	CU_ASSERT(is_new && t->len_blk == 8 && !t->alone);
	t->alone = 3;
	t->slow_blk = 9;
	t = seqs_follow(s, 2, 108, 8, &is_new);
	CU_ASSERT(is_new && t->len_blk == 8);
	t = seqs_follow(s, 1, 108, 8, &is_new);
	CU_ASSERT(!is_new && t->len_blk == 16 && t->alone == 3 && t->slow_blk == 9);
	t = seqs_follow(s, 1, 100, 8, &is_new); /* again: no longer for it */
	CU_ASSERT(!is_new && t->len_blk == 16);
	t = seqs_follow(s, 1, 1 << 20, 8, &is_new); /* in place of the one asked for longest ago */
	CU_ASSERT(is_new && !t->alone && !t->slow_blk);
	seqs_follow(s, 2, 116, 8, &is_new);
	CU_ASSERT(is_new);
	seqs_free(s);
}

static struct pace_rig *pool(void)
{
	struct pace_shape s = {.model = hdd_model_default, .tier_bytes = MIB(32), .volume_bytes = MIB(64),
			       .disk_bytes = MIB(512), .seed = 1};

	return pace_new(&s);
}

/* Random reads find what was written. */
static void must_read(struct pace_rig *rig)
{
	struct pace_result r = pace_run(rig, 0, 60, 5 * SEC_NS);

	CU_ASSERT(r.reads_s > 30);
	CU_ASSERT_EQUAL(rig->errors, 0);
	pace_run(rig, 0, 0, SEC_NS);
}

/* All but the first 8 MiB goes past the SSD, and again when it is written again. */
static void test_past(void)
{
	struct pace_rig *rig = pool();
	struct hb_stats st;

	for (int i = 0; i < 2; i++) {
		struct pace_stream r = pace_stream(rig, 0, STREAM_BLK, KIB(512), 8);

		CU_ASSERT(r.past_bytes >= MIB(64 - 8 - 1) && r.past_bytes <= MIB(64 - 8));
		CU_ASSERT(r.tier_bytes < MIB(10));
		must_read(rig);
	}
	hb_pool_stats(rig->pool, &st);
	CU_ASSERT(st.past_blocks * BLK_BYTES >= 2 * MIB(64 - 8 - 1));
	CU_ASSERT_EQUAL(hb_pool_dev(rig->pool, HB_ROLE_CAPACITY)->stats.errors, 0);
	pace_settle(rig);
	must_read(rig);
	CU_ASSERT_EQUAL(hb_pool_check(rig->pool, true, NULL, NULL, NULL), 0);
	pace_free(rig);
}

static uint64_t past(struct pace_rig *rig, uint64_t first, uint32_t each, uint32_t depth)
{
	return pace_stream(rig, first, STREAM_BLK - first, each, depth).past_bytes;
}

/* Shorter ones only if there are several at a time; askew ones but for their edges; none if that was said. */
static void test_which(void)
{
	struct pace_rig *rig = pool();
	struct hb_volume_attr a = {.npins = 1, .pin = {{STREAM_BLK / 2, 1}}};
	uint64_t n;

	CU_ASSERT_EQUAL(past(rig, 0, KIB(64), 8), 0);
	CU_ASSERT(past(rig, 0, KIB(256), 8) > MIB(50));
	CU_ASSERT(past(rig, 0, KIB(256), 1) < MIB(3));
	CU_ASSERT(past(rig, 0, MIB(1), 1) > MIB(50));
	n = past(rig, 1, MIB(1), 8); /* the first whole chunk begins 15 blocks later, each time */
	CU_ASSERT(n > MIB(45) && n < MIB(54));
	pace_bypass(rig, HB_ATTR_NEVER);
	CU_ASSERT_EQUAL(past(rig, 0, MIB(1), 8), 0);
	pace_bypass(rig, 16); /* said, so also what is not worth it: all but the first write, and one that begins it */
	CU_ASSERT(past(rig, 0, KIB(64), 1) >= MIB(64) - KIB(192));
	pace_bypass(rig, 0);
	CU_ASSERT_EQUAL(hb_volume_set(rig->pool, "v", &a, HB_ATTR_PINS, NULL), 0);
	n = past(rig, 0, MIB(1), 8);
	CU_ASSERT_EQUAL(n, MIB(64 - 8 - 1));
	must_read(rig);
	pace_free(rig);
}

/* A write tier that is full of others' dirty blocks does not slow a stream down. */
static void test_full_tier(void)
{
	struct pace_rig *rig = pool();
	struct pace_stream r;

	pace_fill(rig, MIB(1), false);
	pace_run(rig, 32, 0, 10 * SEC_NS);
	r = pace_stream(rig, 0, STREAM_BLK, KIB(512), 8);
	CU_ASSERT(r.past_bytes >= MIB(64 - 8 - 1));
	CU_ASSERT(r.others > 0);
	CU_ASSERT_EQUAL(rig->errors, 0);
	CU_ASSERT_EQUAL(hb_pool_check(rig->pool, true, NULL, NULL, NULL), 0);
	pace_free(rig);
}

/* What an older program would misread has a bit that it does not know. */
static void test_feature(void)
{
	struct pace_rig *rig = pool();
	uint8_t block[BLK_BYTES] __attribute__((aligned(4096)));
	struct err err = ERR_INIT;
	struct super s;

	pace_super(rig, block);
	CU_ASSERT_EQUAL(super_decode(&s, SUPER_A, block, &err), 0);
	CU_ASSERT_EQUAL(s.feat_incompat, FEAT_CHUNK_RECORDS);
	CU_ASSERT_STRING_EQUAL(s.features, FEAT_NAMES);
	s.feat_incompat |= 1ull << 40;
	super_encode(&s, SUPER_A, block);
	CU_ASSERT_EQUAL(super_decode(&s, SUPER_A, block, &err), -EPROTONOSUPPORT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, FEAT_NAMES));
	pace_free(rig);
}

static CU_TestInfo bypass_tests[] = {
	{"record", test_record},       {"seqs", test_seqs},       {"past", test_past}, {"which", test_which},
	{"full_tier", test_full_tier}, {"feature", test_feature}, CU_TEST_INFO_NULL,
};

const struct hb_suite suite_bypass = {"bypass", bypass_tests};
