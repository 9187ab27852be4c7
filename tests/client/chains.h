/* SPDX-License-Identifier: GPL-2.0-only */
/* chains.h - writes that depend on each other, over several volumes, and the proof that what is found is one moment.
 *
 * Each chain is a row of writes: the n-th goes to volume n % CHAIN_VOLUMES, and is sent when the one before was
 * answered. Each says what of every other chain was answered when it was sent. So, if the n-th write of a chain is
 * there:
 * (1) so are all before it, whichever volume they went to (its places are a ring: the latest in each place);
 * (2) so is, of each other chain, what it says was answered before it was sent.
 * Also, what was answered before a snapshot was asked for is in it, and nothing that was sent after its answer (3).
 */
#ifndef TEST_CHAINS_H
#define TEST_CHAINS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/client/client.h"
#include "tests/client/control.h"

#define CHAIN_VOLUMES 3u
#define CHAINS 8u
#define CHAIN_PLACES 32u	/* of one chain in each volume */
#define CHAIN_BLOCK 4096u
#define CHAINS_BYTES (CHAINS * CHAIN_PLACES * CHAIN_BLOCK)	/* of each volume, from its first on */

enum chains_kill { CHAINS_LIVE, CHAINS_KILL_ANSWERED, CHAINS_KILL_ASKED };

struct chains_run {
	struct client *sessions;	/* all of them write */
	unsigned nsessions;
	int luns[CHAIN_VOLUMES];
	const char *socket, *request;	/* sent amid the writes */
	struct control *control;	/* its answer, unless killed before */
	enum chains_kill kill;		/* when to send SIGKILL to the target */
	pid_t pid;
};

/* Goes on where the last run ended. NULL, or what went wrong. A killed run ends with dead sessions and open writes. */
const char *chains_run(const struct chains_run *run);
/* chains_check is from now on about all that was answered, not about the last request. */
void chains_now(void);
/* Proves (1) to (3). NULL, or what is wrong. *ret: writes found. */
const char *chains_check(const uint8_t *const volumes[CHAIN_VOLUMES], uint64_t *ret);

#endif
