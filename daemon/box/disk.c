/* SPDX-License-Identifier: GPL-2.0-only */
/* disk.c - which disks are open: targets made and taken down, kept for a while, set up again after tgtd's death.
 *
 * A disk is on the list before its target is made, and until it is gone; both under `targets`. So disks_sync(), which
 * takes down what is not on the list, never takes one from under somebody.
 *
 * Crash stories
 * - We die: sessions end, targets stay. disks_sync() of the next life finds them, or disks_forget() of who needs that
 *   very one gone; nobody can log in meanwhile, the secrets died with us.
 * - tgtd dies: the device goes on trying. The keeper sees that it is in trouble, and makes the target again as soon as
 *   tgtd answers, with the secrets of before.
 */
#include "box/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "box/disk_priv.h"
#include "box/seal.h"
#include "box/sock.h"

#define KEEPER_MS 250
#define OPEN_NS (10 * SEC_NS)
#define CONNECTIONS 2

/* ------------------------------------------------------------------ targets */

/* `targets` is held. */
static int make_target(struct disk *d, struct err *err)
{
	const char *initiator = d->ds->initiator;
	const struct tgt_account accounts[] = {{d->iqn, d->secret, false}, {d->back_user, d->back_secret, true}};
	const struct tgt_target want = {.iqn = d->iqn,
					.store = d->store,
					.conf = d->ds->pools_conf,
					.product = "INTERNAL",
					.read_only = !d->write,
					.initiators = &initiator,
					.ninitiators = 1,
					.accounts = accounts,
					.naccounts = ARRAY_LEN(accounts)};

	return tgt_ensure(d->ds->tgt, &want, err);
}

static int log_in(struct disk *d, struct err *err)
{
	struct dev_iscsi_how how = {.target = d->iqn,
				    .initiator = d->ds->initiator,
				    .lun = DISK_LUN,
				    .connections = CONNECTIONS,
				    .user = d->iqn,
				    .secret = d->secret,
				    .target_user = d->back_user,
				    .target_secret = d->back_secret,
				    .read_only = !d->write,
				    .outlives = true,
				    .patience_ns = d->ds->patience_ms * MSEC_NS,
				    .open_ns = OPEN_NS};
	struct err own = ERR_INIT;
	int rc;

	for (unsigned i = 0; i < DEV_ISCSI_PORTALS_MAX; i++)
		how.portals[i] = d->ds->portals[i];
	rc = dev_iscsi_open(&how, &d->dev, &own);
	if (!rc) {
		d->size_bytes = d->dev->geom.size_bytes;
		return 0;
	}
	/* tgtd may have died since it was told. */
	if (rc != -ENOMEM && rc != -EINVAL && rc != -EROFS && rc != -EOPNOTSUPP)
		rc = -ECONNREFUSED;
	return err_set(err, rc, "%s", own.text);
}

/* ------------------------------------------------------------------ the list */

static struct disk *find(struct disks *ds, const char *id)
{
	list_each(l, &ds->all) {
		struct disk *d = list_entry(l, struct disk, link);

		if (!strcmp(d->id, id))
			return d;
	}
	return NULL;
}

static void free_disk(struct disk *d)
{
	explicit_bzero(d->secret, sizeof(d->secret));
	explicit_bzero(d->back_secret, sizeof(d->back_secret));
	pthread_mutex_destroy(&d->over_lock);
	pthread_cond_destroy(&d->over);
	free(d->id);
	free(d->iqn);
	free(d->back_user);
	free(d->store);
	free(d);
}

static struct disk *new_disk(struct disks *ds, const char *id, const char *store, bool write)
{
	struct disk *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	*d = (struct disk){.ds = ds, .write = write, .refs = 1, .id = strdup(id), .store = strdup(store)};
	pthread_mutex_init(&d->over_lock, NULL);
	pthread_cond_init(&d->over, NULL);
	list_init(&d->fresh);
	if (asprintf(&d->iqn, "%s:" DISK_INTERNAL "%s", ds->prefix, id) < 0)
		d->iqn = NULL;
	if (asprintf(&d->back_user, "%s:" DISK_INTERNAL "%s:back", ds->prefix, id) < 0)
		d->back_user = NULL;
	seal_random(d->secret, DISK_SECRET_CHARS);
	seal_random(d->back_secret, DISK_SECRET_CHARS);
	if (d->id && d->store && d->iqn && d->back_user)
		return d;
	free_disk(d);
	return NULL;
}

/* Takes it down, and off the list. The lock is held, and let go meanwhile. */
static int drop(struct disk *d, struct err *err)
{
	struct disks *ds = d->ds;
	int rc;

	d->state = DISK_CLOSING;
	if (d->dev)
		pump_leave(d);
	pthread_mutex_unlock(&ds->lock);
	pthread_mutex_lock(&ds->targets);
	rc = tgt_remove(ds->tgt, d->iqn, true, err);
	pthread_mutex_lock(&ds->lock);
	list_del(&d->link);
	pthread_mutex_unlock(&ds->targets);
	pthread_cond_broadcast(&ds->changed);
	free_disk(d);
	return rc;
}

/* The one on the list, if it can be had; nobody is opening or closing it. The lock is held. *ret NULL: to be opened. */
static int find_open(struct disks *ds, const char *id, bool write, struct disk **ret, struct err *err)
{
	struct err ignored;
	struct disk *d;

	while ((d = find(ds, id))) {
		if (d->state != DISK_OPEN) {
			pthread_cond_wait(&ds->changed, &ds->lock);
			continue;
		}
		if (!atomic_load(&d->failed) && (d->write || !write)) {
			d->refs++;
			break;
		}
		if (d->refs)
			return atomic_load(&d->failed)
				       ? err_set(err, -ECONNREFUSED, "%s is about to be opened anew", d->store)
				       : err_set(err, -EBUSY, "%s is open for reading only", d->store);
		ignored = ERR_INIT;
		drop(d, &ignored);
	}
	*ret = d;
	return 0;
}

int disk_get(struct disks *ds, const char *id, const char *store, bool write, struct disk **ret, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct disk *d = NULL;
	int rc;

	pthread_mutex_lock(&ds->lock);
	rc = find_open(ds, id, write, &d, err);
	if (rc || d) {
		pthread_mutex_unlock(&ds->lock);
		*ret = d;
		return rc;
	}
	d = new_disk(ds, id, store, write);
	if (d)
		list_push(&ds->all, &d->link);
	pthread_mutex_unlock(&ds->lock);
	if (!d)
		return err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_lock(&ds->targets);
	rc = make_target(d, err);
	pthread_mutex_unlock(&ds->targets);
	rc = rc ? rc : log_in(d, err);
	if (!rc && (rc = pump_join(d)))
		err_set(err, rc, "%s: %s", store, strerror(-rc));
	pthread_mutex_lock(&ds->lock);
	if (rc) {
		if (d->dev)
			dev_close(d->dev);
		d->dev = NULL;
		drop(d, &ignored);
	} else {
		d->state = DISK_OPEN;
		*ret = d;
		pthread_cond_broadcast(&ds->changed);
	}
	pthread_mutex_unlock(&ds->lock);
	return rc;
}

void disk_put(struct disk *d, bool keep)
{
	struct disks *ds = d->ds;
	struct err ignored = ERR_INIT;

	pthread_mutex_lock(&ds->lock);
	d->idle_ms = sock_now_ms();
	if (!--d->refs && (!keep || atomic_load(&d->failed)))
		drop(d, &ignored);
	pthread_mutex_unlock(&ds->lock);
}

int disks_forget(struct disks *ds, const char *id, struct err *err)
{
	struct disk *d;
	char *iqn = NULL;
	int rc = 0;

	pthread_mutex_lock(&ds->lock);
	while ((d = find(ds, id)) && d->state == DISK_CLOSING)
		pthread_cond_wait(&ds->changed, &ds->lock);
	if (d && d->refs)
		rc = err_set(err, -EBUSY, "%s is being read or written by the manager", d->store);
	else if (d)
		rc = drop(d, err);
	pthread_mutex_unlock(&ds->lock);
	if (rc || d)
		return rc;
	/* Of an earlier life, perhaps. */
	if (asprintf(&iqn, "%s:" DISK_INTERNAL "%s", ds->prefix, id) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_lock(&ds->targets);
	pthread_mutex_lock(&ds->lock);
	if (find(ds, id))
		rc = err_set(err, -EBUSY, "%s is being read or written by the manager", id);
	pthread_mutex_unlock(&ds->lock);
	rc = rc ? rc : tgt_remove(ds->tgt, iqn, true, err);
	pthread_mutex_unlock(&ds->targets);
	free(iqn);
	return rc;
}

uint64_t disk_size(const struct disk *d)
{
	return d->size_bytes;
}

/* ------------------------------------------------------------------ what tgtd should have */

static bool is_open(struct disks *ds, const char *iqn)
{
	list_each(l, &ds->all) {
		if (!strcmp(list_entry(l, struct disk, link)->iqn, iqn))
			return true;
	}
	return false;
}

/* `targets` is held, so none of them goes meanwhile. */
static int make_all(struct disks *ds, struct err *err)
{
	struct disk **open;
	size_t n = 0;
	int rc = 0;

	pthread_mutex_lock(&ds->lock);
	list_each(l, &ds->all)
		n++;
	open = calloc(n + 1, sizeof(struct disk *));
	n = 0;
	if (open)
		list_each(l, &ds->all) {
			struct disk *d = list_entry(l, struct disk, link);

			if (d->state == DISK_OPEN)
				open[n++] = d;
		}
	pthread_mutex_unlock(&ds->lock);
	if (!open)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		struct err own = ERR_INIT;
		int one = make_target(open[i], &own);

		if (one && !rc)
			rc = err_set(err, one, "%s", own.text);
	}
	free(open);
	return rc;
}

int disks_sync(struct disks *ds, struct err *err)
{
	json_t *show = NULL, *v;
	char *prefix = NULL;
	const char *iqn;
	int rc = 0;

	if (asprintf(&prefix, "%s:" DISK_INTERNAL, ds->prefix) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_lock(&ds->targets);
	show = tgt_show(ds->tgt, prefix, err);
	rc = show ? 0 : err->code;
	json_object_foreach(show, iqn, v)
	{
		bool open;

		pthread_mutex_lock(&ds->lock);
		open = is_open(ds, iqn);
		pthread_mutex_unlock(&ds->lock);
		if (!open)
			rc = rc ? rc : tgt_remove(ds->tgt, iqn, true, err);
	}
	/* Accounts of a removal that died in the middle: they have the names of targets. */
	if (!rc && tgt_sweep(ds->tgt, prefix, err) < 0)
		rc = err->code;
	rc = rc ? rc : make_all(ds, err);
	pthread_mutex_unlock(&ds->targets);
	json_decref(show);
	free(prefix);
	return rc;
}

/* ------------------------------------------------------------------ the keeper */

/* One that nobody has, for long enough. */
static struct disk *find_idle(struct disks *ds, uint64_t now_ms)
{
	list_each(l, &ds->all) {
		struct disk *d = list_entry(l, struct disk, link);

		if (d->state == DISK_OPEN && !d->refs &&
		    (now_ms - d->idle_ms >= ds->idle_ms || atomic_load(&d->failed)))
			return d;
	}
	return NULL;
}

static bool any_in_trouble(struct disks *ds)
{
	list_each(l, &ds->all) {
		struct disk *d = list_entry(l, struct disk, link);

		if (d->state == DISK_OPEN && atomic_load(&d->trouble))
			return true;
	}
	return false;
}

static void *keeper(void *arg)
{
	struct disks *ds = arg;

	pthread_mutex_lock(&ds->lock);
	while (!ds->stopping) {
		struct err ignored = ERR_INIT;
		struct timespec until;
		struct disk *idle;

		if (list_empty(&ds->all)) {
			pthread_cond_wait(&ds->changed, &ds->lock);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += KEEPER_MS * (long)MSEC_NS;
		if (until.tv_nsec >= (long)SEC_NS) {
			until.tv_nsec -= (long)SEC_NS;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&ds->changed, &ds->lock, &until);
		while (!ds->stopping && (idle = find_idle(ds, sock_now_ms())))
			drop(idle, &ignored);
		if (ds->stopping || !any_in_trouble(ds))
			continue;
		pthread_mutex_unlock(&ds->lock);
		disks_sync(ds, &ignored);
		pthread_mutex_lock(&ds->lock);
	}
	pthread_mutex_unlock(&ds->lock);
	return NULL;
}

/* ------------------------------------------------------------------ all of them */

static int copy_conf(struct disks *ds, const struct disks_conf *conf)
{
	bool missing = false;

	ds->tgt = conf->tgt;
	ds->idle_ms = conf->idle_ms ? conf->idle_ms : DISK_IDLE_MS;
	ds->patience_ms = conf->patience_ms ? conf->patience_ms : DISK_PATIENCE_MS;
	ds->prefix = strdup(conf->prefix);
	ds->pools_conf = conf->pools_conf ? strdup(conf->pools_conf) : NULL;
	missing = !ds->prefix || (conf->pools_conf && !ds->pools_conf);
	if (asprintf(&ds->initiator, "%s:hybridd", conf->prefix) < 0)
		ds->initiator = NULL;
	for (unsigned i = 0; i < MIN(conf->nportals, DEV_ISCSI_PORTALS_MAX); i++) {
		ds->portals[i] = strdup(conf->portals[i]);
		missing |= !ds->portals[i];
	}
	return missing || !ds->initiator ? -ENOMEM : 0;
}

int disks_new(const struct disks_conf *conf, struct disks **ret, struct err *err)
{
	struct disks *ds = calloc(1, sizeof(*ds));
	pthread_condattr_t monotonic;
	int rc;

	if (!ds)
		return err_set(err, -ENOMEM, "out of memory");
	ds->epoll_fd = ds->wake_fd = -1;
	list_init(&ds->all);
	list_init(&ds->fresh);
	list_init(&ds->leaving);
	pthread_mutex_init(&ds->targets, NULL);
	pthread_mutex_init(&ds->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&ds->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	rc = copy_conf(ds, conf);
	rc = rc ? rc : pump_start(ds);
	if (!rc) {
		rc = -pthread_create(&ds->keeper, NULL, keeper, ds);
		ds->keeper_on = !rc;
	}
	if (rc) {
		disks_free(ds);
		return err_set(err, rc, "disks: %s", strerror(-rc));
	}
	*ret = ds;
	return 0;
}

void disks_free(struct disks *ds)
{
	struct err ignored = ERR_INIT;

	if (!ds)
		return;
	pthread_mutex_lock(&ds->lock);
	ds->stopping = true;
	pthread_cond_broadcast(&ds->changed);
	pthread_mutex_unlock(&ds->lock);
	if (ds->keeper_on)
		pthread_join(ds->keeper, NULL);
	pthread_mutex_lock(&ds->lock);
	while (!list_empty(&ds->all))
		drop(list_first(&ds->all, struct disk, link), &ignored);
	pthread_mutex_unlock(&ds->lock);
	pump_stop(ds);
	pthread_mutex_destroy(&ds->targets);
	pthread_mutex_destroy(&ds->lock);
	pthread_cond_destroy(&ds->changed);
	for (unsigned i = 0; i < DEV_ISCSI_PORTALS_MAX; i++)
		free(ds->portals[i]);
	free(ds->prefix);
	free(ds->initiator);
	free(ds->pools_conf);
	free(ds);
}
