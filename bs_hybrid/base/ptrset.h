/* SPDX-License-Identifier: GPL-2.0-only */
/* ptrset.h - a set of pointers, for walks over what is shared that must meet each thing once. */
#ifndef HB_BASE_PTRSET_H
#define HB_BASE_PTRSET_H

#include <stdbool.h>
#include <stdint.h>

/* Begins as {0}. */
struct ptrset {
	const void **at; /* open addressing */
	uint32_t cap, n;
	bool nomem; /* memory ran out: from then on everything is said to be there */
};

/* Adds p (not NULL). True if it was there before. */
bool ptrset_add(struct ptrset *s, const void *p);
void ptrset_free(struct ptrset *s);

#endif
