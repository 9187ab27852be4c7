/* SPDX-License-Identifier: GPL-2.0-only */
/* tiers.c - the tiers of a pool: one of each type, fastest first, and no device twice. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/units.h"
#include "conf/read.h"

static const char *const tier_names[CONF_TIER_TYPES] = { "ram", "ssd", "capacity" };

const char *conf_tier_name(enum conf_tier_type type)
{
	return tier_names[type];
}

/* ------------------------------------------------------------------ one tier */

static int tier_type(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	(void)r, (void)key, (void)v, (void)at, (void)out;	/* read before the others */
	return 0;
}

static int tier_path(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_tier *tier = out;

	return read_path(r, key, v, at, &tier->path);
}

static int tier_size(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_tier *tier = out;

	return read_size(r, key, v, at, &tier->size_bytes);
}

static int ram_size(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_tier *tier = out;
	int e = read_size(r, key, v, at, &tier->size_bytes);

	if (e == 0 && tier->size_bytes < CONF_RAM_BYTES_MIN)
		e = bad(r, at, "\"%s\" is \"%s\", expected at least \"4MiB\" of RAM", key, shown(json_string_value(v)));
	return e;
}

static const struct field ram_fields[] = {
	{ "type", true, tier_type }, { "size", true, ram_size }, { NULL, false, NULL },
};

static const struct field device_fields[] = {
	{ "type", true, tier_type }, { "path", true, tier_path }, { "size", false, tier_size }, { NULL, false, NULL },
};

/* The place of a member that is there. */
static struct at member_at(json_t *object, const struct at *at, const char *wanted)
{
	struct at member = { .up = at };
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		if (strcmp(key, wanted) == 0)
			break;
		member.nth++;
	}
	return member;
}

static int read_type(struct reader *r, json_t *v, const struct at *at, enum conf_tier_type *ret)
{
	json_t *type = json_object_get(v, "type");
	struct at where;
	const char *s;
	int e;

	if (!type)
		return bad(r, at, "a tier lacks \"type\", expected \"ram\", \"ssd\" or \"capacity\"");
	where = member_at(v, at, "type");
	e = read_string(r, "type", type, &where, &s);
	if (e < 0)
		return e;
	for (int i = 0; i < CONF_TIER_TYPES; i++) {
		if (strcmp(tier_names[i], s) == 0) {
			*ret = (enum conf_tier_type)i;
			return 0;
		}
	}
	return bad(r, &where, "unknown tier type \"%s\", expected \"ram\", \"ssd\" or \"capacity\"", shown(s));
}

/* ------------------------------------------------------------------ all tiers of a pool */

static int read_tier(struct reader *r, json_t *v, const struct at *at, struct conf_pool *pool)
{
	enum conf_tier_type type = CONF_RAM;
	char what[32];
	int e;

	if (!json_is_object(v))
		return read_object(r, v, at, "a tier", device_fields, NULL);
	e = read_type(r, v, at, &type);
	if (e < 0)
		return e;
	if (pool->tiers[type].line)
		return bad(r, at, "a second %s tier, expected one of each type", tier_names[type]);
	for (int slower = type + 1; slower < CONF_TIER_TYPES; slower++) {
		if (pool->tiers[slower].line)
			return bad(r, at, "the %s tier comes after the %s tier, expected the fastest first: ram, ssd, "
				   "capacity", tier_names[type], tier_names[slower]);
	}
	pool->tiers[type].line = conf_line(r->text, r->len, at, false);
	snprintf(what, sizeof(what), "the %s tier", tier_names[type]);
	return read_object(r, v, at, what, type == CONF_RAM ? ram_fields : device_fields, &pool->tiers[type]);
}

int read_tiers(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_pool *pool = out;
	struct at element = { .up = at };
	int e;

	if (!json_is_array(v))
		return bad(r, at, "\"%s\" is no array, expected an array of tiers", key);
	for (; element.nth < json_array_size(v); element.nth++) {
		e = read_tier(r, json_array_get(v, element.nth), &element, pool);
		if (e < 0)
			return e;
	}
	for (int i = 0; i < CONF_TIER_TYPES; i++) {
		if (!pool->tiers[i].line)
			return bad(r, at, "the %s tier is missing, expected one each of ram, ssd and capacity",
				   tier_names[i]);
	}
	return 0;
}

/* ------------------------------------------------------------------ no device twice */

/* What is known of the thing behind a path. */
struct identity {
	const struct conf_pool *pool;
	enum conf_tier_type type;
	char *real;			/* owner; NULL: no memory */
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
	const char *path = pool->tiers[type].path;

	*id = (struct identity){ .pool = pool, .type = type, .real = real_path(path) };
	id->exists = stat(path, &id->st) == 0;
}

static bool same_thing(const struct identity *a, const struct identity *b)
{
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
		       "%s:%u: %s is already the %s tier of pool \"%s\" (line %u), expected another device", r->file,
		       tier->line, shown(tier->path), tier_names[first->type], first->pool->name,
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
	struct identity *ids = mem_calloc(r->conf->npools, 2 * sizeof(*ids));
	size_t n = 0;
	int e;

	if (!ids)
		return err_set(r->err, -ENOMEM, "%s: out of memory", r->file);
	for (size_t i = 0; i < r->conf->npools; i++) {
		identify(&ids[n++], &r->conf->pools[i], CONF_SSD);
		identify(&ids[n++], &r->conf->pools[i], CONF_CAPACITY);
	}
	e = find_same(r, ids, n);
	for (size_t i = 0; i < n; i++)
		free(ids[i].real);
	mem_free(ids);
	return e;
}
