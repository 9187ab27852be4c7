/* SPDX-License-Identifier: GPL-2.0-only */
/* guess.h - how likely a block near a miss will be asked for soon: a model that learns while it runs. Within the room.
 *
 * Logistic regression over pairs and triples of small clues, learnt one example at a time; the idea of asking a learnt
 * filter before fetching ahead is that of E. Bhatia et al., "Perceptron-Based Prefetch Filtering", ISCA 2019. */
#ifndef HB_CACHE_GUESS_H
#define HB_CACHE_GUESS_H

#include "base/units.h"

#define GUESS_FARS 14u			/* far: 7 classes of distance, each after and before the miss */

/* What is known of a candidate, in classes. Ages grow fourfold from class to class, distances twofold. */
struct clue {
	uint8_t age;			/* of the candidate: 0 never asked for, 1 .. 7 */
	uint8_t miss_age;		/* of the missing block, before it was asked for now: the same */
	uint8_t apart;			/* of their last times: 0 unknown, 1 at once .. 7; 8 .. 14 the miss later */
	uint8_t vain;			/* 0, 1: was fetched ahead in vain when it was here last */
	uint8_t far;			/* class of distance * 2 + (before the miss) */
	uint8_t run;			/* length of the stream so far: 0 none .. 4 */
	uint8_t size;			/* of the request: 0 one block .. 4 more than 8 */
	uint8_t busy;			/* of the 16 blocks around the candidate, lately asked for: 0 none .. 4 */
};

struct guess;

/* About 28 KiB. NULL when out of memory. It begins knowing that a stream goes on about as far as it has come. */
struct guess *guess_new(void);
void guess_free(struct guess *g);
uint64_t guess_bytes(const struct guess *g);
/* 0 .. 1 */
float guess_ask(const struct guess *g, const struct clue *c);
void guess_learn(struct guess *g, const struct clue *c, bool was_asked_for);

#endif
