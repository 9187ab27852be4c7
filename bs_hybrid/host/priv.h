/* SPDX-License-Identifier: GPL-2.0-only */
/* priv.h - inside of the room: locks, staging memory, foreign signatures, the engine's environment. Nobody else's. */
#ifndef HB_HOST_PRIV_H
#define HB_HOST_PRIV_H

#include "host/host.h"

#define SECRET_MAX 255			/* bytes of a CHAP secret */

/* ------------------------------------------------------------------ env.c */
/* What the engine's environment needs; must stay where it is while the pool is open. */
struct host_env {
	struct dev *devs[CONF_TIER_TYPES];	/* to wait for while there is no engine yet */
	int ndevs;
	const struct hb_pool *engine;	/* whose devices to wait for */
	struct dev *only;		/* NULL, or the one device to wait for */
};
struct devices;
void env_init(struct host_env *ctx, const struct devices *devices, struct hb_env *ret);
/* A line in the log; `pool` NULL: of no pool in particular. */
void env_log_line(enum hb_log_level level, const char *pool, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Differs after every boot; 0 or -errno. */
int env_boot_token(uint64_t *ret, struct err *err);

/* ------------------------------------------------------------------ lock.c */
/* Takes the lock of a device or file; `shared` locks exclude exclusive ones only. *ret_fd holds it until closed.
 * -EBUSY: "`what` is in use by process N" (or less, where the system does not tell). */
int lock_take(const char *path, const char *what, bool shared, int *ret_fd, struct err *err);
/* The same of a remote LUN, by its name: for the processes of this machine. */
int lock_take_remote(const char *name, const char *what, bool shared, int *ret_fd, struct err *err);

/* ------------------------------------------------------------------ staging.c */
struct staging {
	void *mem;			/* NULL: none; hb_staging_bytes() */
	char *path;			/* NULL: read-only copy */
};
/* Maps the file of that pool in directory `dir`, making it if need be; all its memory is reserved. With `read_only` a
 * private copy of what it holds, or zeros. */
int staging_map(const char *dir, const uint8_t uuid[16], bool read_only, struct staging *ret, struct err *err);
/* `remove`: the file goes too. */
void staging_unmap(struct staging *s, bool remove);
/* Of a pool that is formatted over. */
void staging_forget(const char *dir, const uint8_t uuid[16]);

/* ------------------------------------------------------------------ signature.c */
/* -EEXIST if libblkid knows what is on it: "holds something (ext4 file system, label "x")". */
int signature_find(const char *path, struct err *err);
/* Wipes all of them, so that nobody takes the device for what it was. */
int signature_wipe(const char *path, struct err *err);

/* ------------------------------------------------------------------ remote.c */
/* Of a device without a path, where libblkid cannot look: -EEXIST if its beginning is not all zeros. */
int remote_find(const struct hb_env *env, struct dev *dev, struct err *err);
int remote_wipe(const struct hb_env *env, struct dev *dev, struct err *err);

/* ------------------------------------------------------------------ file.c */
/* Makes a missing file of tier->size_bytes: sparse, or (`filled`) with all blocks allocated and written. Checks one
 * that is there against tier->size_bytes. *ret_made: it was missing. */
int file_make_missing(const struct conf_tier *tier, bool filled, bool *ret_made, struct err *err);

/* ------------------------------------------------------------------ secret.c */
/* The first line of a file that only its owner may read. */
int secret_read(const char *path, char ret[SECRET_MAX + 1], struct err *err);

/* ------------------------------------------------------------------ devices.c */
/* A pool's devices, locked and open. */
struct devices {
	struct dev *dev[CONF_TIER_TYPES];	/* owner until handed to an engine; NULL: none */
	int lock_fd[CONF_TIER_TYPES];
};
#define DEVICES_NONE ((struct devices){ .lock_fd = { -1, -1, -1, -1, -1, -1, -1, -1 } })
_Static_assert(CONF_TIER_TYPES == 8, "DEVICES_NONE has each");
/* The capacity device and the write tier, which may be two. */
extern const enum conf_tier_type device_tiers[3];
/* Puts "FILE:LINE: " of that tier before the text; returns the code. */
int tier_wrap(struct err *err, const struct conf_pool *conf, enum conf_tier_type type);
/* The lock of one device; see lock_take(). */
int device_lock(const struct conf_tier *tier, const char *what, bool shared, int *ret_fd, struct err *err);
/* Opens one device, of whatever kind the configuration says. */
int device_open(const struct conf_tier *tier, bool read_only, struct dev **ret, struct err *err);
/* Locks and opens the capacity device and the write tier (of its two halves, if there are, one will do). `what`: whom
 * to name as being in use; NULL: the device. */
int devices_open(const struct conf_pool *conf, const char *what, bool read_only, struct devices *ret, struct err *err);
/* One more, into the same. Nothing is left of it on failure. */
int devices_open_level(const struct conf_pool *conf, enum conf_tier_type type, struct devices *d, struct err *err);
/* Closes the devices that are still ours. */
void devices_close(struct devices *d);
/* Lets the locks go: the last thing to do, for another process may begin at once. */
void devices_unlock(struct devices *d);
/* Both, of one device. */
void devices_drop(struct devices *d, enum conf_tier_type type);
/* The label of one device; 0 or hb_dev_probe()'s error, with the tier named. */
int devices_label(const struct conf_pool *conf, const struct hb_env *env, struct devices *d, enum conf_tier_type type,
		  struct hb_dev_label *ret, struct err *err);

/* "capacity device", "write tier", "cache level" */
const char *role_words(enum hb_role role);

/* ------------------------------------------------------------------ host.c, level.c */
/* A cache level that the engine has, by its number - 1. */
struct host_level {
	char name[256];			/* "": none */
	struct dev *dev;		/* the engine's, which closes it: look at the level's state before */
	int lock_fd;			/* -1: none */
	bool known;			/* the configuration names it */
};

struct host_pool {
	struct devices devices;		/* the devs are the engine's while it is open; the locks are ours */
	struct staging staging;
	struct host_env env_ctx;
	struct hb_env env;
	struct hb_pool *engine;
	struct host_level levels[HB_LEVELS_MAX];
	char *absent[HB_LEVELS_MAX];	/* levels of the configuration that are not in use; NULL: no more */
	int replaced_fd;		/* lock of a new half of the write tier; -1: none */
	bool read_only;
};
/* ------------------------------------------------------------------ mirror.c */
/* The halves of the write tier become one device, if there are two. */
int mirror_join(struct host_pool *h, const struct conf_pool *conf, struct err *err);
void levels_init(struct host_pool *h);
/* Opens those levels of the configuration that can be had and are this pool's; never fails. */
void levels_open(struct host_pool *h, const struct conf_pool *conf, const uint8_t uuid[16]);
/* The engine has them now. */
void levels_opened(struct host_pool *h, const struct conf_pool *conf);
/* Lets go of what is not the engine's. */
void levels_free(struct host_pool *h);

/* ------------------------------------------------------------------ empty.c */
/* -EEXIST if a device that is to be formatted holds anything, unless `force`; then it is to be wiped, but not before
 * all have been looked at. `made`: a file of ours, with nothing on it. `staging`: where a pool that is formatted over
 * may have left memory; NULL: unknown. */
int empty_check(const struct hb_env *env, const struct conf_tier *tier, struct dev *dev, const char *staging, bool made,
		bool force, struct err *err);
int empty_wipe(const struct hb_env *env, const struct conf_tier *tier, struct dev *dev, struct err *err);
/* The engine would refuse it too late: when the pool is formatted already. */
int empty_check_level(const struct conf_tier *tier, const struct dev *dev, struct err *err);

#endif
