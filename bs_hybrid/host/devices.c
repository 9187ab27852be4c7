/* SPDX-License-Identifier: GPL-2.0-only */
/* devices.c - a pool's devices together: locked, opened, labelled, closed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "dev/hdd.h"
#include "dev/iscsi.h"
#include "host/priv.h"

const enum conf_tier_type device_tiers[3] = { CONF_CAPACITY, CONF_SSD, CONF_MIRROR };

int tier_wrap(struct err *err, const struct conf_pool *conf, enum conf_tier_type type)
{
	return err_wrap(err, "%s:%u", conf->file, conf->tiers[type].line);
}

/* ------------------------------------------------------------------ one device */

int device_lock(const struct conf_tier *tier, const char *what, bool shared, int *ret_fd, struct err *err)
{
	if (!what)
		what = tier->name;
	return tier->iscsi ? lock_take_remote(tier->name, what, shared, ret_fd, err) :
			     lock_take(tier->path, what, shared, ret_fd, err);
}

static void remote_log(void *ctx, const char *text)
{
	(void)ctx;
	env_log_line(HB_LOG_WARN, NULL, "%s", text);
}

static int open_remote(const struct conf_iscsi *i, bool read_only, struct dev **ret, struct err *err)
{
	char secret[SECRET_MAX + 1], mutual[SECRET_MAX + 1];
	struct dev_iscsi_how how = {
		.portals = { i->portal }, .target = i->target, .initiator = i->initiator, .lun = i->lun,
		.connections = i->connections, .user = i->user, .secret = i->user ? secret : NULL,
		.target_user = i->mutual_user, .target_secret = i->mutual_user ? mutual : NULL,
		.read_only = read_only, .patience_ns = i->patience_ns, .log = remote_log,
	};
	int r = i->user ? secret_read(i->secret_file, secret, err) : 0;

	if (r == 0 && i->mutual_user)
		r = secret_read(i->mutual_secret_file, mutual, err);
	if (r == 0)
		r = dev_iscsi_open(&how, ret, err);
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(mutual, sizeof(mutual));
	return r;
}

int device_open(const struct conf_tier *tier, bool read_only, struct dev **ret, struct err *err)
{
	struct dev *medium = NULL;
	int r = tier->iscsi ? open_remote(tier->iscsi, read_only, &medium, err) :
			      dev_file_open(tier->path, read_only ? DEV_FILE_RDONLY : 0, &medium, err);

	if (r == 0 && tier->hdd.on)
		r = dev_hdd_new(medium, &tier->hdd.model, ret, err);
	else if (r == 0)
		*ret = medium;
	if (r < 0)
		dev_close(medium);
	return r;
}

/* ------------------------------------------------------------------ a pool's devices */

static int lock_tier(const struct conf_pool *conf, enum conf_tier_type type, const char *what, bool shared,
		     int *ret_fd, struct err *err)
{
	const struct conf_tier *tier = &conf->tiers[type];
	int r = device_lock(tier, what, shared, ret_fd, err);

	if (r == -ENOENT)
		err_set(err, r, "%s does not exist, expected the %s device of pool \"%s\"", tier->name,
			conf_tier_name(type), conf->name);
	return r < 0 && r != -EBUSY ? tier_wrap(err, conf, type) : r;
}

/* Of two halves of the write tier one may be missing, or sick. One in use by somebody else is another matter. */
static bool can_do_without(const struct conf_pool *conf, enum conf_tier_type type, int error, unsigned *missing)
{
	return conf->tiers[CONF_MIRROR].line && type != CONF_CAPACITY && error != -EBUSY && error != -ENOMEM &&
	       !(*missing)++;
}

static void without(struct devices *d, enum conf_tier_type type, struct err *err)
{
	env_log_line(HB_LOG_WARN, NULL, "half of a mirrored write tier is left out: %s", err->text);
	*err = ERR_INIT;
	devices_drop(d, type);
}

int devices_open(const struct conf_pool *conf, const char *what, bool read_only, struct devices *ret, struct err *err)
{
	struct devices d = DEVICES_NONE;
	unsigned missing = 0;
	int r = 0;

	/* All locks before the first open: who is refused here has touched nothing. */
	for (size_t i = 0; i < ARRAY_LEN(device_tiers) && r == 0; i++) {
		enum conf_tier_type type = device_tiers[i];

		if (!conf->tiers[type].line)
			continue;
		r = lock_tier(conf, type, what, read_only, &d.lock_fd[type], err);
		if (r < 0 && can_do_without(conf, type, r, &missing)) {
			without(&d, type, err);
			r = 0;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(device_tiers) && r == 0; i++) {
		enum conf_tier_type type = device_tiers[i];

		if (d.lock_fd[type] < 0)
			continue;
		r = device_open(&conf->tiers[type], read_only, &d.dev[type], err);
		if (r < 0)
			tier_wrap(err, conf, type);
		if (r < 0 && can_do_without(conf, type, r, &missing)) {
			without(&d, type, err);
			r = 0;
		}
	}
	if (r == 0) {
		*ret = d;
		return 0;
	}
	devices_close(&d);
	devices_unlock(&d);
	return r;
}

int devices_open_level(const struct conf_pool *conf, enum conf_tier_type type, struct devices *d, struct err *err)
{
	int r = lock_tier(conf, type, NULL, false, &d->lock_fd[type], err);

	if (r < 0)
		return r;
	r = device_open(&conf->tiers[type], false, &d->dev[type], err);
	if (r < 0) {
		tier_wrap(err, conf, type);
		devices_drop(d, type);
	}
	return r;
}

void devices_close(struct devices *d)
{
	for (int i = 0; i < CONF_TIER_TYPES; i++) {
		dev_close(d->dev[i]);
		d->dev[i] = NULL;
	}
}

void devices_unlock(struct devices *d)
{
	/* The capacity device's last: who has that lock finds the others free. */
	for (int i = CONF_TIER_TYPES - 1; i >= 0; i--) {
		if (d->lock_fd[i] >= 0 && i != CONF_CAPACITY)
			close(d->lock_fd[i]);
	}
	if (d->lock_fd[CONF_CAPACITY] >= 0)
		close(d->lock_fd[CONF_CAPACITY]);
	*d = DEVICES_NONE;
}

void devices_drop(struct devices *d, enum conf_tier_type type)
{
	dev_close(d->dev[type]);
	d->dev[type] = NULL;
	if (d->lock_fd[type] >= 0)
		close(d->lock_fd[type]);
	d->lock_fd[type] = -1;
}

int devices_label(const struct conf_pool *conf, const struct hb_env *env, struct devices *d, enum conf_tier_type type,
		  struct hb_dev_label *ret, struct err *err)
{
	struct err probe = ERR_INIT;
	int r = hb_dev_probe(env, d->dev[type], ret, &probe);

	if (r == -ENODATA)
		err_set(err, r, "%s is no device of a pool, expected the %s device of pool \"%s\"",
			conf->tiers[type].name, conf_tier_name(type), conf->name);
	else if (r < 0)
		err_set(err, r, "%s", probe.text);	/* names the path itself */
	return r < 0 ? tier_wrap(err, conf, type) : 0;
}
