/* SPDX-License-Identifier: GPL-2.0-only */
/* guard.c - the memory of guard.h: 8 bytes a frame, which only pools have in which some volume has a floor. */
#include "cache/guard.h"

#include "base/mem.h"

struct guard *guard_new(uint32_t frames)
{
	uint64_t bytes = sizeof(struct guard) + (uint64_t)frames * sizeof(struct queue_link);
	struct guard *g = mem_map(bytes);

	if (!g)
		return NULL;
	g->bytes = bytes;
	for (uint32_t i = 0; i <= OWNERS_MAX; i++)
		g->of[i].queue = queue_on(g->links);
	return g;
}

void guard_free(struct guard *g)
{
	if (g)
		mem_unmap(g, g->bytes);
}
