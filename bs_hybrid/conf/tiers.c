/* SPDX-License-Identifier: GPL-2.0-only */
/* tiers.c - the tiers of a pool, fastest first: one ram, the write tier, cache levels below it, one capacity tier. */
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "conf/read.h"

#define EXPECTED_TIERS "expected one ram, one or more ssd, one capacity"

static const char *const type_names[] = { [CONF_RAM] = "ram", [CONF_SSD] = "ssd", [CONF_CAPACITY] = "capacity" };
static const char *const words[CONF_TIER_TYPES] = {
	[CONF_RAM] = "the ram tier", [CONF_SSD] = "the ssd tier", [CONF_CAPACITY] = "the capacity tier",
	[CONF_MIRROR] = "the ssd tier's second half", [CONF_LEVEL1] = "cache level 1", [CONF_LEVEL2] = "cache level 2",
	[CONF_LEVEL3] = "cache level 3", [CONF_LEVEL4] = "cache level 4",
};

const char *conf_tier_name(enum conf_tier_type type)
{
	return type_names[type > CONF_CAPACITY ? CONF_SSD : type];
}

const char *tier_words(enum conf_tier_type type)
{
	return words[type];
}

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
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (strcmp(type_names[i], s) == 0) {
			*ret = (enum conf_tier_type)i;
			return 0;
		}
	}
	return bad(r, &where, "unknown tier type \"%s\", expected \"ram\", \"ssd\" or \"capacity\"", shown(s));
}

/* Which place the next tier of this type has: of ssd the first is the write tier, the others are cache levels. */
static int next_place(struct reader *r, const struct at *at, const struct conf_pool *pool, enum conf_tier_type *type)
{
	int place = *type;

	for (int slower = place + 1; slower <= CONF_CAPACITY; slower++) {
		if (pool->tiers[slower].line)
			return bad(r, at, "the %s tier comes after the %s tier, expected the fastest first: ram, ssd, "
				   "capacity", type_names[place], type_names[slower]);
	}
	if (!pool->tiers[place].line)
		return 0;
	if (place != CONF_SSD)
		return bad(r, at, "a second %s tier, expected one", type_names[place]);
	for (place = CONF_LEVEL1; place < CONF_TIER_TYPES; place++) {
		if (!pool->tiers[place].line) {
			*type = (enum conf_tier_type)place;
			return 0;
		}
	}
	return bad(r, at, "too many ssd tiers, expected the write tier and at most %d cache levels", HB_LEVELS_MAX);
}

int read_tiers(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_pool *pool = out;
	struct at element = { .up = at };
	enum conf_tier_type type = CONF_RAM;
	int e;

	if (!json_is_array(v))
		return bad(r, at, "\"%s\" is no array, expected an array of tiers", key);
	for (; element.nth < json_array_size(v); element.nth++) {
		json_t *tier = json_array_get(v, element.nth);

		if (!json_is_object(tier))
			return read_object(r, tier, &element, "a tier", NULL, NULL);
		e = read_type(r, tier, &element, &type);
		if (e == 0)
			e = next_place(r, &element, pool, &type);
		if (e == 0)
			e = read_tier(r, tier, &element, type, &pool->tiers[type], &pool->tiers[CONF_MIRROR]);
		if (e < 0)
			return e;
	}
	for (int i = 0; i <= CONF_CAPACITY; i++) {
		if (!pool->tiers[i].line)
			return bad(r, at, "the %s tier is missing, " EXPECTED_TIERS, type_names[i]);
	}
	return 0;
}
