/* SPDX-License-Identifier: GPL-2.0-only */
/* ptrset.c - open addressing with linear probing, at most half full. */
#include "base/ptrset.h"

#include <stddef.h>

#include "base/mem.h"
#include "base/rng.h"

/* Where p is, or would be. */
static uint32_t place(const struct ptrset *s, const void *p)
{
	uint32_t i = (uint32_t)hash64((uintptr_t)p) & (s->cap - 1);

	while (s->at[i] && s->at[i] != p)
		i = (i + 1) & (s->cap - 1);
	return i;
}

static bool grow(struct ptrset *s)
{
	struct ptrset bigger = {.cap = s->cap ? s->cap * 2 : 1024, .n = s->n};

	bigger.at = mem_calloc(bigger.cap, sizeof(*bigger.at));
	if (!bigger.at)
		return false;
	for (uint32_t i = 0; i < s->cap; i++)
		if (s->at[i])
			bigger.at[place(&bigger, s->at[i])] = s->at[i];
	mem_free(s->at);
	*s = bigger;
	return true;
}

bool ptrset_add(struct ptrset *s, const void *p)
{
	uint32_t i;

	if (s->nomem || (s->n * 2 >= s->cap && !grow(s))) {
		s->nomem = true;
		return true;
	}
	i = place(s, p);
	if (s->at[i])
		return true;
	s->at[i] = p;
	s->n++;
	return false;
}

void ptrset_free(struct ptrset *s)
{
	mem_free(s->at);
	*s = (struct ptrset){0};
}
