/* SPDX-License-Identifier: GPL-2.0-only */
/* instant.c - death between any two stores to staging memory.
 *
 * A process may be killed at any instruction; what counts is which of its stores to staging memory were made. While
 * armed, staging memory is read-only: each store faults, is counted, and is let through alone (one step of the
 * processor, then the memory is locked again). When the count runs out, the world is looked at as if it had died at
 * this very instruction. After a few stores to one page in a row (a copy of a block) that page is left open until
 * another one is stored to, so that not every byte costs a signal.
 *
 * Where the processor cannot be made to step (not x86-64), a page is left open at once: deaths happen between the first
 * stores to pages only.
 */
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "base/units.h"
#include "tests/sim/world.h"

#define TRAP_FLAG 0x100
#define NO_PAGE UINT64_MAX

/* Signal handlers have no argument of ours, so this is file-scope state. */
static struct {
	struct world *w; /* NULL: not armed */
	uint64_t left; /* stores until the death */
	uint64_t page; /* the one stored to last */
	unsigned in_row, patience; /* stores to it one after the other; how many are stepped */
	uint64_t open[4]; /* pages that are open for the step being made */
	unsigned nopen;
} now;

static void protect(uint64_t page, int how)
{
	if (mprotect(now.w->stage.mem + page * BLK_BYTES, BLK_BYTES, how))
		abort();
}

static void unlock_all(struct world *w)
{
	if (mprotect(w->stage.mem, w->stage.bytes, PROT_READ | PROT_WRITE))
		abort();
}

static void step(ucontext_t *uc, uint64_t page)
{
	protect(page, PROT_READ | PROT_WRITE);
#ifdef __x86_64__
	if (now.in_row < now.patience && now.nopen < ARRAY_LEN(now.open)) {
		now.open[now.nopen++] = page;
		uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
	}
#else
	(void)uc;
#endif
}

static void on_store(int sig, siginfo_t *info, void *context)
{
	struct world *w = now.w;
	const uint8_t *at = info->si_addr;
	uint64_t page;

	if (!w || at < w->stage.mem || at >= w->stage.mem + w->stage.bytes) {
		signal(sig, SIG_DFL); /* a real fault: happens again, and is fatal */
		return;
	}
	page = (uint64_t)(at - w->stage.mem) / BLK_BYTES;
	if (--now.left == 0) {
		now.w = NULL;
		unlock_all(w);
		world_probe(w, SIM_PROCESS_DEATH);
		return;
	}
	if (page != now.page && now.page != NO_PAGE && !now.nopen)
		protect(now.page, PROT_READ);
	now.in_row = page == now.page ? now.in_row + 1 : 0;
	now.page = page;
	step(context, page);
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
#ifdef __x86_64__
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
#else
	(void)context;
#endif
	while (now.nopen)
		protect(now.open[--now.nopen], PROT_READ);
}

void instant_arm(struct world *w)
{
	static const struct sigaction store = {.sa_sigaction = on_store, .sa_flags = SA_SIGINFO | SA_NODEFER};
	static const struct sigaction stepped = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
	struct rng *r = &w->cut_rng;

	if (!w->cuts.instant_one_in || w->parent || w->why.text[0] || rng_below(r, w->cuts.instant_one_in))
		return;
	assert(!now.w && w->stage.shared);
	if (sigaction(SIGSEGV, &store, NULL) || sigaction(SIGTRAP, &stepped, NULL))
		abort();
	now.w = w;
	now.left = 1 + rng_below(r, 1ull << rng_below(r, 9));
	now.patience = 1 + (unsigned)rng_below(r, 1u << rng_below(r, 7));
	now.page = NO_PAGE;
	now.in_row = now.nopen = 0;
	if (mprotect(w->stage.mem, w->stage.bytes, PROT_READ))
		abort();
}

void instant_disarm(struct world *w)
{
	if (now.w == w) {
		now.w = NULL;
		unlock_all(w);
	}
}
