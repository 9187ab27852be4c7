/* SPDX-License-Identifier: GPL-2.0-only */
/* keymap.h - a hash table from 64-bit keys to 32-bit numbers that grows as needed. */
#ifndef HB_REPLAY_KEYMAP_H
#define HB_REPLAY_KEYMAP_H

#include <stdbool.h>
#include <stdint.h>

#define KEYMAP_NONE UINT32_MAX		/* never a value */

struct keymap {
	uint64_t *keys;
	uint32_t *values;		/* KEYMAP_NONE: nothing here */
	uint64_t places;		/* 0, or a power of two */
	uint64_t count;
};

/* All zeros is an empty map. Freed with keymap_free(), which leaves an empty one. */
void keymap_free(struct keymap *m);
/* The key's value, or KEYMAP_NONE. */
uint32_t keymap_get(const struct keymap *m, uint64_t key);
/* Adds a key that is not there, or changes its value. -ENOMEM: nothing has changed. */
int keymap_put(struct keymap *m, uint64_t key, uint32_t value);
/* No effect on a key that is not there. */
void keymap_del(struct keymap *m, uint64_t key);
/* Bytes of memory of a map of so many keys. */
uint64_t keymap_bytes(const struct keymap *m);

#endif
