/* SPDX-License-Identifier: GPL-2.0-only */
/* pool.h - the control socket of the pools (bs_hybrid/control/proto.h), as calls. Thread-safe. */
#ifndef HB_BOX_POOL_H
#define HB_BOX_POOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct pools;

/* `socket`: the path. Connects when asked; keeps a few connections. */
int pools_new(const char *socket, struct pools **ret, struct err *err);
void pools_free(struct pools *ps);

/* One verb; args: borrowed, may be NULL. New reference to the result, or NULL with err: the pool's own -errno and
 * sentence, -EAGAIN (the pool is not open), -ECONNREFUSED (nobody serves), -ETIMEDOUT, -EPIPE (it died while it was at
 * it: done or not). */
json_t *pool_call(struct pools *ps, const char *pool, const char *verb, const json_t *args, uint32_t timeout_ms,
		  struct err *err);

/* Blocks until whoever served the socket is gone, or comes, or for_ms have passed: 1 it serves now, 0 it does not.
 * `was` is what the caller last knew, so no change is missed: a death between two calls is told by the next one, though
 * a new life has begun. *ret_life (may be NULL) counts its lives. One caller at a time. */
int pools_watch(struct pools *ps, bool was, uint32_t for_ms, uint64_t *ret_life);
/* Ends a pools_watch() under way, for good. */
void pools_stop(struct pools *ps);

#endif
