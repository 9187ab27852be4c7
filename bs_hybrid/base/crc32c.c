/* SPDX-License-Identifier: GPL-2.0-only */
/* crc32c.c - the Castagnoli CRC: three interleaved streams of the crc32 instruction, or tables, eight bytes a step.
 *
 * The instruction takes three cycles but a new one can start every cycle, so one block is taken as three lanes side
 * by side. The lanes are joined by what a CRC is: a remainder of polynomial division. Moving a lane's remainder past
 * the LANE bytes that follow it is a multiplication by x^(8 LANE). A carry-less multiplication by x^(8 LANE - 33)
 * gives a 64-bit product (with one x more, as both factors are bit-reversed); feeding that to the crc32 instruction
 * reduces it and adds the missing x^32.
 */
#include "base/crc32c.h"

#include "base/bytes.h"
#include "base/units.h"

#include <stdbool.h>
#include <string.h>

#define POLY 0x82f63b78u	/* bit-reversed */

static uint32_t tables[8][256];	/* tables[k][b]: the remainder of byte b followed by k zero bytes */

static void tables_fill(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t v = b;

		for (int bit = 0; bit < 8; bit++)
			v = (v >> 1) ^ (v & 1 ? POLY : 0);
		tables[0][b] = v;
	}
	for (int k = 1; k < 8; k++)
		for (uint32_t b = 0; b < 256; b++)
			tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xff];
}

uint32_t crc32c_portable(uint32_t crc, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		uint64_t v = get_le64(p) ^ crc;

		crc = 0;
#pragma GCC unroll 8
		for (int k = 0; k < 8; k++)
			crc ^= tables[7 - k][(v >> (8 * k)) & 0xff];
	}
	for (; len; len--, p++)
		crc = (crc >> 8) ^ tables[0][(crc ^ *p) & 0xff];
	return ~crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>
#include <wmmintrin.h>

#define LANE ((size_t)1360)		/* three of them are 16 bytes short of a block */
#define PAST_ONE 0x3f70cc6fu		/* x^(8 LANE - 33), bit-reversed */
#define PAST_TWO 0x5aa1f3cfu		/* x^(16 LANE - 33) */

static bool have_instructions;

__attribute__((target("sse4.2,pclmul")))
static uint64_t past(uint64_t crc, uint32_t factor)
{
	__m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi32_si128((int)factor), 0);

	return (uint64_t)_mm_cvtsi128_si64(product);
}

__attribute__((target("sse4.2,pclmul")))
static uint32_t crc32c_sse42(uint32_t crc, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint64_t a = (uint32_t)~crc;

	for (; len >= 3 * LANE; len -= 3 * LANE, p += 3 * LANE) {
		uint64_t b = 0, c = 0;

		for (size_t i = 0; i < LANE; i += 8) {
			a = _mm_crc32_u64(a, get_le64(p + i));
			b = _mm_crc32_u64(b, get_le64(p + LANE + i));
			c = _mm_crc32_u64(c, get_le64(p + 2 * LANE + i));
		}
		a = _mm_crc32_u64(0, past(a, PAST_TWO) ^ past(b, PAST_ONE)) ^ c;
	}
	for (; len >= 8; len -= 8, p += 8)
		a = _mm_crc32_u64(a, get_le64(p));
	for (; len; len--, p++)
		a = _mm_crc32_u8((uint32_t)a, *p);
	return ~(uint32_t)a;
}

/* One load feeds the store and the checksum. Stores that go around the cache save reading what they overwrite, which is
 * half the cost of copying a block to memory that is not in the cache. */
__attribute__((target("sse4.2,pclmul")))
static uint32_t copy_sse42(void *to, const void *from)
{
	const uint8_t *p = from;
	uint64_t a = UINT32_MAX, b = 0, c = 0;
	long long *t = to;

	for (size_t i = 0; i < LANE; i += 8, t++) {
		uint64_t va = get_le64(p + i), vb = get_le64(p + LANE + i), vc = get_le64(p + 2 * LANE + i);

		_mm_stream_si64(t, (long long)va);
		_mm_stream_si64(t + LANE / 8, (long long)vb);
		_mm_stream_si64(t + 2 * LANE / 8, (long long)vc);
		a = _mm_crc32_u64(a, va);
		b = _mm_crc32_u64(b, vb);
		c = _mm_crc32_u64(c, vc);
	}
	a = _mm_crc32_u64(0, past(a, PAST_TWO) ^ past(b, PAST_ONE)) ^ c;
	t += 2 * LANE / 8;
	for (size_t i = 3 * LANE; i < BLK_BYTES; i += 8, t++) {
		uint64_t v = get_le64(p + i);

		_mm_stream_si64(t, (long long)v);
		a = _mm_crc32_u64(a, v);
	}
	_mm_sfence();
	return ~(uint32_t)a;
}

uint32_t crc32c_copy_block(void *to, const void *from)
{
	if (have_instructions)
		return copy_sse42(to, from);
	memcpy(to, from, BLK_BYTES);
	return crc32c_portable(0, to, BLK_BYTES);
}

void copy_block_cold(void *to, const void *from)
{
	const uint8_t *p = from;
	long long *t = to;

	for (size_t i = 0; i < BLK_BYTES; i += 8)
		_mm_stream_si64(t++, (long long)get_le64(p + i));
	_mm_sfence();
}

/* Runs when the program or the module is loaded, before any thread could ask. */
__attribute__((constructor))
static void crc32c_init(void)
{
	__builtin_cpu_init();
	have_instructions = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
	tables_fill();
}

uint32_t crc32c(uint32_t crc, const void *buf, size_t len)
{
	return have_instructions ? crc32c_sse42(crc, buf, len) : crc32c_portable(crc, buf, len);
}

#else

__attribute__((constructor))
static void crc32c_init(void)
{
	tables_fill();
}

uint32_t crc32c(uint32_t crc, const void *buf, size_t len)
{
	return crc32c_portable(crc, buf, len);
}

uint32_t crc32c_copy_block(void *to, const void *from)
{
	memcpy(to, from, BLK_BYTES);
	return crc32c_portable(0, to, BLK_BYTES);
}

void copy_block_cold(void *to, const void *from)
{
	memcpy(to, from, BLK_BYTES);
}

#endif
