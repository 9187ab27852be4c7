/* SPDX-License-Identifier: GPL-2.0-only */
/* mem.c - memory, and how a test makes an allocation fail.
 *
 * The counters are the only file-scope state of the engine. They are atomic because the pools of one process may
 * belong to different threads; a test that uses mem_fail_at runs one thread.
 */
#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_ALIGN ((size_t)4096)
#define HUGE_ALIGN ((size_t)2 << 20)
/* From here on a table is worth huge pages; a smaller one would pay more for clearing them than it gains. */
#define HUGE_FROM ((size_t)16 << 20)

static atomic_ulong made, fail_at;

unsigned long mem_fail_at(unsigned long n)
{
	atomic_store_explicit(&fail_at, n, memory_order_relaxed);
	return atomic_exchange_explicit(&made, 0, memory_order_relaxed);
}

/* Counts an allocation; true if it is the one that shall fail. */
static bool must_fail(void)
{
	unsigned long nth = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed) + 1;

	return nth == atomic_load_explicit(&fail_at, memory_order_relaxed);
}

void *mem_alloc(size_t bytes)
{
	return must_fail() ? NULL : malloc(bytes ? bytes : 1);
}

void *mem_zalloc(size_t bytes)
{
	return mem_calloc(1, bytes);
}

void *mem_calloc(size_t n, size_t each)
{
	size_t bytes;

	if (must_fail() || __builtin_mul_overflow(n, each, &bytes))
		return NULL;
	return calloc(1, bytes ? bytes : 1);
}

void *mem_alloc_aligned(size_t bytes)
{
	if (must_fail() || bytes > SIZE_MAX - PAGE_ALIGN)
		return NULL;
	bytes = (bytes + PAGE_ALIGN - 1) & ~(PAGE_ALIGN - 1);
	return aligned_alloc(PAGE_ALIGN, bytes ? bytes : PAGE_ALIGN);
}

char *mem_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = mem_alloc(len);

	return copy ? memcpy(copy, s, len) : NULL;
}

void mem_free(void *p)
{
	free(p);
}

static void *map_pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Maps more than asked for, and gives back what lies before and after the aligned part. `bytes` is whole pages. */
static void *map_huge(size_t bytes)
{
	char *p = map_pages(bytes + HUGE_ALIGN);
	size_t head;

	if (!p)
		return NULL;
	head = -(uintptr_t)p & (HUGE_ALIGN - 1);
	if (head)
		munmap(p, head);
	munmap(p + head + bytes, HUGE_ALIGN - head);
	madvise(p + head, bytes, MADV_HUGEPAGE);	/* advice only: without it all is just slower */
	return p + head;
}

void *mem_map(size_t bytes)
{
	if (must_fail() || bytes > SIZE_MAX / 2)
		return NULL;
	bytes = (bytes + PAGE_ALIGN - 1) & ~(PAGE_ALIGN - 1);
	return bytes >= HUGE_FROM ? map_huge(bytes) : map_pages(bytes ? bytes : PAGE_ALIGN);
}

void mem_unmap(void *p, size_t bytes)
{
	int rc;

	if (!p)
		return;
	bytes = (bytes + PAGE_ALIGN - 1) & ~(PAGE_ALIGN - 1);
	rc = munmap(p, bytes ? bytes : PAGE_ALIGN);
	assert(rc == 0);
}
