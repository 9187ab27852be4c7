/* SPDX-License-Identifier: GPL-2.0-only */
/* trace.c - building a trace: requests become blocks, blocks become small numbers. */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/units.h"

/* "/x/P2.lis.xz" is "P2" in tables. */
static char *name_of(const char *path)
{
	static const char *const endings[] = {".xz", ".gz", ".zst", ".bz2", ".lis", ".csv", ".vscsi", ".bin", ".log",
					      ".txt"};
	const char *slash = strrchr(path, '/');
	char *name = strdup(slash && slash[1] ? slash + 1 : strcmp(path, "-") ? path : "stdin");
	bool again = name;

	while (again) {
		again = false;
		for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
			size_t n = strlen(name), m = strlen(endings[i]);

			if (n > m && !strcmp(name + n - m, endings[i])) {
				name[n - m] = '\0';
				again = true;
			}
		}
	}
	return name;
}

struct trace *trace_new(const char *path, bool reads_only)
{
	struct trace *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->path = strdup(path);
	t->name = name_of(path);
	t->reads_only = reads_only;
	if (t->path && t->name)
		return t;
	trace_free(t);
	return NULL;
}

void trace_forget(struct trace *t)
{
	free(t->requests);
	free(t->accesses);
	free(t->keys);
	free(t->next);
	t->requests = t->accesses = t->next = NULL;
	t->keys = NULL;
	keymap_free(&t->numbers);
	keymap_free(&t->volumes);
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	trace_forget(t);
	free(t->path);
	free(t->name);
	free(t);
}

/* Room for `more` elements of a table. */
static int reserve(void **table, uint64_t *room, uint64_t have, uint64_t more, size_t each)
{
	uint64_t want = MAX(2 * *room, MAX(have + more, 1024u));
	void *p;

	if (have + more <= *room)
		return 0;
	p = reallocarray(*table, want, each);
	if (!p)
		return -ENOMEM;
	*table = p;
	*room = want;
	return 0;
}

uint64_t trace_name_hash(uint64_t before, const char *name)
{
	uint64_t h = before ^ 0xcbf29ce484222325ull;	/* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3ull;
	return hash64(h + 1);
}

int trace_volume(struct trace *t, uint64_t name_hash, uint32_t *ret, struct err *err)
{
	*ret = keymap_get(&t->volumes, name_hash);
	if (*ret != KEYMAP_NONE)
		return 0;
	if (t->volumes.count >= KEY_VOLUMES)
		return err_set(err, -ENOSPC, "more than %u volumes", KEY_VOLUMES);
	*ret = (uint32_t)t->volumes.count;
	return keymap_put(&t->volumes, name_hash, *ret) ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int number_of(struct trace *t, uint64_t key, uint32_t *ret)
{
	*ret = keymap_get(&t->numbers, key);
	if (*ret != KEYMAP_NONE)
		return 0;
	if (reserve((void **)&t->keys, &t->room_keys, t->nunique, 1, sizeof(*t->keys)) ||
	    keymap_put(&t->numbers, key, t->nunique))
		return -ENOMEM;
	t->keys[t->nunique] = key;
	*ret = t->nunique++;
	return 0;
}

int trace_add(struct trace *t, uint32_t volume, uint64_t offset, uint64_t bytes, bool write, struct err *err)
{
	uint64_t first = offset >> BLK_SHIFT, last;
	uint32_t n;

	if (!bytes || (write && t->reads_only)) {
		t->nignored += !bytes;
		return 0;
	}
	if (bytes > REQUEST_BYTES_MAX)
		return err_set(err, -ERANGE, "a request of %" PRIu64 " bytes: at most 1 GiB makes sense", bytes);
	if (offset > UINT64_MAX - bytes || (last = (offset + bytes - 1) >> BLK_SHIFT) >> KEY_BLOCK_BITS)
		return err_set(err, -ERANGE, "a request at byte %" PRIu64 ": no disk is so large", offset);
	n = (uint32_t)(last - first + 1);
	if (t->naccesses + n >= NEVER)
		return err_set(err, -ERANGE, "more than %u accesses to blocks: replay a part of it", NEVER - 1);
	if (reserve((void **)&t->requests, &t->room_requests, t->nrequests, 1, sizeof(*t->requests)) ||
	    reserve((void **)&t->accesses, &t->room_accesses, t->naccesses, n, sizeof(*t->accesses)))
		return err_set(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < n; i++)
		if (number_of(t, (uint64_t)volume << KEY_BLOCK_BITS | (first + i), &t->accesses[t->naccesses + i]))
			return err_set(err, -ENOMEM, "out of memory");
	t->requests[t->nrequests++] = n | (write ? REQUEST_WRITE : 0);
	t->nwrites += write;
	t->naccesses += n;
	t->nreads += write ? 0 : n;
	return 0;
}

int trace_look_ahead(struct trace *t, struct err *err)
{
	uint32_t *seen;

	if (t->next)
		return 0;
	t->next = reallocarray(NULL, t->naccesses + 1, sizeof(*t->next));
	seen = reallocarray(NULL, t->nunique + 1, sizeof(*seen));
	if (!t->next || !seen) {
		free(seen);
		return err_set(err, -ENOMEM, "%s: out of memory", t->path);
	}
	memset(seen, 0xff, t->nunique * sizeof(*seen));	/* NEVER */
	for (uint64_t i = t->naccesses; i-- > 0;) {
		t->next[i] = seen[t->accesses[i]];
		seen[t->accesses[i]] = (uint32_t)i;
	}
	free(seen);
	return 0;
}
