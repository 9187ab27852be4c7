/* SPDX-License-Identifier: GPL-2.0-only */
/* chains.c - see chains.h. */
#include "tests/client/chains.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"

#define MAGIC 0x6e69616863c0ffeeull
#define BEFORE 300u		/* answers before the request, and after its answer */
#define AFTER 100u

struct note {
	uint64_t magic, chain, n;
	uint64_t answered[CHAINS];	/* of each chain, when this was sent */
	uint64_t filling[501];
};
_Static_assert(sizeof(struct note) == CHAIN_BLOCK, "a note fills its block");

static struct chain {
	struct client_op io;
	bool busy;
	uint64_t sent, answered;	/* writes are counted from 1 */
	uint64_t low, high;		/* a moment has at least, and at most, so many */
	struct note note;
} chains[CHAINS];

static uint64_t total;
static char trouble[200];

static void fill(struct note *note)
{
	struct rng r = {.s = hash64(note->chain << 56 | note->n)};

	for (unsigned i = 0; i < sizeof(note->filling) / sizeof(note->filling[0]); i++)
		note->filling[i] = rng_next(&r);
}

static uint32_t place_of(unsigned chain, uint64_t n)
{
	return chain * CHAIN_PLACES + (uint32_t)(n / CHAIN_VOLUMES % CHAIN_PLACES);
}

static void done(struct client_op *io)
{
	struct chain *c = (struct chain *)io;

	c->busy = false;
	if (io->error == -EIO)
		snprintf(trouble, sizeof(trouble), "write refused: %s", io->text);
	if (io->error)
		return;
	c->answered = c->sent;
	total++;
}

/* The next write of each chain that is idle. A write that was never answered is sent again. */
static bool send_all(const struct chains_run *run)
{
	for (unsigned i = 0; i < CHAINS; i++) {
		struct chain *c = &chains[i];

		if (c->busy)
			continue;
		c->sent = c->answered + 1;
		memset(&c->note, 0, sizeof(c->note));
		c->note.magic = MAGIC;
		c->note.chain = i;
		c->note.n = c->sent;
		for (unsigned k = 0; k < CHAINS; k++)
			c->note.answered[k] = chains[k].answered;
		fill(&c->note);
		c->io = (struct client_op){.cmd = CMD_WRITE, .lun = run->luns[c->sent % CHAIN_VOLUMES],
					   .lba = (uint64_t)place_of(i, c->sent) * (CHAIN_BLOCK / SECTOR),
					   .sectors = CHAIN_BLOCK / SECTOR, .buf = &c->note, .done = done};
		c->busy = true;
		if (client_send(&run->sessions[i % run->nsessions], &c->io)) {
			c->busy = false;
			return false;
		}
	}
	return true;
}

static bool go_on(const struct chains_run *run)
{
	return !trouble[0] && send_all(run) && client_wait(run->sessions, run->nsessions, 1000);
}

static bool write_some(const struct chains_run *run, uint64_t more)
{
	uint64_t until = total + more;

	while (total < until)
		if (!go_on(run))
			return false;
	return true;
}

static const char *killed(const struct chains_run *run)
{
	kill(run->pid, SIGKILL);
	while (go_on(run))
		;
	for (unsigned i = 0; i < run->nsessions; i++)
		client_close(&run->sessions[i]);
	for (unsigned i = 0; i < CHAINS; i++)
		if (run->kill == CHAINS_KILL_ASKED)
			chains[i].high = chains[i].sent;
	return trouble[0] ? trouble : NULL;
}

const char *chains_run(const struct chains_run *run)
{
	trouble[0] = '\0';
	if (!write_some(run, BEFORE))
		return trouble[0] ? trouble : "connection lost";
	for (unsigned i = 0; i < CHAINS; i++)
		chains[i].low = chains[i].answered;
	if (control_send(run->control, run->socket, run->request))
		return "no control socket";
	if (run->kill == CHAINS_KILL_ASKED)
		return killed(run);
	while (!control_answered(run->control, false))
		if (!go_on(run))
			return trouble[0] ? trouble : "connection lost";
	for (unsigned i = 0; i < CHAINS; i++)
		chains[i].high = chains[i].sent;
	if (run->kill == CHAINS_KILL_ANSWERED)
		return killed(run);
	write_some(run, AFTER);
	for (unsigned i = 0; i < run->nsessions; i++)
		while (run->sessions[i].in_flight && client_wait(&run->sessions[i], 1, 1000))
			;
	return trouble[0] ? trouble : NULL;
}

void chains_now(void)
{
	for (unsigned i = 0; i < CHAINS; i++) {
		chains[i].low = chains[i].answered;
		chains[i].high = chains[i].sent;
	}
}

/* The number of the write found there; 0: none. */
static uint64_t found_at(const uint8_t *const volumes[CHAIN_VOLUMES], unsigned chain, unsigned volume, uint32_t place,
			 struct note *ret)
{
	static const struct note none;
	struct note want;

	memcpy(ret, volumes[volume] + (size_t)place * CHAIN_BLOCK, sizeof(*ret));
	if (!memcmp(ret, &none, sizeof(none)))
		return 0;
	want = *ret;
	fill(&want);
	if (ret->magic != MAGIC || ret->chain != chain || ret->n % CHAIN_VOLUMES != volume ||
	    place_of(chain, ret->n) != place || memcmp(ret, &want, sizeof(want)))
		snprintf(trouble, sizeof(trouble), "chain %u, volume %u, block %u: not what was ever written there",
			 chain, volume, place);
	return ret->n;
}

/* The last write to this place among the first `n` of the chain. */
static uint64_t latest(unsigned chain, unsigned volume, uint32_t place, uint64_t n)
{
	while (n && (n % CHAIN_VOLUMES != volume || place_of(chain, n) != place))
		n--;
	return n;
}

static uint64_t check_chain(const uint8_t *const volumes[CHAIN_VOLUMES], unsigned chain, struct note *ret)
{
	uint32_t first = chain * CHAIN_PLACES;
	uint64_t last = 0;
	struct note note;

	memset(ret, 0, sizeof(*ret));
	for (unsigned v = 0; v < CHAIN_VOLUMES; v++) {
		for (uint32_t at = first; at < first + CHAIN_PLACES; at++) {
			uint64_t n = found_at(volumes, chain, v, at, &note);

			if (n > last) {
				last = n;
				*ret = note;
			}
		}
	}
	for (unsigned v = 0; v < CHAIN_VOLUMES && !trouble[0]; v++) {
		for (uint32_t at = first; at < first + CHAIN_PLACES; at++) {
			uint64_t n = found_at(volumes, chain, v, at, &note), want = latest(chain, v, at, last);

			if (n != want)
				snprintf(trouble, sizeof(trouble),
					 "chain %u: write %llu is there, but in volume %u %llu instead of %llu", chain,
					 (unsigned long long)last, v, (unsigned long long)n, (unsigned long long)want);
		}
	}
	if (!trouble[0] && (last < chains[chain].low || last > chains[chain].high))
		snprintf(trouble, sizeof(trouble), "chain %u: found %llu writes, answered before %llu, sent %llu",
			 chain, (unsigned long long)last, (unsigned long long)chains[chain].low,
			 (unsigned long long)chains[chain].high);
	return last;
}

const char *chains_check(const uint8_t *const volumes[CHAIN_VOLUMES], uint64_t *ret)
{
	struct note notes[CHAINS];
	uint64_t last[CHAINS];

	trouble[0] = '\0';
	*ret = 0;
	for (unsigned i = 0; i < CHAINS && !trouble[0]; i++) {
		last[i] = check_chain(volumes, i, &notes[i]);
		*ret += last[i];
	}
	for (unsigned i = 0; i < CHAINS && !trouble[0]; i++)
		for (unsigned k = 0; k < CHAINS; k++)
			if (notes[i].answered[k] > last[k])
				snprintf(trouble, sizeof(trouble),
					 "write %llu of chain %u is there, but only %llu of chain %u, not %llu",
					 (unsigned long long)last[i], i, (unsigned long long)last[k], k,
					 (unsigned long long)notes[i].answered[k]);
	return trouble[0] ? trouble : NULL;
}
