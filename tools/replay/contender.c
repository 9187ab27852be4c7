/* SPDX-License-Identifier: GPL-2.0-only */
/* contender.c - the table of policies that are compared. Nothing is ever pinned in a replay, so nothing is busy. */
#include "contender.h"

#include <assert.h>
#include <string.h>

static const struct contender tuned = {
	.name = "tuned", .title = "tuned S3-FIFO", .product = &policy_tuned, .standard = true};
static const struct contender s3fifo = {.name = "s3fifo", .title = "S3-FIFO", .product = &policy_s3fifo};
static const struct contender lru = {.name = "lru", .title = "LRU", .product = &policy_lru};

const struct contender *const contenders[] = {
	&tuned, &s3fifo, &lru, &contender_s3exact, &contender_arc, &contender_tinylfu, &contender_2q, &contender_belady,
	NULL};

const struct contender *contender_named(const char *name, size_t length)
{
	for (const struct contender *const *c = contenders; *c; c++)
		if (strlen((*c)->name) == length && !memcmp((*c)->name, name, length))
			return *c;
	return NULL;
}

const struct contender *contender_standard(void)
{
	const struct contender *const *c = contenders;

	while (!(*c)->standard)
		c++;
	return *c;
}

static bool never_busy(void *ctx, uint32_t id)
{
	(void)ctx;
	(void)id;
	return false;
}

void *contender_create(const struct contender *c, uint32_t capacity)
{
	return c->product ? (void *)c->product->create(capacity) : c->create(capacity);
}

void contender_destroy(const struct contender *c, void *p)
{
	if (c->product)
		c->product->destroy(p);
	else
		c->destroy(p);
}

void contender_hit(const struct contender *c, void *p, uint32_t id, const struct ask *ask)
{
	if (c->product)
		c->product->hit(p, id);
	else
		c->hit(p, id, ask);
}

uint32_t contender_evict(const struct contender *c, void *p, const struct ask *ask)
{
	uint32_t id;
	bool earned;

	id = c->product ? c->product->evict(p, never_busy, NULL, &earned) : c->evict(p, ask);
	assert(id != POLICY_NONE);
	return id;
}

void contender_insert(const struct contender *c, void *p, uint32_t id, const struct ask *ask)
{
	if (c->product)
		c->product->insert(p, id, ask->key);
	else
		c->insert(p, id, ask);
}

uint64_t contender_bytes(const struct contender *c, const void *p)
{
	return c->product ? c->product->bytes(p) : c->bytes(p);
}
