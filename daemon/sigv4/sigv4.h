/* SPDX-License-Identifier: GPL-2.0-only */
/* sigv4.h - proofs that a request is of who has a secret, as AWS has them (Signature Version 4, in the header
 * "Authorization"). Pure: no clock, no catalogue, nothing kept between calls.
 *
 * A request is parsed; what it says of itself (which key, for which service) lets the caller find the secret; then it
 * is verified.
 *
 * Invariants
 * (1) What is signed: method, path, query, host, all headers x-amz-*, the date and the body (unless the caller lets
 *     "UNSIGNED-PAYLOAD" pass). A request in which any of them is not covered is refused, whoever signed it.
 * (2) A request is good for SIGV4_WINDOW_S around its date. Within it, it may come again: who must not do a thing twice
 *     sends a token.
 * (3) Signatures are compared in the same time whatever they are.
 *
 * A path is taken as it was sent, and encoded once more (as all services but S3 have it); it is not shortened, so
 * "//", "/./" and "/../" have to be signed as they are sent.
 */
#ifndef HB_SIGV4_H
#define HB_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SIGV4_WINDOW_S 300
#define SIGV4_FIELDS_MAX 128

struct sigv4_field {
	const char *name, *value;
};

/* All borrowed, as the client sent it. */
struct sigv4_request {
	const char *method; /* "POST" */
	const char *path; /* "/v1/volume-create"; encoded */
	const char *query; /* without '?'; "": none */
	const struct sigv4_field *fields; /* the headers, in their order; at most SIGV4_FIELDS_MAX */
	unsigned nfields;
	const void *body;
	size_t len;
	bool unsigned_ok; /* the body need not be covered: where TLS has seen to it */
};

/* What AWS calls it. */
enum sigv4_fault {
	SIGV4_OK,
	SIGV4_MISSING, /* MissingAuthenticationToken */
	SIGV4_INCOMPLETE, /* IncompleteSignature: not what the standard has, or not all that must be is signed */
	SIGV4_EXPIRED, /* RequestExpired: the window */
	SIGV4_MISMATCH, /* SignatureDoesNotMatch: also a body that is not the one which was signed */
	SIGV4_NO_MEMORY,
};

/* What a request says of its signature; not proved before sigv4_verify(). */
struct sigv4 {
	char key[129]; /* the access key: 1 to 128 letters, digits, '_' */
	char region[65], service[65]; /* 1 to 64 letters, digits, '-', '_' */
	char stamp[17]; /* "20260102T030405Z": when it was signed */
	char signed_names[4096]; /* "host;x-amz-date": in small letters, ascending */
	char signature[65]; /* 64 hex digits, small */
};

/* now_s: seconds since 1970. On a fault `err` has a sentence for the client, and *ret holds nothing. */
enum sigv4_fault sigv4_parse(const struct sigv4_request *q, int64_t now_s, struct sigv4 *ret, struct err *err);
/* Of what sigv4_parse() gave for the same request. */
enum sigv4_fault sigv4_verify(const struct sigv4_request *q, const struct sigv4 *s, const char *secret,
			      struct err *err);
/* The signature that `s` (all of it but that) has to have with this secret: what sigv4_verify() compares with, and how
 * one signs. SIGV4_OK or SIGV4_NO_MEMORY. */
enum sigv4_fault sigv4_signature(const struct sigv4_request *q, const struct sigv4 *s, const char *secret,
				 char to[65]);

#endif
