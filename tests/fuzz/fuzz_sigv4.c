/* SPDX-License-Identifier: GPL-2.0-only */
/* fuzz_sigv4.c - any bytes as a request: method, path, query, a header a line, an empty line, the body. What is parsed
 * is as the standard has it; what was not signed by the secret is not taken; what is, is, however it is written.
 */
#include <stdlib.h>
#include <string.h>

#include "sigv4/sigv4.h"

#define NOW 1440938160
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Up to the end of the line, which becomes its end; *at goes behind it. */
static char *line(char **at)
{
	char *begin = *at, *end = strchr(begin, '\n');

	*at = end ? end + 1 : begin + strlen(begin);
	if (end)
		*end = '\0';
	return begin;
}

static void read_request(char *text, size_t size, struct sigv4_field *fields, struct sigv4_request *q)
{
	char *at = text;

	*q = (struct sigv4_request){.fields = fields};
	q->method = line(&at);
	q->path = line(&at);
	q->query = line(&at);
	while (q->nfields < SIGV4_FIELDS_MAX) {
		char *name = line(&at), *colon = strchr(name, ':');

		if (!colon)
			break;
		*colon = '\0';
		fields[q->nfields++] = (struct sigv4_field){name, colon + 1};
	}
	q->body = at;
	q->len = size - (size_t)(at - text);
}

/* The same request, rightly signed, is taken (but for what it says of its body); with another secret it is not. */
static void sign(struct sigv4_request *q, const struct sigv4 *s)
{
	struct sigv4 right = *s;

	must(sigv4_signature(q, &right, SECRET, right.signature) == SIGV4_OK);
	must(sigv4_verify(q, &right, SECRET "x", NULL) != SIGV4_OK);
	if (sigv4_verify(q, &right, SECRET, NULL) == SIGV4_OK) {
		right.signature[63] ^= 1;
		must(sigv4_verify(q, &right, SECRET, NULL) == SIGV4_MISMATCH);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sigv4_field fields[SIGV4_FIELDS_MAX];
	char *text = calloc(1, size + 1);
	struct err err = ERR_INIT;
	struct sigv4_request q;
	struct sigv4 s;

	if (!text)
		return 0;
	memcpy(text, data, size);
	read_request(text, size, fields, &q);
	if (sigv4_parse(&q, NOW, &s, &err) == SIGV4_OK) {
		must(*s.key && *s.region && *s.service && strlen(s.stamp) == 16 && strlen(s.signature) == 64);
		must(strstr(s.signed_names, "host"));
		must(sigv4_verify(&q, &s, "another", &err) != SIGV4_OK);
		sign(&q, &s);
		q.unsigned_ok = true;
		sign(&q, &s);
	} else {
		must(err.code && *err.text);
	}
	free(text);
	return 0;
}
