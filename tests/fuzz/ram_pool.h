/* SPDX-License-Identifier: GPL-2.0-only */
/* ram_pool.h - a small pool on RAM devices with a clock of its own: for fuzzers and tests that want an open pool.
 *
 * In a header, because each fuzzer is a program of one file.
 */
#ifndef HB_TESTS_RAM_POOL_H
#define HB_TESTS_RAM_POOL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/engine.h"

#define RAM_POOL_CAPACITY_BYTES MIB(64)
#define RAM_POOL_WRITE_BYTES MIB(32)

struct ram_pool {
	struct hb_env env;
	struct rng rng;
	uint64_t clock_ns;		/* a microsecond passes each time it is read */
	void *staging;
	struct hb_pool *pool;
};

static inline uint64_t ram_pool_now(void *ctx)
{
	struct ram_pool *r = ctx;

	return r->clock_ns += 1000;
}

static inline uint64_t ram_pool_wall(void *ctx)
{
	(void)ctx;
	return 1700000000;
}

static inline uint64_t ram_pool_random(void *ctx)
{
	struct ram_pool *r = ctx;

	return rng_next(&r->rng);
}

static inline void ram_pool_log(void *ctx, enum hb_log_level level, const char *text)
{
	(void)ctx;
	(void)level;
	(void)text;
}

static inline void ram_pool_wait(void *ctx, uint64_t until_ns)
{
	struct ram_pool *r = ctx;

	if (until_ns != UINT64_MAX && until_ns > r->clock_ns)
		r->clock_ns = until_ns;
}

static inline void ram_pool_init(struct ram_pool *r)
{
	*r = (struct ram_pool){.rng = {.s = 1}, .clock_ns = SEC_NS};
	r->env = (struct hb_env){.ctx = r, .now_ns = ram_pool_now, .wall_s = ram_pool_wall, .random = ram_pool_random,
				 .log = ram_pool_log, .wait = ram_pool_wait};
}

static inline void ram_pool_must(int rc, const struct err *err)
{
	if (rc == 0)
		return;
	fprintf(stderr, "the test's pool: %s\n", err->text);
	abort();
}

/* Makes and opens the pool "main" with segments of this size; 0: whatever is right for the size of the write tier. */
static inline void ram_pool_open_with(struct ram_pool *r, uint32_t segment_bytes)
{
	struct hb_create how = {.name = "main", .any_size = true, .segment_bytes = segment_bytes};
	struct hb_open open = {.ram_bytes = MIB(4), .boot_token = 1};
	struct err err = ERR_INIT;

	ram_pool_init(r);
	ram_pool_must(dev_ram_new(RAM_POOL_CAPACITY_BYTES, &open.capacity, &err), &err);
	ram_pool_must(dev_ram_new(RAM_POOL_WRITE_BYTES, &open.write_tier, &err), &err);
	ram_pool_must(hb_pool_create(&r->env, &how, open.capacity, open.write_tier, NULL, &err), &err);
	r->staging = open.staging = mem_map(hb_staging_bytes());
	ram_pool_must(open.staging ? 0 : err_set(&err, -1, "no memory"), &err);
	ram_pool_must(hb_pool_open(&r->env, &open, &r->pool, &err), &err);
}

static inline void ram_pool_open(struct ram_pool *r)
{
	ram_pool_open_with(r, 0);
}

static inline void ram_pool_close(struct ram_pool *r)
{
	struct err err = ERR_INIT;

	ram_pool_must(hb_pool_close(r->pool, &err), &err);
	mem_unmap(r->staging, hb_staging_bytes());
	r->pool = NULL;
}

/* Turns until *done, as a loop would; aborts if that never comes. */
static inline void ram_pool_run(struct ram_pool *r, const bool *done)
{
	for (int i = 0; i < 1000000 && !*done; i++)
		ram_pool_wait(r, hb_pool_run(r->pool));
	if (*done)
		return;
	fprintf(stderr, "the test's pool: a request was never answered\n");
	abort();
}

#endif
