/* SPDX-License-Identifier: GPL-2.0-only */
/* canon.c - a request in the one form that both ends hash, however it was written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sigv4/priv.h"

/* RFC 3986, 2.3. */
static bool is_unreserved(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

static void put_encoded(FILE *f, unsigned char c)
{
	if (is_unreserved(c))
		fputc(c, f);
	else
		fprintf(f, "%%%02X", c);
}

static int digit(char c)
{
	return c >= '0' && c <= '9'                     ? c - '0'
	       : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
							: -1;
}

/* What was encoded by the client is encoded anew, so that it is so in one way; '+' is a plus. */
static void put_again(FILE *f, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int high = i + 2 < len && text[i] == '%' ? digit(text[i + 1]) : -1;
		int low = high >= 0 ? digit(text[i + 2]) : -1;

		put_encoded(f, low >= 0 ? (unsigned char)(high << 4 | low) : (unsigned char)text[i]);
		i += low >= 0 ? 2 : 0;
	}
}

static void put_path(FILE *f, const char *path)
{
	if (!*path)
		fputc('/', f);
	for (; *path; path++)
		if (*path == '/')
			fputc('/', f);
		else
			put_encoded(f, (unsigned char)*path);
}

/* ---------------------------------------------------------------- the query */

/* "name\0value\0", encoded. A zero sorts before all that a name may have. */
static int compare(const void *a, const void *b)
{
	const char *one = *(const char *const *)a, *two = *(const char *const *)b;
	int names = strcmp(one, two);

	return names ? names : strcmp(one + strlen(one) + 1, two + strlen(two) + 1);
}

/* All pairs one behind the other, in one piece of memory; how many. */
static unsigned write_pairs(FILE *f, const char *query)
{
	unsigned n = 0;

	while (*query) {
		size_t len = strcspn(query, "&"), name = strcspn(query, "=&");

		if (len) {
			put_again(f, query, name);
			fputc('\0', f);
			put_again(f, query + name + (name < len), len - name - (name < len));
			fputc('\0', f);
			n++;
		}
		query += len + (query[len] == '&');
	}
	return n;
}

static bool put_query(FILE *f, const char *query)
{
	const char **sorted = NULL;
	char *pairs = NULL, *at;
	size_t len = 0;
	FILE *p = open_memstream(&pairs, &len);
	unsigned n = p ? write_pairs(p, query) : 0;
	bool ok = p && !fclose(p);

	if (ok)
		sorted = calloc((size_t)n + 1, sizeof(*sorted));
	at = pairs;
	for (unsigned i = 0; sorted && i < n; i++) {
		sorted[i] = at;
		at += strlen(at) + 1;
		at += strlen(at) + 1;
	}
	if (sorted)
		qsort(sorted, n, sizeof(*sorted), compare);
	for (unsigned i = 0; sorted && i < n; i++)
		fprintf(f, "%s%s=%s", i ? "&" : "", sorted[i], sorted[i] + strlen(sorted[i]) + 1);
	ok = sorted != NULL;
	free(sorted);
	free(pairs);
	return ok;
}

/* ---------------------------------------------------------------- the headers */

/* Without blanks at its ends, and one for several within. */
static void put_trimmed(FILE *f, const char *value)
{
	bool blank = false, begun = false;

	for (; *value; value++) {
		if (*value == ' ' || *value == '\t') {
			blank = begun;
			continue;
		}
		if (blank)
			fputc(' ', f);
		fputc(*value, f);
		blank = false;
		begun = true;
	}
}

static void put_fields(FILE *f, const struct sigv4_request *q, const char *names)
{
	while (*names) {
		size_t len = strcspn(names, ";");
		unsigned seen = 0;

		fprintf(f, "%.*s:", (int)len, names);
		for (unsigned i = 0; i < q->nfields; i++) {
			if (strlen(q->fields[i].name) != len || strncasecmp(q->fields[i].name, names, len))
				continue;
			if (seen++)
				fputc(',', f);
			put_trimmed(f, q->fields[i].value);
		}
		fputc('\n', f);
		names += len + (names[len] == ';');
	}
}

char *sigv4_canonical(const struct sigv4_request *q, const struct sigv4 *s, const char *body_hash)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	bool ok = f;

	if (!ok)
		return NULL;
	fprintf(f, "%s\n", q->method);
	put_path(f, q->path);
	fputc('\n', f);
	ok = put_query(f, q->query);
	fputc('\n', f);
	put_fields(f, q, s->signed_names);
	fprintf(f, "\n%s\n%s", s->signed_names, body_hash);
	ok &= !ferror(f);
	ok &= !fclose(f);
	if (ok)
		return text;
	free(text);
	return NULL;
}
