/* SPDX-License-Identifier: GPL-2.0-only */
/* guess.c - how likely a block near a miss will be asked for soon: logistic regression over tables of weights. */
#include "cache/guess.h"

#include "base/mem.h"

#include <assert.h>

#define TABLES 7u
#define TABLE_LEN 1024u
#define BIAS (-0.5f)
#define RATE 0.1f			/* a step, in the logarithm of the odds, of a guess that was wholly wrong */
#define LINK_STEPS 16			/* per unit of the logarithm of the odds */
#define LINK_MAX 8

struct guess {
	float weight[TABLES][TABLE_LEN];
	float link[2 * LINK_MAX * LINK_STEPS + 1];	/* the logistic function from -LINK_MAX to LINK_MAX */
};

static void places_of(const struct clue *c, uint32_t at[TABLES])
{
	at[0] = (c->apart * GUESS_FARS + c->far) * 2u + c->vain;
	at[1] = (c->age * 8u + c->miss_age) * 8u + c->busy;
	at[2] = (c->run * GUESS_FARS + c->far) * 8u + c->size;
	at[3] = c->busy * 16u + c->apart;
	at[4] = (c->size * 8u + c->miss_age) * GUESS_FARS + c->far;
	at[5] = (c->run * 8u + c->age) * 8u + c->miss_age;
	at[6] = (c->busy * GUESS_FARS + c->far) * 2u + c->vain;
}

struct guess *guess_new(void)
{
	struct guess *g = mem_zalloc(sizeof(*g));
	double odds = 1, step = 0.93941306281347579;	/* e^(-1/LINK_STEPS): no libm is linked */
	struct clue c = {0};

	if (!g)
		return NULL;
	for (int i = 0; i <= LINK_MAX * LINK_STEPS; i++, odds *= step) {
		g->link[LINK_MAX * LINK_STEPS + i] = (float)(1 / (1 + odds));
		g->link[LINK_MAX * LINK_STEPS - i] = (float)(odds / (1 + odds));
	}
	for (c.run = 0; c.run <= 4; c.run++)
		for (c.far = 0; c.far < GUESS_FARS; c.far++)
			for (c.size = 0; c.size < 8; c.size++) {
				uint32_t at[TABLES];
				bool before = c.far & 1, within = c.run && c.far / 2u <= c.run + 2u;

				places_of(&c, at);
				g->weight[2][at[2]] = before || !c.run ? -1.0f : within ? 2.0f : -0.5f;
			}
	return g;
}

void guess_free(struct guess *g)
{
	mem_free(g);
}

uint64_t guess_bytes(const struct guess *g)
{
	return sizeof(*g);
}

float guess_ask(const struct guess *g, const struct clue *c)
{
	uint32_t at[TABLES];
	float sum = BIAS;

	places_of(c, at);
	for (uint32_t t = 0; t < TABLES; t++) {
		assert(at[t] < TABLE_LEN);
		sum += g->weight[t][at[t]];
	}
	sum = sum < -LINK_MAX ? -LINK_MAX : sum > LINK_MAX ? LINK_MAX : sum;
	return g->link[(int)((sum + LINK_MAX) * LINK_STEPS)];
}

void guess_learn(struct guess *g, const struct clue *c, bool was_asked_for)
{
	float step = RATE * ((was_asked_for ? 1.0f : 0.0f) - guess_ask(g, c));
	uint32_t at[TABLES];

	places_of(c, at);
	for (uint32_t t = 0; t < TABLES; t++)
		g->weight[t][at[t]] += step;
}
