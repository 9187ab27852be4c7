/* SPDX-License-Identifier: GPL-2.0-only */
/* aio_ring.h - reads completions out of the ring that the kernel maps into the process, without a system call.
 *
 * An io_context_t is the address of that ring. Its layout is part of the kernel's interface and is named by a magic
 * number; where that is not found, io_getevents() does the same work. One thread per context.
 */
#ifndef HB_DEV_AIO_RING_H
#define HB_DEV_AIO_RING_H

#include <libaio.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define AIO_RING_MAGIC 0xa10a10a1u

struct aio_ring {
	uint32_t id, nr;
	uint32_t head;			/* ours: next event to read */
	uint32_t tail;			/* the kernel's: next event to write */
	uint32_t magic, compat_features, incompat_features, header_bytes;
	struct io_event events[];
};

static inline struct aio_ring *aio_ring_of(io_context_t ctx)
{
	struct aio_ring *r = (struct aio_ring *)ctx;

	return r->magic == AIO_RING_MAGIC && !r->incompat_features && r->header_bytes == sizeof(*r) ? r : NULL;
}

/* False only if there is surely nothing to take. */
static inline bool aio_ring_any(io_context_t ctx)
{
	struct aio_ring *r = aio_ring_of(ctx);

	return !r || r->head != __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
}

/* Takes up to `max` completions; never blocks. Returns how many. */
static inline int aio_ring_take(io_context_t ctx, struct io_event *ret, int max)
{
	struct aio_ring *r = aio_ring_of(ctx);
	struct timespec none = {0, 0};
	uint32_t head, tail;
	int n = 0;

	if (!r) {
		n = io_getevents(ctx, 0, max, ret, &none);
		return n > 0 ? n : 0;
	}
	head = r->head;
	tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
	while (n < max && head != tail) {
		ret[n++] = r->events[head];
		head = head + 1 == r->nr ? 0 : head + 1;
	}
	/* The events were copied before the kernel may write over them. */
	__atomic_store_n(&r->head, head, __ATOMIC_RELEASE);
	return n;
}

#endif
