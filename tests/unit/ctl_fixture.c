/* SPDX-License-Identifier: GPL-2.0-only */
/* ctl_fixture.c - see ctl_fixture.h. */
#include "ctl_fixture.h"

static struct hb_pool *find_pool(void *ctx, const char *name)
{
	struct ctl_fixture *f = ctx;

	return f->pool && !strcmp(hb_pool_name(f->pool), name) ? f->pool : NULL;
}

static struct hb_pool *next_pool(void *ctx, struct hb_pool *after)
{
	struct ctl_fixture *f = ctx;

	return after ? NULL : f->pool;
}

static void volume_grown(void *ctx, struct hb_pool *pool, const char *volume)
{
	struct ctl_fixture *f = ctx;

	(void)pool;
	(void)volume;
	f->grown++;
}

void ctl_fixture_open(struct ctl_fixture *f)
{
	ram_pool_open(&f->ram);
	f->pool = f->ram.pool;
	f->host = (struct verb_host){.ctx = f, .find = find_pool, .next = next_pool, .volume_grown = volume_grown};
	f->grown = 0;
}

void ctl_fixture_close(struct ctl_fixture *f)
{
	ram_pool_close(&f->ram);
	f->pool = NULL;
}
