/* SPDX-License-Identifier: GPL-2.0-only */
/* differ.c - no device twice: in one pool or in two, in whatever role, under whatever name. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/units.h"
#include "conf/read.h"

/* What is known of the thing behind a path or a name. */
struct identity {
	const struct conf_pool *pool;
	enum conf_tier_type type;
	char *real;			/* owner; NULL: no memory. Of a remote LUN its name */
	bool exists;
	struct stat st;
};

/* The path without symbolic links; of a file that does not exist yet, that of its directory and its name. */
static char *real_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *real = realpath(path, NULL), *dir, *parent;
	int n;

	if (real)
		return real;
	parent = strndup(path, (size_t)(slash - path) + 1);
	dir = parent ? realpath(parent, NULL) : NULL;
	n = asprintf(&real, "%s/%s", dir ? dir : parent ? parent : "", slash + 1);
	free(dir);
	free(parent);
	return n < 0 ? NULL : real;
}

static void identify(struct identity *id, const struct conf_pool *pool, enum conf_tier_type type)
{
	const struct conf_tier *tier = &pool->tiers[type];

	*id = (struct identity){ .pool = pool, .type = type };
	id->real = tier->iscsi ? strdup(tier->name) : real_path(tier->path);
	id->exists = !tier->iscsi && stat(tier->path, &id->st) == 0;
}

static bool is_remote(const struct identity *id)
{
	return id->pool->tiers[id->type].iscsi;
}

static bool same_thing(const struct identity *a, const struct identity *b)
{
	if (is_remote(a) || is_remote(b))	/* iSCSI names and host names know no case (RFC 7143, 4.2.7.1) */
		return is_remote(a) && is_remote(b) && strcasecmp(a->real, b->real) == 0;
	if (strcmp(a->real, b->real) == 0)
		return true;
	if (!a->exists || !b->exists)
		return false;
	if (S_ISBLK(a->st.st_mode) && S_ISBLK(b->st.st_mode))
		return a->st.st_rdev == b->st.st_rdev;
	return a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino;
}

static int tell_same(struct reader *r, const struct identity *first, const struct identity *second)
{
	const struct conf_tier *tier = &second->pool->tiers[second->type];

	return err_set(r->err, -EINVAL,
		       "%s:%u: %s is already %s of pool \"%s\" (line %u), expected another device", r->file,
		       tier->line, shown(tier->name), tier_words(first->type), first->pool->name,
		       first->pool->tiers[first->type].line);
}

static int find_same(struct reader *r, const struct identity *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!ids[i].real)
			return err_set(r->err, -ENOMEM, "%s: out of memory", r->file);
	}
	for (size_t b = 1; b < n; b++) {
		for (size_t a = 0; a < b; a++) {
			if (same_thing(&ids[a], &ids[b]))
				return tell_same(r, &ids[a], &ids[b]);
		}
	}
	return 0;
}

int check_devices_differ(struct reader *r)
{
	struct identity *ids = mem_calloc(r->conf->npools, CONF_TIER_TYPES * sizeof(*ids));
	/* In the order of the file, so that it is the later one that is complained of. */
	static const enum conf_tier_type order[] = {
		CONF_SSD, CONF_MIRROR, CONF_LEVEL1, CONF_LEVEL2, CONF_LEVEL3, CONF_LEVEL4, CONF_CAPACITY,
	};
	size_t n = 0;
	int e;

	if (!ids)
		return err_set(r->err, -ENOMEM, "%s: out of memory", r->file);
	for (size_t i = 0; i < r->conf->npools; i++) {
		for (size_t k = 0; k < ARRAY_LEN(order); k++) {
			if (r->conf->pools[i].tiers[order[k]].line)
				identify(&ids[n++], &r->conf->pools[i], order[k]);
		}
	}
	e = find_same(r, ids, n);
	for (size_t i = 0; i < n; i++)
		free(ids[i].real);
	mem_free(ids);
	return e;
}
