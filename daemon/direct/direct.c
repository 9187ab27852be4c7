/* SPDX-License-Identifier: GPL-2.0-only */
/* direct.c - from a method and a path to an operation. */
#include "direct/direct.h"

#include <stdlib.h>
#include <string.h>

#include "direct/priv.h"

#define ROOT "/snapshots"
#define BLOCKS "blocks"

/* "*": an id; "#": a block's index. */
static const struct {
	const char *method, *parts[3];
	bool (*run)(struct direct_call *x);
} operations[] = {
	{"GET", {"*", BLOCKS, NULL}, direct_list},
	{"GET", {"*", "changedblocks", NULL}, direct_changed},
	{"GET", {"*", BLOCKS, "#"}, direct_get},
	{"PUT", {"*", BLOCKS, "#"}, direct_put},
	{"POST", {"completion", "*", NULL}, direct_complete},
	{"POST", {NULL}, direct_start},
};

bool direct_is(const char *path)
{
	size_t n = strlen(ROOT);

	return !strncmp(path, ROOT, n) && (!path[n] || path[n] == '/');
}

bool direct_unsigned(const char *method, const char *path)
{
	return direct_is(path) && !strcmp(method, "PUT");
}

/* Takes one part of what is left of a path; false: there is none. */
static bool next_part(const char **at, const char **part, size_t *len)
{
	if (**at != '/')
		return false;
	*part = *at + 1;
	*len = strcspn(*part, "/");
	*at = *part + *len;
	return true;
}

/* Which one it is; what is in the path is checked when it is known. */
static int match(const struct direct_call *x, unsigned i, char words[3][64])
{
	const char *at = x->q->path + strlen(ROOT), *part;
	size_t len;

	if (strcmp(x->q->method, operations[i].method))
		return false;
	for (unsigned k = 0; k < 3 && operations[i].parts[k]; k++) {
		const char *want = operations[i].parts[k];

		if (!next_part(&at, &part, &len) || len >= 64)
			return false;
		memcpy(words[k], part, len);
		words[k][len] = '\0';
		if (*want != '*' && *want != '#' && strcmp(want, words[k]) != 0)
			return false;
	}
	return !*at;
}

static bool run(struct direct_call *x)
{
	char words[3][64];

	for (unsigned i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		if (!match(x, i, words))
			continue;
		for (unsigned k = 0; k < 3 && operations[i].parts[k]; k++) {
			if (*operations[i].parts[k] == '*') {
				if (!direct_id(x, words[k]))
					return false;
				memcpy(x->id, words[k], sizeof(x->id));
			} else if (*operations[i].parts[k] == '#' &&
				   !direct_number(x, "blockIndex", words[k], 0, BLOCK_INDEX_MAX - 1, &x->index)) {
				return false;
			}
		}
		return operations[i].run(x);
	}
	direct_invalid(x, "INVALID_PARAMETER_VALUE", "There is no such operation.");
	x->status = 404;
	return false;
}

void direct_answer(struct ebs *e, const struct direct_request *q, struct direct_answer *ret)
{
	struct direct_call x = {.e = e, .q = q, .a = ret};

	memset(ret, 0, sizeof(*ret));
	if (!run(&x))
		direct_put_error(&x);
}

void direct_refuse(const char *code, const char *text, struct direct_answer *ret)
{
	struct direct_call x = {.a = ret};

	memset(ret, 0, sizeof(*ret));
	direct_fail_verb(&x, code, text);
	direct_put_error(&x);
}
