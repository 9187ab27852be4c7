/* SPDX-License-Identifier: GPL-2.0-only */
/* devices.c - a pool's two devices together: locked, opened, labelled, closed. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "host/priv.h"

static const enum conf_tier_type device_tiers[] = { CONF_CAPACITY, CONF_SSD };

int tier_wrap(struct err *err, const struct conf_pool *conf, enum conf_tier_type type)
{
	return err_wrap(err, "%s:%u", conf->file, conf->tiers[type].line);
}

static int device_lock(const struct conf_pool *conf, enum conf_tier_type type, const char *what, bool shared,
		       int *ret_fd, struct err *err)
{
	const char *path = conf->tiers[type].path;
	int r = lock_take(path, what ? what : path, shared, ret_fd, err);

	if (r == -ENOENT)
		err_set(err, r, "%s does not exist, expected the %s device of pool \"%s\"", path, conf_tier_name(type),
			conf->name);
	return r < 0 && r != -EBUSY ? tier_wrap(err, conf, type) : r;
}

int devices_open(const struct conf_pool *conf, const char *what, bool read_only, struct devices *ret, struct err *err)
{
	struct devices d = DEVICES_NONE;
	int r = 0;

	/* Both locks before the first open: who is refused here has touched nothing. */
	for (size_t i = 0; i < ARRAY_LEN(device_tiers) && r == 0; i++)
		r = device_lock(conf, device_tiers[i], what, read_only, &d.lock_fd[device_tiers[i]], err);
	for (size_t i = 0; i < ARRAY_LEN(device_tiers) && r == 0; i++) {
		r = dev_file_open(conf->tiers[device_tiers[i]].path, read_only ? DEV_FILE_RDONLY : 0,
				  &d.dev[device_tiers[i]], err);
		if (r < 0)
			tier_wrap(err, conf, device_tiers[i]);
	}
	if (r == 0) {
		*ret = d;
		return 0;
	}
	devices_close(&d);
	devices_unlock(&d);
	return r;
}

void devices_close(struct devices *d)
{
	for (size_t i = 0; i < ARRAY_LEN(device_tiers); i++) {
		dev_close(d->dev[device_tiers[i]]);
		d->dev[device_tiers[i]] = NULL;
	}
}

void devices_unlock(struct devices *d)
{
	for (size_t i = 0; i < ARRAY_LEN(device_tiers); i++) {
		if (d->lock_fd[device_tiers[i]] >= 0)
			close(d->lock_fd[device_tiers[i]]);
	}
	*d = DEVICES_NONE;
}

int devices_label(const struct conf_pool *conf, const struct hb_env *env, struct devices *d, enum conf_tier_type type,
		  struct hb_dev_label *ret, struct err *err)
{
	struct err probe = ERR_INIT;
	int r = hb_dev_probe(env, d->dev[type], ret, &probe);

	if (r == -ENODATA)
		err_set(err, r, "%s is no device of a pool, expected the %s device of pool \"%s\"",
			conf->tiers[type].path, conf_tier_name(type), conf->name);
	else if (r < 0)
		err_set(err, r, "%s", probe.text);	/* names the path itself */
	return r < 0 ? tier_wrap(err, conf, type) : 0;
}
