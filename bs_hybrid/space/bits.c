/* SPDX-License-Identifier: GPL-2.0-only */
/* bits.c - bitmaps over bitmaps: adding and deleting climbs only while a word changes between zero and not zero. */
#include "space/bits.h"

#include "base/mem.h"
#include "base/units.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static uint64_t words_for(uint64_t bits)
{
	return DIV_UP(bits, 64);
}

int bits_init(struct bits *b, uint32_t size)
{
	uint64_t words = 0, n = size;
	uint64_t *at;

	assert(size);
	*b = (struct bits){ .size = size };
	do {
		n = words_for(n);
		words += n;
		b->levels++;
	} while (n > 1);
	b->table_bytes = words * sizeof(*at);
	at = mem_map(b->table_bytes);
	if (!at)
		return -ENOMEM;
	n = size;
	for (unsigned int i = 0; i < b->levels; i++) {
		b->level[i] = at;
		n = words_for(n);
		at += n;
	}
	return 0;
}

void bits_fini(struct bits *b)
{
	mem_unmap(b->level[0], b->table_bytes);
	*b = (struct bits){0};
}

void bits_fill(struct bits *b)
{
	uint64_t n = b->size;

	for (unsigned int i = 0; i < b->levels; i++) {
		memset(b->level[i], 0xff, n / 64 * sizeof(uint64_t));
		if (n % 64)
			b->level[i][n / 64] = (1ull << (n % 64)) - 1;
		n = words_for(n);
	}
	b->count = b->size;
}

void bits_add(struct bits *b, uint32_t n)
{
	assert(n < b->size && !bits_has(b, n));
	for (unsigned int i = 0; i < b->levels; i++, n /= 64) {
		uint64_t *word = &b->level[i][n / 64], was = *word;

		*word |= 1ull << (n % 64);
		if (was)
			break;
	}
	b->count++;
}

void bits_del(struct bits *b, uint32_t n)
{
	assert(n < b->size && bits_has(b, n));
	for (unsigned int i = 0; i < b->levels; i++, n /= 64) {
		uint64_t *word = &b->level[i][n / 64];

		*word &= ~(1ull << (n % 64));
		if (*word)
			break;
	}
	b->count--;
}

uint32_t bits_next(const struct bits *b, uint32_t from)
{
	uint64_t n = from, limit = b->size;
	unsigned int i = 0;

	/* Up, while nothing follows in the word... */
	for (;; i++) {
		uint64_t word;

		if (i == b->levels || n >= limit)
			return BITS_NONE;
		word = b->level[i][n / 64] & -(1ull << (n % 64));
		if (word) {
			n = ROUND_DOWN(n, 64) + (unsigned int)__builtin_ctzll(word);
			break;
		}
		n = n / 64 + 1;
		limit = words_for(limit);
	}
	/* ... and down again by the first bit of each. */
	while (i--)
		n = n * 64 + (unsigned int)__builtin_ctzll(b->level[i][n]);
	return (uint32_t)n;
}
