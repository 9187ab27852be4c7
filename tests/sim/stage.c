/* SPDX-License-Identifier: GPL-2.0-only */
/* stage.c - staging memory of simulated worlds: what a clone sees of it, and what a power cut leaves. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/units.h"
#include "tests/sim/world.h"

static void stage_map(struct stage *s, int flags)
{
	s->mem = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, flags, s->fd, 0);
	if (s->mem == MAP_FAILED)
		abort();
	s->shared = flags == MAP_SHARED;
}

void stage_new(struct stage *s, size_t bytes)
{
	s->bytes = bytes;
	s->fd = memfd_create("staging", MFD_CLOEXEC);
	if (s->fd < 0 || ftruncate(s->fd, (off_t)bytes))
		abort();
	stage_map(s, MAP_SHARED);
}

/* Of a shared one: pages are copied when either side writes, and the original rests while the clone lives. */
void stage_clone(struct stage *s, const struct stage *from)
{
	static const uint8_t zeros[BLK_BYTES];

	if (from->shared) {
		s->bytes = from->bytes;
		s->fd = dup(from->fd);
		if (s->fd < 0)
			abort();
		stage_map(s, MAP_PRIVATE);
		return;
	}
	stage_new(s, from->bytes);
	for (size_t at = 0; at < s->bytes; at += BLK_BYTES)
		if (memcmp(from->mem + at, zeros, BLK_BYTES))
			memcpy(s->mem + at, from->mem + at, BLK_BYTES);
}

void stage_drop(struct stage *s)
{
	if (!s->mem)
		return;
	munmap(s->mem, s->bytes);
	close(s->fd);
	s->mem = NULL;
}

/* Keeps the present contents, to come back as stale memory after some power cut. */
void stage_remember(struct world *w)
{
	if (!w->old_stage)
		w->old_stage = malloc(w->stage.bytes);
	if (!w->old_stage)
		abort();
	memcpy(w->old_stage, w->stage.mem, w->stage.bytes);
}

/* Zeros, mostly; or noise; or what some earlier boot left. */
void stage_after_power_cut(struct world *w)
{
	uint64_t what = rng_below(&w->cut_rng, 16);
	size_t bytes = w->stage.bytes;

	w->boot_token++;
	if (what == 0)
		return; /* all of it is still there, and of no worth */
	stage_drop(&w->stage);
	stage_new(&w->stage, bytes);
	if (what == 1)
		for (size_t i = 0; i < KIB(64); i++)
			w->stage.mem[i] = (uint8_t)rng_next(&w->cut_rng);
	if (what == 2 && w->old_stage)
		memcpy(w->stage.mem, w->old_stage, bytes);
}
