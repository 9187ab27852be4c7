/* SPDX-License-Identifier: GPL-2.0-only */
/* rate.c - token buckets in sets of eight. A name is known by its keyed hash, so that nobody can choose one that falls
 * on another's bucket.
 */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "http/rate.h"

#define SETS 512
#define WAYS 8

struct bucket {
	uint64_t name; /* hash; 0: free */
	uint64_t full; /* when it is full again, see rate_take() */
};

struct rate {
	pthread_mutex_t lock;
	uint32_t each_s;
	uint8_t key[32];
	struct bucket set[SETS][WAYS];
};

struct rate *rate_new(uint32_t each_s)
{
	struct rate *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	if (gnutls_rnd(GNUTLS_RND_KEY, r->key, sizeof(r->key)) < 0) {
		free(r);
		return NULL;
	}
	r->each_s = MAX(each_s, 1U);
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void rate_free(struct rate *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static uint64_t hash(const struct rate *r, const void *name, size_t len)
{
	uint8_t mac[32];
	uint64_t h = 1;

	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, r->key, sizeof(r->key), name, len, mac) == 0)
		memcpy(&h, mac, sizeof(h));
	return h ? h : 1;
}

/* The bucket of that name; else one that is free, or the fullest. */
static struct bucket *find(struct bucket *set, uint64_t name)
{
	struct bucket *best = &set[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].name == name)
			return &set[i];
		if (set[i].full < best->full)
			best = &set[i];
	}
	*best = (struct bucket){.name = name};
	return best;
}

/* A bucket that lacks k tokens is full again k / each_s seconds from now, so one number is all its state. Kept in
 * units of a thousandth of a token's time to lose nothing by rounding. */
unsigned rate_take(struct rate *r, const void *name, size_t len, uint64_t now_ms)
{
	uint64_t now = now_ms * r->each_s, burst = UINT64_C(1000) * r->each_s; /* 1000 units: one token */
	uint64_t h = hash(r, name, len);
	struct bucket *b;
	unsigned wait_s = 0;

	pthread_mutex_lock(&r->lock);
	b = find(r->set[h % SETS], h);
	if (b->full < now)
		b->full = now;
	if (b->full - now + 1000 <= burst)
		b->full += 1000;
	else
		wait_s = (unsigned)((b->full - now + 1000 - burst) / burst) + 1;
	pthread_mutex_unlock(&r->lock);
	return wait_s;
}
