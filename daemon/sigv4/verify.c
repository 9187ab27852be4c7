/* SPDX-License-Identifier: GPL-2.0-only */
/* verify.c - the signature that a request must have, and whether it has it. */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sigv4/priv.h"

#define MAC 32

static void hex(const uint8_t in[MAC], char to[65])
{
	for (unsigned i = 0; i < 2 * MAC; i++)
		to[i] = "0123456789abcdef"[i % 2 ? in[i / 2] & 15 : in[i / 2] >> 4];
	to[2 * MAC] = '\0';
}

static bool hash(const void *data, size_t len, char to[65])
{
	uint8_t digest[MAC];

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data, len, digest))
		return false;
	hex(digest, to);
	return true;
}

static bool mac(const void *key, size_t key_len, const char *text, uint8_t to[MAC])
{
	uint8_t out[MAC]; /* `to` may be the key */

	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, key_len, text, strlen(text), out))
		return false;
	memcpy(to, out, MAC);
	return true;
}

/* What is in the request as its body's hash: what the client says it is, or what it is. */
static bool hash_of_body(const struct sigv4_request *q, char to[65])
{
	static const char name[] = "x-amz-content-sha256";
	unsigned n;
	const char *said = sigv4_field(q, name, sizeof(name) - 1, &n);

	if (said && !strcmp(said, UNSIGNED)) {
		memcpy(to, UNSIGNED, sizeof(UNSIGNED));
		return true;
	}
	return hash(q->body, q->len, to);
}

static bool sign(const struct sigv4 *s, const char *secret, const char *canonical, char to[65])
{
	char day[9], start[256], text[512], digest[65];
	uint8_t key[MAC];
	size_t len = strlen(secret);
	bool ok;

	memcpy(day, s->stamp, 8);
	day[8] = '\0';
	if (len > sizeof(start) - 5 || !hash(canonical, strlen(canonical), digest))
		return false;
	memcpy(start, "AWS4", 4);
	memcpy(start + 4, secret, len + 1);
	snprintf(text, sizeof(text), ALGORITHM "\n%s\n%s/%s/%s/aws4_request\n%s", s->stamp, day, s->region, s->service,
		 digest);
	ok = mac(start, len + 4, day, key) && mac(key, MAC, s->region, key) && mac(key, MAC, s->service, key) &&
	     mac(key, MAC, "aws4_request", key) && mac(key, MAC, text, key);
	if (ok)
		hex(key, to);
	explicit_bzero(start, sizeof(start));
	explicit_bzero(key, sizeof(key));
	return ok;
}

enum sigv4_fault sigv4_signature(const struct sigv4_request *q, const struct sigv4 *s, const char *secret,
				 char to[65])
{
	char body[65];
	char *canonical = hash_of_body(q, body) ? sigv4_canonical(q, s, body) : NULL;
	bool ok = canonical && sign(s, secret, canonical, to);

	free(canonical);
	return ok ? SIGV4_OK : SIGV4_NO_MEMORY;
}

/* What the client says of its body must be so, or be let pass. */
static enum sigv4_fault check_body(const struct sigv4_request *q, struct err *err)
{
	static const char name[] = "x-amz-content-sha256";
	unsigned n;
	const char *said = sigv4_field(q, name, sizeof(name) - 1, &n);
	char is[65];

	if (!n)
		return SIGV4_OK;
	if (!said) {
		err_set(err, -EACCES, "The header x-amz-content-sha256 is there more than once.");
		return SIGV4_INCOMPLETE;
	}
	if (!strcmp(said, UNSIGNED)) {
		if (q->unsigned_ok)
			return SIGV4_OK;
		err_set(err, -EACCES, "The body has to be signed here: " UNSIGNED " will not do.");
		return SIGV4_INCOMPLETE;
	}
	if (!hash(q->body, q->len, is))
		return SIGV4_NO_MEMORY;
	if (!strcmp(said, is))
		return SIGV4_OK;
	err_set(err, -EACCES, "The provided 'x-amz-content-sha256' header does not match what was computed.");
	return SIGV4_MISMATCH;
}

enum sigv4_fault sigv4_verify(const struct sigv4_request *q, const struct sigv4 *s, const char *secret,
			      struct err *err)
{
	enum sigv4_fault f = check_body(q, err);
	char must[65];

	f = f ? f : sigv4_signature(q, s, secret, must);
	if (f == SIGV4_NO_MEMORY)
		err_set(err, -ENOMEM, "out of memory");
	if (!f && gnutls_memcmp(must, s->signature, sizeof(must))) {
		err_set(err, -EACCES,
			"The request signature we calculated does not match the signature you provided. Check your key "
			"and signing method.");
		f = SIGV4_MISMATCH;
	}
	explicit_bzero(must, sizeof(must));
	return f;
}
