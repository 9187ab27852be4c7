/* SPDX-License-Identifier: GPL-2.0-only */
/* keymap.c - open addressing with linear probing; deleting moves later keys of the run back, so there are no stones. */
#include "keymap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define PLACES_FIRST 1024u

void keymap_free(struct keymap *m)
{
	free(m->keys);
	free(m->values);
	*m = (struct keymap){0};
}

static uint64_t home(const struct keymap *m, uint64_t key)
{
	return hash64(key + 1) & (m->places - 1);	/* hash64(0) is 0, as are the low bits of many small keys */
}

/* Where the key is, or the free place where it would be. */
static uint64_t find(const struct keymap *m, uint64_t key)
{
	uint64_t i = home(m, key);

	while (m->values[i] != KEYMAP_NONE && m->keys[i] != key)
		i = (i + 1) & (m->places - 1);
	return i;
}

uint32_t keymap_get(const struct keymap *m, uint64_t key)
{
	return m->places ? m->values[find(m, key)] : KEYMAP_NONE;
}

static int grow(struct keymap *m)
{
	uint64_t places = m->places ? 2 * m->places : PLACES_FIRST;
	struct keymap to = {
		.keys = malloc(places * sizeof(*to.keys)),
		.values = malloc(places * sizeof(*to.values)),
		.places = places,
		.count = m->count,
	};

	if (!to.keys || !to.values) {
		keymap_free(&to);
		return -ENOMEM;
	}
	memset(to.values, 0xff, places * sizeof(*to.values));
	for (uint64_t i = 0; i < m->places; i++) {
		uint64_t at;

		if (m->values[i] == KEYMAP_NONE)
			continue;
		at = find(&to, m->keys[i]);
		to.keys[at] = m->keys[i];
		to.values[at] = m->values[i];
	}
	keymap_free(m);
	*m = to;
	return 0;
}

int keymap_put(struct keymap *m, uint64_t key, uint32_t value)
{
	uint64_t i;

	if (2 * m->count >= m->places && grow(m))
		return -ENOMEM;
	i = find(m, key);
	m->count += m->values[i] == KEYMAP_NONE;
	m->keys[i] = key;
	m->values[i] = value;
	return 0;
}

void keymap_del(struct keymap *m, uint64_t key)
{
	uint64_t mask = m->places - 1, hole, i;

	if (!m->places)
		return;
	hole = find(m, key);
	if (m->values[hole] == KEYMAP_NONE)
		return;
	/* What lies behind the hole may have been put there because this place was taken: whoever's home is not between
	 * the hole and its place moves into the hole, and leaves the next one. */
	for (i = (hole + 1) & mask; m->values[i] != KEYMAP_NONE; i = (i + 1) & mask) {
		if (((i - home(m, m->keys[i])) & mask) < ((i - hole) & mask))
			continue;
		m->keys[hole] = m->keys[i];
		m->values[hole] = m->values[i];
		hole = i;
	}
	m->values[hole] = KEYMAP_NONE;
	m->count--;
}

uint64_t keymap_bytes(const struct keymap *m)
{
	return m->places * (sizeof(*m->keys) + sizeof(*m->values));
}
