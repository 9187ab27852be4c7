/* SPDX-License-Identifier: GPL-2.0-only */
/* page_store.h - a double of the metadata area for tests of trees: keeps pages in memory and counts every use. */
#ifndef HB_TESTS_UNIT_PAGE_STORE_H
#define HB_TESTS_UNIT_PAGE_STORE_H

#include "map/ptree.h"

struct page_store {
	uint32_t count;
	unsigned char (*data)[4096];
	bool *used;			/* put and not retired */
	bool *got;			/* read since the last page_store_loader */
	struct pnode **node;		/* what was remembered */
	uint32_t nused;
	uint32_t room;			/* put() fails when this is 0 */
	uint32_t get_fails_at;		/* the n-th get from now fails with -EIO; 0: none */
	uint32_t puts, gets;
};

struct page_store *page_store_new(uint32_t count);
void page_store_free(struct page_store *s);
/* For ptree_save: takes the lowest page that is not used, checks the crc. */
uint32_t page_store_put(void *store, const void *data, uint32_t crc);
/* For page_retire: the page must be used, and is not from here on. */
void page_store_retire(void *store, uint32_t page);
/* For loading a forest: nothing remembered yet, each page may be read once. */
struct ptree_load page_store_loader(struct page_store *s);

/* A set of pointers, to meet each shared node once. */
struct ptr_set {
	const void **at;
	size_t cap, count;		/* cap: a power of two */
};

/* Whether it was in the set before; for `counted` of map_count_refs too. */
bool ptr_set_add(void *set, const void *p);
void ptr_set_clear(struct ptr_set *set);	/* also frees */

#endif
