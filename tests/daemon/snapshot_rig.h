/* SPDX-License-Identifier: GPL-2.0-only */
/* snapshot_rig.h - a manager over a real catalogue, and a pool "main" in memory whose volumes have contents, and which
 * can do what it is asked and then say that it failed, or say nothing. Time passes by changing the catalogue while
 * nobody has it open. One at a time.
 */
#ifndef HB_TESTS_DAEMON_SNAPSHOT_RIG_H
#define HB_TESTS_DAEMON_SNAPSHOT_RIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "verbs/priv.h"

#define DAY_MS 86400000ll

void srig_begin(uint32_t bin_days); /* 0: no recycle bin */
void srig_end(void);
struct ebs *srig_ebs(void);

/* ---------------------------------------------------------------- the pool */

/* The next such verb is done, but EIO is said of it, or (silent) nothing at all. */
void srig_spoil(const char *verb, bool silent);
void srig_refuse(bool refuses); /* snapshots: there is no space */
void srig_close(bool closed); /* the pool; its server goes on */
void srig_lose_all(void);
void srig_die(void); /* the server; srig_end() comes next */
void srig_set_data(const char *name, const char *data);
bool srig_data_is(const char *name, const char *data);
size_t srig_in_pool(void); /* how many volumes and snapshots */

/* ---------------------------------------------------------------- the manager */

/* Arguments as for json_pack(). The code of the error, or "". *ret_result, if it is wanted, is the caller's. */
const char *srig_run(const char *verb, json_t **ret_result, const char *fmt, ...);
const char *srig_run_as(enum ebs_rights rights, const char *verb, json_t **ret_result, const char *fmt, ...);
/* The id of what a verb makes. */
void srig_make(const char *verb, char id[EBS_ID_MAX], const char *fmt, ...);
void srig_volume(const char *name, char id[EBS_ID_MAX]); /* of 4 KiB */
const char *srig_lock(const char *snap, const char *mode, int days, int cool_off); /* cool_off 0: none */
const char *srig_delete(const char *snap, bool permanently);
/* Rows of a list, or those of one volume; new reference. */
json_t *srig_list(const char *verb, const char *member, const char *volume);
size_t srig_count(const char *verb, const char *member, const char *volume);
size_t srig_snapshots(const char *volume); /* NULL: of all */
/* Of the list's first row: has this column that text (NULL: none)? */
bool srig_fact_is(const char *verb, const char *member, const char *column, const char *value);

/* ---------------------------------------------------------------- time */

/* The manager ends, a row is changed, it is started again. change: reference is taken. */
void srig_meanwhile(enum store_table t, const char *id, json_t *change);
/* Waits until it is so, for 20 seconds at most: is it? */
bool srig_comes(bool (*is)(const void *arg), const void *arg);

#endif
