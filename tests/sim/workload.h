/* SPDX-License-Identifier: GPL-2.0-only */
/* workload.h - a random mix of everything a pool can be asked, with the oracle told of each step. */
#ifndef TESTS_SIM_WORKLOAD_H
#define TESTS_SIM_WORKLOAD_H

#include "tests/sim/world.h"

struct workload;

struct workload *workload_new(struct world *w);
/* Requests still out are forgotten: call after the pool is gone, or after workload_quiet(). */
void workload_free(struct workload *l);
/* Opens what volumes there are; after each opening of the pool. */
bool workload_attach(struct workload *l);
/* The pool is gone (a crash): forget handles and requests. */
void workload_detach(struct workload *l);
/* So many steps: each submits a few requests or calls a verb, and runs a turn. False: the world failed. */
bool workload_run(struct workload *l, unsigned steps);
/* Waits until no request is out. */
bool workload_quiet(struct workload *l);
/* Closes all volumes. */
void workload_close_volumes(struct workload *l);
/* Deletes all volumes. */
bool workload_delete_all(struct workload *l);
/* From now on the first sectors of every volume are left alone by writers. */
void workload_reserve(struct workload *l, uint64_t sectors);
/* A volume by this name; snapshots of n volumes as one group, under names that are returned. False: not now, or the
 * world failed. */
bool workload_create(struct workload *l, const char *name, uint64_t size_bytes);
bool workload_group(struct workload *l, struct ovol *const *source, unsigned n, struct ovol **ret);
/* All n at once, though they are in use. */
bool workload_revert(struct workload *l, struct ovol *const *v, struct ovol *const *snapshot, unsigned n);
/* Some volumes become what they are: a snapshot, a change of name or size, and back to it, without any write. */
bool workload_renew(struct workload *l);
/* False: it is in use, or not now. */
bool workload_delete(struct workload *l, struct ovol *v);
/* Requests answered with each tolerated kind of error so far. */
unsigned long workload_errors(const struct workload *l);
unsigned long workload_answers(const struct workload *l);

#endif
