/* SPDX-License-Identifier: GPL-2.0-only */
/* test_attr.c - a volume's attributes: sets of pins against a model of bits, bytes and back, bytes that make no sense;
 * records that carry them.
 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "format/unit.h"
#include "format/volrec.h"
#include "suites.h"

#define MODEL_BLK 64u /* the last one stands for all behind it */

static uint64_t bits_of(uint64_t first, uint64_t n)
{
	uint64_t bits = 0;

	for (uint64_t i = first; i < MODEL_BLK && (n == HB_PIN_TO_END || i < first + n); i++)
		bits |= 1ull << i;
	return bits;
}

static uint64_t model_of(const struct hb_volume_attr *a)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < a->npins; i++) {
		CHECK(a->pin[i].nblk);
		CHECK(!i || (a->pin[i - 1].nblk != HB_PIN_TO_END &&
			     a->pin[i].first_blk > a->pin[i - 1].first_blk + a->pin[i - 1].nblk));
		bits |= bits_of(a->pin[i].first_blk, a->pin[i].nblk);
	}
	return bits;
}

static unsigned runs_of(uint64_t bits)
{
	return (unsigned)__builtin_popcountll(bits & ~(bits << 1));
}

static void test_pins_model(void)
{
	struct rng rng = unit_rng();
	struct hb_volume_attr a;
	uint64_t want = 0;

	volattr_default(&a);
	for (unit_step = 0; unit_step < 200000; unit_step++) {
		uint64_t first = rng_below(&rng, MODEL_BLK - 1), n = 1 + rng_below(&rng, MODEL_BLK - 1 - first), next;
		uint64_t few = 1 + rng_below(&rng, 6);
		bool add = rng_below(&rng, 2);
		struct hb_volume_attr was = a;
		uint8_t bytes[VOLATTR_BYTES];
		int rc;

		if (rng_below(&rng, 3))
			n = MIN(n, few);
		if (!rng_below(&rng, 20))
			n = HB_PIN_TO_END;
		next = add ? want | bits_of(first, n) : want & ~bits_of(first, n);
		rc = add ? volattr_pin(&a, first, n) : volattr_unpin(&a, first, n);
		if (runs_of(next) > HB_PINS_MAX) {
			CHECK(rc == -ENOSPC && volattr_same(&a, &was));
			continue;
		}
		CHECK(rc == 0);
		want = next;
		CHECK(model_of(&a) == want);
		volattr_encode(&a, bytes);
		CHECK(volattr_decode(&was, bytes) == 0 && volattr_same(&a, &was));
		if (!rng_below(&rng, 50)) {
			uint64_t size = 1 + rng_below(&rng, MODEL_BLK - 1);
			bool end = want >> (MODEL_BLK - 1) && a.pin[a.npins - 1].first_blk < size;

			volattr_clip(&a, size);
			want &= bits_of(0, size);
			if (end) /* to the end, wherever that is */
				want |= bits_of(a.pin[a.npins - 1].first_blk, HB_PIN_TO_END);
			CHECK(model_of(&a) == want);
		}
	}
}

static void test_pins_refused(void)
{
	struct hb_volume_attr a;

	volattr_default(&a);
	CU_ASSERT_EQUAL(volattr_pin(&a, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(volattr_pin(&a, 5, UINT64_MAX - 5), -EINVAL);
	CU_ASSERT_EQUAL(volattr_unpin(&a, UINT64_MAX, 2), -EINVAL);
	CU_ASSERT_EQUAL(a.npins, 0);
	CU_ASSERT_EQUAL(volattr_pin(&a, 7, HB_PIN_TO_END), 0);
	CU_ASSERT_EQUAL(volattr_pin(&a, 3, 4), 0); /* they touch */
	CU_ASSERT_EQUAL(a.npins, 1);
	CU_ASSERT_EQUAL(a.pin[0].first_blk, 3);
	CU_ASSERT_EQUAL(a.pin[0].nblk, HB_PIN_TO_END);
	CU_ASSERT_EQUAL(volattr_unpin(&a, 10, 5), 0);
	CU_ASSERT_EQUAL(a.npins, 2);
	CU_ASSERT_EQUAL(a.pin[0].nblk, 7);
	CU_ASSERT_EQUAL(a.pin[1].nblk, HB_PIN_TO_END);
}

static const struct hb_volume_attr full = {.mode = HB_MODE_WRITE_AROUND, .iops = 12345, .bandwidth = MIB(77),
					   .burst_s = 9, .share = 999, .bypass_blk = HB_ATTR_NEVER,
					   .read_ahead_blk = 64, .cache_floor_mib = 4321,
					   .npins = 2, .pin = {{5, 6}, {100, HB_PIN_TO_END}}};

static void test_defaults_are_zeros(void)
{
	static const uint8_t zeros[VOLATTR_BYTES];
	struct hb_volume_attr a, b;
	uint8_t bytes[VOLATTR_BYTES];

	volattr_default(&a);
	volattr_encode(&a, bytes);
	CU_ASSERT_EQUAL(memcmp(bytes, zeros, sizeof(zeros)), 0);
	CU_ASSERT_EQUAL(volattr_decode(&b, zeros), 0);
	CU_ASSERT(volattr_same(&a, &b));
	CU_ASSERT_EQUAL(b.share, HB_SHARE_DEFAULT);
	CU_ASSERT_FALSE(volattr_same(&a, &full));
}

static void test_damage(void)
{
	static const struct {
		unsigned at, bytes;
		uint64_t value;
	} wrong[] = {{0, 1, HB_MODES},    {1, 1, HB_PINS_MAX + 1}, {2, 2, HB_SHARE_MAX + 1},
		     {4, 4, HB_IOPS_MIN - 1}, {8, 8, MIB(1) - 1},      {8, 8, UINT64_MAX},
		     {16, 4, HB_BURST_MAX + 1}, {40, 8, 0},              {40, 8, UINT64_MAX},
		     {40, 8, 95},           {40, 8, 1ull << 40},       {48, 8, 11},
		     {32, 8, UINT64_MAX - 5}, {48, 8, 1ull << 38},       {1, 1, 3}};
	struct hb_volume_attr a;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		uint8_t bytes[VOLATTR_BYTES];

		volattr_encode(&full, bytes);
		CU_ASSERT_EQUAL(volattr_decode(&a, bytes), 0);
		for (unsigned k = 0; k < wrong[i].bytes; k++)
			bytes[wrong[i].at + k] = (uint8_t)(wrong[i].value >> (8 * k));
		unit_step = i;
		CU_ASSERT_EQUAL(volattr_decode(&a, bytes), -EBADMSG);
	}
}

static void test_records(void)
{
	struct volrec v = {.id = 3, .family_id = 3, .name = "v", .size_blk = 1000, .attr = full}, got;
	uint8_t bytes[VOLREC_BYTES], encoded[VOLATTR_BYTES], stream[REC_BYTES_MAX];
	struct rec r = {.type = REC_VOL_ATTR, .vol = 77, .attr = encoded}, back;
	struct hb_volume_attr a;

	volrec_encode(&v, bytes);
	CU_ASSERT_EQUAL(volrec_decode(&got, bytes), 0);
	CU_ASSERT(volattr_same(&got.attr, &full));
	bytes[152] = HB_MODES;
	CU_ASSERT_EQUAL(volrec_decode(&got, bytes), -EBADMSG);

	volattr_encode(&full, encoded);
	CU_ASSERT_EQUAL(rec_encode(&r, stream), 168);
	CU_ASSERT_EQUAL(rec_bytes(REC_VOL_ATTR), 168);
	CU_ASSERT_EQUAL(rec_decode(&back, stream, 167), 0);
	CU_ASSERT_EQUAL(rec_decode(&back, stream, 168), 168);
	CU_ASSERT_EQUAL(back.vol, 77);
	CU_ASSERT_PTR_EQUAL(back.attr, stream + 8);
	CU_ASSERT_EQUAL(volattr_decode(&a, back.attr), 0);
	CU_ASSERT(volattr_same(&a, &full));
}

static void test_inherit(void)
{
	struct hb_volume_attr a, want;

	volattr_inherit(&a, &full, false);
	want = full;
	want.cache_floor_mib = 0;
	CU_ASSERT(volattr_same(&a, &want));
	volattr_inherit(&a, &full, true);
	volattr_default(&want);
	want.mode = full.mode;
	want.bypass_blk = full.bypass_blk;
	want.read_ahead_blk = full.read_ahead_blk;
	CU_ASSERT(volattr_same(&a, &want));
}

static CU_TestInfo tests[] = {
	{"pins_model", test_pins_model},
	{"pins_refused", test_pins_refused},
	{"defaults_are_zeros", test_defaults_are_zeros},
	{"damage", test_damage},
	{"records", test_records},
	{"inherit", test_inherit},
	CU_TEST_INFO_NULL};
const struct hb_suite suite_attr = {"attr", tests};
