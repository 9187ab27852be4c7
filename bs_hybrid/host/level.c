/* SPDX-License-Identifier: GPL-2.0-only */
/* level.c - cache levels: opened with the pool if they can be had, added and removed while it is open.
 *
 * All that is in a level is on the capacity device, too. So a level that is missing or not ours is no reason to keep a
 * pool closed; the devices that every pool has are one.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "host/priv.h"

#define LOCK_TRIES 20
#define LOCK_PAUSE_MS 50

const char *role_words(enum hb_role role)
{
	return role == HB_ROLE_CAPACITY ? "capacity device" : role == HB_ROLE_CACHE ? "cache level" : "write tier";
}

/* ------------------------------------------------------------------ opening */

static int check_label(struct host_pool *h, const struct conf_pool *conf, enum conf_tier_type type,
		       const uint8_t uuid[16], struct err *err)
{
	const char *name = conf->tiers[type].name;
	struct hb_dev_label label;
	int r = hb_dev_probe(&h->env, h->devices.dev[type], &label, err);

	if (r == -ENODATA)
		err_set(err, r, "%s is no device of a pool, expected a cache level of pool \"%s\"", name, conf->name);
	else if (r == 0 && label.role != HB_ROLE_CACHE)
		r = err_set(err, -EXDEV, "%s is the %s of pool \"%s\", expected a cache level of pool \"%s\"", name,
			    role_words(label.role), label.pool_name, conf->name);
	else if (r == 0 && memcmp(label.pool_uuid, uuid, 16) != 0)
		r = err_set(err, -EXDEV, "%s is a cache level of another pool (\"%s\"), expected one of pool \"%s\"",
			    name, label.pool_name, conf->name);
	return r < 0 ? tier_wrap(err, conf, type) : 0;
}

/* Who holds the lock of the capacity device, as we do, is the pool's owner: another one that still has a level's lock
 * is just ending, and its descriptors are closed one after the other. */
static int open_level(struct host_pool *h, const struct conf_pool *conf, enum conf_tier_type type, struct err *err)
{
	int r = -EBUSY;

	for (int i = 0; i < LOCK_TRIES && r == -EBUSY; i++) {
		if (i)
			poll(NULL, 0, LOCK_PAUSE_MS);
		*err = ERR_INIT;
		r = devices_open_level(conf, type, &h->devices, err);
	}
	return r;
}

static void add_absent(struct host_pool *h, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(h->absent); i++) {
		if (!h->absent[i]) {
			h->absent[i] = mem_strdup(name);	/* NULL: it is not listed, no more */
			return;
		}
	}
}

void levels_init(struct host_pool *h)
{
	for (size_t i = 0; i < ARRAY_LEN(h->levels); i++)
		h->levels[i].lock_fd = -1;
}

void levels_open(struct host_pool *h, const struct conf_pool *conf, const uint8_t uuid[16])
{
	for (int t = CONF_LEVEL1; t < CONF_TIER_TYPES; t++) {
		enum conf_tier_type type = (enum conf_tier_type)t;
		struct err err = ERR_INIT;
		int r;

		if (!conf->tiers[type].line)
			continue;
		r = h->read_only ? -EROFS : open_level(h, conf, type, &err);
		env_init(&h->env_ctx, &h->devices, &h->env);
		if (r == 0)
			r = check_label(h, conf, type, uuid, &err);
		if (r == 0)
			continue;
		devices_drop(&h->devices, type);
		env_init(&h->env_ctx, &h->devices, &h->env);
		add_absent(h, conf->tiers[type].name);
		if (!h->read_only)
			env_log_line(HB_LOG_WARN, conf->name, "cache level %d is left out: %s", t - CONF_LEVEL1 + 1,
				     err.text);
	}
}

void levels_opened(struct host_pool *h, const struct conf_pool *conf)
{
	unsigned n = 0;

	for (int t = CONF_LEVEL1; t < CONF_TIER_TYPES; t++) {
		struct host_level *l = &h->levels[n];

		if (!h->devices.dev[t])
			continue;
		snprintf(l->name, sizeof(l->name), "%s", conf->tiers[t].name);
		l->dev = h->devices.dev[t];
		l->lock_fd = h->devices.lock_fd[t];
		l->known = true;
		h->devices.dev[t] = NULL;
		h->devices.lock_fd[t] = -1;
		n++;
	}
}

static void forget(struct host_level *l)
{
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	*l = (struct host_level){ .lock_fd = -1 };
}

void levels_free(struct host_pool *h)
{
	for (size_t i = 0; i < ARRAY_LEN(h->levels); i++) {
		forget(&h->levels[i]);
		mem_free(h->absent[i]);
	}
}

/* ------------------------------------------------------------------ while the pool is open */

static bool is_there(const struct hb_stats *st, unsigned i)
{
	return i < st->nlevels && st->levels[i].state != HB_TIER_NONE;
}

/* The number - 1 that the engine will give to the next level: the lowest that is free. */
static unsigned next_level(const struct host_pool *h)
{
	struct hb_stats st;
	unsigned i = 0;

	hb_pool_stats(h->engine, &st);
	while (is_there(&st, i))
		i++;
	return i;
}

static int may_change(const struct host_pool *h, struct err *err)
{
	struct hb_stats st;

	hb_pool_stats(h->engine, &st);
	if (!h->read_only && !st.failed)
		return 0;
	return err_set(err, h->read_only ? -EROFS : -EIO, "pool %s takes no changes", hb_pool_name(h->engine));
}

static bool take_absent(struct host_pool *h, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(h->absent); i++) {
		if (!h->absent[i] || strcmp(h->absent[i], name) != 0)
			continue;
		mem_free(h->absent[i]);
		for (; i + 1 < ARRAY_LEN(h->absent); i++)
			h->absent[i] = h->absent[i + 1];
		h->absent[i] = NULL;
		return true;
	}
	return false;
}

/* What is left to be done with a device that is locked and open. */
static int take_in(struct host_pool *h, const struct conf_tier *tier, struct dev *dev, bool made, bool force,
		   struct err *err)
{
	int r;

	/* The others' completions stay where they are until the pool's next turn. */
	h->env_ctx.only = dev;
	r = empty_check(&h->env, tier, dev, NULL, made, force, err);
	if (r == 0)
		r = empty_check_level(tier, dev, err);
	if (r == 0 && force)
		r = empty_wipe(&h->env, tier, dev, err);
	if (r == 0)
		r = hb_level_add(h->engine, dev, err);
	h->env_ctx.only = NULL;
	return r;
}

int host_level_add(struct host_pool *h, const char *path, uint64_t size_bytes, bool force, unsigned *ret_level,
		   bool *ret_known, struct err *err)
{
	struct conf_tier tier = { .path = (char *)path, .name = (char *)path,
				  .size_bytes = ROUND_DOWN(size_bytes, BLK_BYTES) };
	unsigned at = next_level(h);
	struct err own = ERR_INIT;
	struct dev *dev = NULL;
	bool made = false;
	int fd = -1, r = may_change(h, &own);

	if (r == 0 && at >= HB_LEVELS_MAX)
		r = err_set(&own, -ENOSPC, "pool %s has %u cache levels already, expected one to be removed first",
			    hb_pool_name(h->engine), at);
	if (r == 0)
		r = file_make_missing(&tier, false, &made, &own);
	if (r == 0)
		r = device_lock(&tier, NULL, false, &fd, &own);
	if (r == 0)
		r = device_open(&tier, false, &dev, &own);
	if (r == 0)
		r = take_in(h, &tier, dev, made, force, &own);
	if (r < 0) {
		dev_close(dev);
		if (made)
			unlink(path);
		if (fd >= 0)
			close(fd);
		return err_set(err, r, "%s", own.text);
	}
	forget(&h->levels[at]);		/* of a level before it, which is closed */
	snprintf(h->levels[at].name, sizeof(h->levels[at].name), "%s", path);
	h->levels[at].dev = dev;
	h->levels[at].lock_fd = fd;
	h->levels[at].known = *ret_known = take_absent(h, path);
	*ret_level = at + 1;
	return 0;
}

int host_level_remove(struct host_pool *h, unsigned level, bool *ret_known, struct err *err)
{
	struct hb_stats st;
	int r = may_change(h, err);

	if (r < 0)
		return r;
	hb_pool_stats(h->engine, &st);
	if (!level || !is_there(&st, level - 1))
		return err_set(err, -ENOENT, "pool %s has no cache level %u", hb_pool_name(h->engine), level);
	h->env_ctx.only = h->levels[level - 1].dev;
	r = hb_level_remove(h->engine, level, err);
	h->env_ctx.only = NULL;
	if (r == 0)
		*ret_known = h->levels[level - 1].known;
	return r;
}

void host_pool_settle(struct host_pool *h)
{
	struct hb_stats st;

	hb_pool_stats(h->engine, &st);
	for (unsigned i = 0; i < ARRAY_LEN(h->levels); i++) {
		if (!is_there(&st, i))
			forget(&h->levels[i]);
	}
}

const char *host_level_name(const struct host_pool *h, unsigned level)
{
	return level && level <= HB_LEVELS_MAX ? h->levels[level - 1].name : "";
}

const char *host_level_absent(const struct host_pool *h, unsigned n, bool *ret_unused)
{
	*ret_unused = h->read_only;
	return n < HB_LEVELS_MAX ? h->absent[n] : NULL;
}
