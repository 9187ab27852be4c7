/* SPDX-License-Identifier: GPL-2.0-only */
/* test_base.c - errors, memory, checksums, bytes, lists, the generator. */
#include "suites.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/units.h"

/* ------------------------------------------------------------------ err */
static void err_sentences(void)
{
	struct err e = ERR_INIT;

	CU_ASSERT_EQUAL(err_set(&e, -EBADMSG, "superblock %c: bad checksum", 'B'), -EBADMSG);
	CU_ASSERT_STRING_EQUAL(e.text, "superblock B: bad checksum");
	CU_ASSERT_EQUAL(err_wrap(&e, "open pool %s", "main"), -EBADMSG);
	CU_ASSERT_STRING_EQUAL(e.text, "open pool main: superblock B: bad checksum");
	CU_ASSERT_EQUAL(e.code, -EBADMSG);
	CU_ASSERT_EQUAL(err_set(NULL, -ENOENT, "nobody listens"), -ENOENT);
	CU_ASSERT_EQUAL(err_wrap(NULL, "nobody listens"), -EIO);
}

static void err_long(void)
{
	char words[2 * ERR_TEXT_MAX];
	struct err e = ERR_INIT;

	memset(words, 'x', sizeof(words) - 1);
	words[sizeof(words) - 1] = 0;
	err_set(&e, -EINVAL, "%s", words);
	CU_ASSERT_EQUAL(strlen(e.text), ERR_TEXT_MAX - 1);
	err_wrap(&e, "outer");
	CU_ASSERT_EQUAL(strlen(e.text), ERR_TEXT_MAX - 1);
	CU_ASSERT_NSTRING_EQUAL(e.text, "outer: xxx", 10);
	err_wrap(&e, "%s", words);	/* no room for anything else */
	CU_ASSERT_EQUAL(strlen(e.text), ERR_TEXT_MAX - 1);
	CU_ASSERT_EQUAL(e.code, -EINVAL);
}

/* ------------------------------------------------------------------ mem */
static bool all_zero(const void *p, size_t bytes)
{
	const char *c = p;

	for (size_t i = 0; i < bytes; i++)
		if (c[i])
			return false;
	return true;
}

static void mem_gives(void)
{
	void *p = mem_zalloc(1000);
	char *s = mem_strdup("copy");

	CU_ASSERT(p && all_zero(p, 1000));
	mem_free(p);
	CU_ASSERT_STRING_EQUAL(s, "copy");
	mem_free(s);
	p = mem_calloc(3, 5);
	CU_ASSERT(p && all_zero(p, 15));
	mem_free(p);
	CU_ASSERT_PTR_NULL(mem_calloc(SIZE_MAX / 2, 3));
	for (size_t bytes = 0; bytes < 20000; bytes += 1111) {
		p = mem_alloc_aligned(bytes);
		CU_ASSERT(p && (uintptr_t)p % 4096 == 0);
		if (p)
			memset(p, 1, bytes);
		mem_free(p);
	}
	CU_ASSERT_PTR_NULL(mem_alloc_aligned(SIZE_MAX - 100));
	p = mem_alloc(0);
	CU_ASSERT_PTR_NOT_NULL(p);
	mem_free(p);
	mem_free(NULL);
}

static void mem_maps(void)
{
	static const size_t sizes[] = { 1, 4096, 4097, 16u << 20, (16u << 20) + 1, 40u << 20 };

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char *p = mem_map(sizes[i]);

		CU_ASSERT_FATAL(p && (uintptr_t)p % 4096 == 0);
		CU_ASSERT(sizes[i] < MIB(16) || (uintptr_t)p % MIB(2) == 0);	/* huge pages fit */
		CU_ASSERT(all_zero(p, sizes[i]));
		memset(p, 1, sizes[i]);
		mem_unmap(p, sizes[i]);
	}
	CU_ASSERT_PTR_NULL(mem_map(SIZE_MAX - 4096));
	mem_unmap(NULL, 4096);
}

/* The i-th of the allocators. */
static void *any_alloc(unsigned int i)
{
	switch (i) {
	case 0: return mem_alloc(10);
	case 1: return mem_zalloc(10);
	case 2: return mem_calloc(2, 5);
	case 3: return mem_alloc_aligned(10);
	case 4: return mem_strdup("x");
	default: return mem_map(10);
	}
}

static void any_free(unsigned int i, void *p)
{
	if (i < 5)
		mem_free(p);
	else
		mem_unmap(p, 10);
}

static void mem_fails(void)
{
	mem_fail_at(0);
	for (unsigned long nth = 1; nth <= 13; nth++) {
		CU_ASSERT_EQUAL(mem_fail_at(nth), nth == 1 ? 0 : 12);
		for (unsigned long i = 1; i <= 12; i++) {
			void *p = any_alloc(i % 6);

			CU_ASSERT_EQUAL(!p, i == nth);
			any_free(i % 6, p);
		}
	}
	CU_ASSERT_EQUAL(mem_fail_at(0), 12);
	for (unsigned int i = 0; i < 100; i++) {
		void *p = any_alloc(0);

		CU_ASSERT_PTR_NOT_NULL(p);
		any_free(0, p);
	}
	CU_ASSERT_EQUAL(mem_fail_at(0), 100);
}

/* ------------------------------------------------------------------ crc32c */
/* RFC 3720, appendix B.4. */
static void crc_vectors(void)
{
	static const uint8_t read_10[48] = {
		0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
		0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};
	uint8_t buf[32];

	CU_ASSERT_EQUAL(crc32c(0, "123456789", 9), 0xe3069283);
	CU_ASSERT_EQUAL(crc32c(0, "", 0), 0);
	memset(buf, 0, sizeof(buf));
	CU_ASSERT_EQUAL(crc32c(0, buf, sizeof(buf)), 0x8a9136aa);
	memset(buf, 0xff, sizeof(buf));
	CU_ASSERT_EQUAL(crc32c(0, buf, sizeof(buf)), 0x62a8ab43);
	for (unsigned int i = 0; i < 32; i++)
		buf[i] = (uint8_t)i;
	CU_ASSERT_EQUAL(crc32c(0, buf, sizeof(buf)), 0x46dd794e);
	CU_ASSERT_EQUAL(crc32c_portable(0, buf, sizeof(buf)), 0x46dd794e);
	for (unsigned int i = 0; i < 32; i++)
		buf[i] = (uint8_t)(31 - i);
	CU_ASSERT_EQUAL(crc32c(0, buf, sizeof(buf)), 0x113fdb5c);
	CU_ASSERT_EQUAL(crc32c(0, read_10, sizeof(read_10)), 0xd9963a56);
	CU_ASSERT_EQUAL(crc32c_portable(0, read_10, sizeof(read_10)), 0xd9963a56);
}

/* By the definition: a bit at a time. */
static uint32_t crc_by_bits(uint32_t crc, const uint8_t *p, size_t len)
{
	crc = ~crc;
	for (; len; len--, p++) {
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void crc_random(void)
{
	static uint8_t buf[20000];
	struct rng r = unit_rng();

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)rng_next(&r);
	for (unit_step = 0; unit_step < 3000; unit_step++) {
		size_t off = rng_below(&r, 64), cut;
		size_t len = unit_step % 8 == 7 ? rng_below(&r, sizeof(buf) - 64) : rng_below(&r, 4200);
		uint32_t start = (uint32_t)rng_next(&r), want;

		if (unit_step % 8 == 6)
			len = 4078 + unit_step % 20;	/* about one round of the three lanes */
		want = crc_by_bits(start, buf + off, len);
		cut = rng_below(&r, len + 1);
		CHECK(crc32c(start, buf + off, len) == want);
		CHECK(crc32c_portable(start, buf + off, len) == want);
		CHECK(crc32c(crc32c(start, buf + off, cut), buf + off + cut, len - cut) == want);
	}
}

/* ------------------------------------------------------------------ the small ones */
static void bytes_order(void)
{
	uint8_t b[16] = {0};

	put_le16(b + 1, 0x0102);
	put_be16(b + 3, 0x0102);
	CU_ASSERT(!memcmp(b, "\0\2\1\1\2\0", 6));
	put_le32(b + 1, 0x01020304);
	put_be32(b + 5, 0x01020304);
	CU_ASSERT(!memcmp(b, "\0\4\3\2\1\1\2\3\4\0", 10));
	put_le64(b + 1, 0x0102030405060708);
	CU_ASSERT(!memcmp(b, "\0\10\7\6\5\4\3\2\1\0", 10));
	CU_ASSERT_EQUAL(get_le64(b + 1), 0x0102030405060708);
	CU_ASSERT_EQUAL(get_be64(b + 1), 0x0807060504030201);
	CU_ASSERT_EQUAL(get_le32(b + 1), 0x05060708);
	CU_ASSERT_EQUAL(get_be32(b + 1), 0x08070605);
	CU_ASSERT_EQUAL(get_le16(b + 1), 0x0708);
	CU_ASSERT_EQUAL(get_be16(b + 1), 0x0807);
}

struct item {
	int n;
	struct link link;
};

/* The list's numbers as decimal digits, and back again the other way. */
static bool list_is(struct link *head, long long digits)
{
	long long forth = 0, back = 0, unit = 1;

	list_each(l, head)
		forth = forth * 10 + list_entry(l, struct item, link)->n;
	for (struct link *l = head->prev; l != head; l = l->prev, unit *= 10)
		back += unit * list_entry(l, struct item, link)->n;
	return forth == digits && back == digits;
}

static void list_moves(void)
{
	struct item items[8] = {0};
	struct link a, b;

	list_init(&a);
	list_init(&b);
	CU_ASSERT(list_empty(&a) && !list_pop(&a));
	for (int i = 0; i < 8; i++) {
		items[i].n = i;
		CU_ASSERT(!link_on_list(&items[i].link));
	}
	list_push(&a, &items[1].link);
	CU_ASSERT(link_on_list(&items[1].link));
	list_push(&a, &items[2].link);
	list_push_front(&a, &items[3].link);
	CU_ASSERT(list_is(&a, 312));
	CU_ASSERT_EQUAL(list_first(&a, struct item, link)->n, 3);
	list_splice(&b, &a);
	CU_ASSERT(list_empty(&a) && list_is(&b, 312));
	list_push(&a, &items[4].link);
	list_push(&a, &items[5].link);
	list_splice(&a, &b);
	CU_ASSERT(list_empty(&b) && list_is(&a, 45312));
	list_splice(&a, &b);
	CU_ASSERT(list_is(&a, 45312));
	list_each_safe(l, next, &a)
		if (list_entry(l, struct item, link)->n % 2)
			list_del(l);
	CU_ASSERT(list_is(&a, 42) && !link_on_list(&items[5].link));
	CU_ASSERT_PTR_EQUAL(list_pop(&a), &items[4].link);
	CU_ASSERT(list_is(&a, 2));
}

/* Known values of splitmix64 from this seed. */
static void rng_values(void)
{
	struct rng r = { .s = 1234567 };
	unsigned int seen[10] = {0};

	CU_ASSERT_EQUAL(rng_next(&r), 6457827717110365317ull);
	CU_ASSERT_EQUAL(rng_next(&r), 3203168211198807973ull);
	CU_ASSERT_EQUAL(rng_next(&r), 9817491932198370423ull);
	for (int i = 0; i < 10000; i++)
		seen[rng_below(&r, 10)]++;
	for (int i = 0; i < 10; i++)
		CU_ASSERT(seen[i] > 800 && seen[i] < 1200);
}

const struct hb_suite suite_base = { "base", (CU_TestInfo[]){
	{ "err_sentences", err_sentences },
	{ "err_long", err_long },
	{ "mem_gives", mem_gives },
	{ "mem_maps", mem_maps },
	{ "mem_fails", mem_fails },
	{ "crc_vectors", crc_vectors },
	{ "crc_random", crc_random },
	{ "bytes_order", bytes_order },
	{ "list_moves", list_moves },
	{ "rng_values", rng_values },
	CU_TEST_INFO_NULL
} };
