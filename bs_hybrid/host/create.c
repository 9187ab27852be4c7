/* SPDX-License-Identifier: GPL-2.0-only */
/* create.c - formatting a pool: its files made, nothing foreign overwritten, nothing left behind when it fails. */
#include <errno.h>
#include <unistd.h>

#include "host/priv.h"

struct creation {
	const struct conf_pool *conf;
	bool made[CONF_TIER_TYPES];	/* files of ours: removed again on failure */
	struct devices devices;
	struct host_env env_ctx;
	struct hb_env env;
};

/* The devices that a configuration may have, in the order in which they are looked at. */
static const enum conf_tier_type order[] = {
	CONF_CAPACITY, CONF_SSD, CONF_MIRROR, CONF_LEVEL1, CONF_LEVEL2, CONF_LEVEL3, CONF_LEVEL4,
};

static int make_missing(struct creation *c, struct err *err)
{
	int r = 0;

	for (int type = CONF_SSD; type < CONF_TIER_TYPES && r == 0; type++) {
		if (!c->conf->tiers[type].line)
			continue;
		r = file_make_missing(&c->conf->tiers[type], type != CONF_CAPACITY, &c->made[type], err);
		if (r < 0)
			tier_wrap(err, c->conf, (enum conf_tier_type)type);
	}
	return r;
}

static void remove_made(const struct creation *c)
{
	for (int i = 0; i < CONF_TIER_TYPES; i++) {
		if (c->made[i])
			unlink(c->conf->tiers[i].path);
	}
}

static int open_all(struct creation *c, struct err *err)
{
	int r = devices_open(c->conf, NULL, false, &c->devices, err);

	if (r == 0 && c->conf->tiers[CONF_MIRROR].line && (!c->devices.dev[CONF_SSD] || !c->devices.dev[CONF_MIRROR]))
		return err_set(err, -EIO, "both devices of a mirrored write tier are needed to make a pool");
	for (int type = CONF_LEVEL1; type < CONF_TIER_TYPES && r == 0; type++) {
		if (c->conf->tiers[type].line)
			r = devices_open_level(c->conf, (enum conf_tier_type)type, &c->devices, err);
	}
	if (r == 0)
		env_init(&c->env_ctx, &c->devices, &c->env);
	return r;
}

/* All devices are looked at before the first is written to. */
static int check_all_empty(struct creation *c, bool force, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(order) && r == 0; i++) {
		const struct conf_tier *tier = &c->conf->tiers[order[i]];
		struct dev *dev = c->devices.dev[order[i]];

		if (!dev)
			continue;
		r = empty_check(&c->env, tier, dev, c->conf->staging, c->made[order[i]], force, err);
		if (r == 0 && order[i] >= CONF_LEVEL1)
			r = empty_check_level(tier, dev, err);
		if (r < 0)
			tier_wrap(err, c->conf, order[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(order) && r == 0 && force; i++) {
		if (!c->devices.dev[order[i]])
			continue;
		r = empty_wipe(&c->env, &c->conf->tiers[order[i]], c->devices.dev[order[i]], err);
		if (r < 0)
			tier_wrap(err, c->conf, order[i]);
	}
	return r;
}

/* ------------------------------------------------------------------ create */

static int format(struct creation *c, struct err *err)
{
	struct hb_create how = {
		.name = c->conf->name, .chunk_bytes = c->conf->chunk_bytes, .segment_bytes = c->conf->segment_bytes,
	};
	int r = hb_pool_create(&c->env, &how, c->devices.dev[CONF_CAPACITY], c->devices.dev[CONF_SSD],
			       c->devices.dev[CONF_MIRROR], err);

	if (r < 0)
		return err_wrap(err, "%s:%u", c->conf->file, c->conf->line);
	/* Behind the pool: what ties a level to it is copied out of the capacity device's superblock. */
	for (int type = CONF_LEVEL1; type < CONF_TIER_TYPES && r == 0; type++) {
		if (!c->devices.dev[type])
			continue;
		r = hb_level_create(&c->env, c->devices.dev[CONF_CAPACITY], c->devices.dev[type], NULL, err);
		if (r < 0)
			tier_wrap(err, c->conf, (enum conf_tier_type)type);
	}
	return r;
}

int host_pool_create(const struct conf_pool *conf, bool force, struct err *err)
{
	struct creation c = { .conf = conf, .devices = DEVICES_NONE };
	struct err own = ERR_INIT;
	int r = make_missing(&c, &own);

	if (r == 0)
		r = open_all(&c, &own);
	if (r == 0)
		r = check_all_empty(&c, force, &own);
	if (r == 0)
		r = format(&c, &own);
	devices_close(&c.devices);
	if (r < 0)
		remove_made(&c);
	devices_unlock(&c.devices);
	return r < 0 ? err_set(err, r, "%s", own.text) : 0;
}
