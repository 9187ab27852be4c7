/* SPDX-License-Identifier: GPL-2.0-only */
/* page_store.c - see page_store.h. Memory comes from libc: mem_fail_at() is for the code under test alone. */
#include "page_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "suites.h"

static void *zalloc(size_t n, size_t each)
{
	void *p = calloc(n, each);

	if (!p)
		abort();
	return p;
}

struct page_store *page_store_new(uint32_t count)
{
	struct page_store *s = zalloc(1, sizeof(*s));

	s->count = s->room = count;
	s->data = zalloc(count, sizeof(*s->data));
	s->used = zalloc(count, sizeof(*s->used));
	s->got = zalloc(count, sizeof(*s->got));
	s->node = zalloc(count, sizeof(struct pnode *));
	return s;
}

void page_store_free(struct page_store *s)
{
	free(s->data);
	free(s->used);
	free(s->got);
	free(s->node);
	free(s);
}

uint32_t page_store_put(void *store, const void *data, uint32_t crc)
{
	struct page_store *s = store;
	uint32_t page = 0;

	if (!s->room)
		return PTREE_NO_PAGE;
	s->room--;
	while (page < s->count && s->used[page])
		page++;
	CHECK(page < s->count);
	CHECK(crc == crc32c(0, data, sizeof(s->data[page])));
	memcpy(s->data[page], data, sizeof(s->data[page]));
	s->used[page] = true;
	s->nused++;
	s->puts++;
	return page;
}

void page_store_retire(void *store, uint32_t page)
{
	struct page_store *s = store;

	CHECK(page < s->count);
	CHECK(s->used[page]);
	s->used[page] = false;
	s->nused--;
}

static int store_get(void *store, uint32_t page, void *data)
{
	struct page_store *s = store;

	s->gets++;
	if (s->get_fails_at && !--s->get_fails_at)
		return -EIO;
	if (page >= s->count || !s->used[page])
		return -ERANGE;
	CHECK(!s->got[page]);
	s->got[page] = true;
	memcpy(data, s->data[page], sizeof(s->data[page]));
	return 0;
}

static struct pnode *store_seen(void *store, uint32_t page)
{
	const struct page_store *s = store;

	return page < s->count ? s->node[page] : NULL;
}

static void store_remember(void *store, uint32_t page, struct pnode *node)
{
	struct page_store *s = store;

	CHECK(page < s->count);
	CHECK(!s->node[page]);
	s->node[page] = node;
}

struct ptree_load page_store_loader(struct page_store *s)
{
	memset(s->got, 0, s->count * sizeof(*s->got));
	memset(s->node, 0, s->count * sizeof(struct pnode *));
	s->gets = 0;
	return (struct ptree_load){ .ctx = s, .get = store_get, .seen = store_seen, .remember = store_remember };
}

bool ptr_set_add(void *set, const void *p)
{
	struct ptr_set *s = set, old = *s;
	size_t i;

	if (2 * s->count >= s->cap) {
		s->cap = s->cap ? 2 * s->cap : 256;
		s->at = zalloc(s->cap, sizeof(*s->at));
		s->count = 0;
		for (i = 0; i < old.cap; i++)
			if (old.at[i])
				ptr_set_add(s, old.at[i]);
		free(old.at);
	}
	for (i = hash64((uintptr_t)p) & (s->cap - 1); s->at[i]; i = (i + 1) & (s->cap - 1))
		if (s->at[i] == p)
			return true;
	s->at[i] = p;
	s->count++;
	return false;
}

void ptr_set_clear(struct ptr_set *set)
{
	free(set->at);
	*set = (struct ptr_set){ .at = NULL };
}
