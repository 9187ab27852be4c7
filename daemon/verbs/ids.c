/* SPDX-License-Identifier: GPL-2.0-only */
/* ids.c - ids as EC2 has them: a prefix and 17 hex digits; at random, or computed for what was there before us. */
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "verbs/priv.h"

#define DIGITS 17u

static void hex(char *to, const char *prefix, const uint8_t *bytes)
{
	int at = snprintf(to, EBS_ID_MAX - DIGITS, "%s", prefix);

	for (unsigned i = 0; i < DIGITS; i++)
		to[(unsigned)at + i] = "0123456789abcdef"[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
	to[(unsigned)at + DIGITS] = '\0';
}

void ebs_new_id(char to[EBS_ID_MAX], const char *prefix)
{
	uint8_t bytes[(DIGITS + 1) / 2];

	while (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		;
	hex(to, prefix, bytes);
}

void ebs_computed_id(char to[EBS_ID_MAX], const char *prefix, const char *a, const char *b)
{
	uint8_t digest[32];
	gnutls_hash_hd_t h;

	memset(digest, 0, sizeof(digest));
	if (!gnutls_hash_init(&h, GNUTLS_DIG_SHA256)) {
		gnutls_hash(h, a, strlen(a) + 1);
		gnutls_hash(h, b, strlen(b) + 1);
		gnutls_hash_deinit(h, digest);
	}
	hex(to, prefix, digest);
}

bool ebs_is_id(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return !strncmp(text, prefix, n) && strlen(text) == n + DIGITS &&
	       strspn(text + n, "0123456789abcdef") == DIGITS;
}
