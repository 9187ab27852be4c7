/* SPDX-License-Identifier: GPL-2.0-only */
/* mem.h - memory of the engine: every allocation goes through here, so that a test can make the n-th one fail. */
#ifndef HB_BASE_MEM_H
#define HB_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t bytes); /* NULL when out of memory */
void *mem_zalloc(size_t bytes); /* zeroed */
void *mem_calloc(size_t n, size_t each); /* zeroed; NULL also on overflow */
void *mem_alloc_aligned(size_t bytes); /* at a 4 KiB boundary, for device I/O; freed with mem_free */
char *mem_strdup(const char *s);
void mem_free(void *p);
/* Large tables: zeroed anonymous pages, freed with the same size. */
void *mem_map(size_t bytes);
void mem_unmap(void *p, size_t bytes);

/* Tests: fail the n-th allocation from now (1 is the next; 0 never). Returns how many were made since the last call. */
unsigned long mem_fail_at(unsigned long n);

#endif
