/* SPDX-License-Identifier: GPL-2.0-only */
/* target_rig.h - a private stock tgtd on the loopback for tests of the remote LUN: begun, killed, begun anew. */
#ifndef HB_TESTS_UNIT_TARGET_RIG_H
#define HB_TESTS_UNIT_TARGET_RIG_H

#include <stdbool.h>
#include <sys/types.h>

#include "dev/iscsi.h"
#include "scratch.h"

#define TARGET_IQN "iqn.2024-01.org.hybrid:unit"
#define TARGET_INITIATOR "iqn.2024-01.org.hybrid:unit-initiator"

struct target {
	pid_t pid;			/* 0: does not run */
	int port;
	char portal[32], dir[SCRATCH_PATH_MAX], file[64];
};

/* Is there a tgtd? If not, says so. */
bool target_there(void);
/* A new directory with a file of that size, and tgtd, which has one target with LUN 1 on it (`lun_options` of tgtadm's
 * "--op new", may be ""; `params` of its "--op update", NULL: none). */
void target_begin(struct target *t, unsigned long long bytes, const char *lun_options, const char *params);
/* tgtd alone, on the port of before; then target and LUN. */
void target_run(struct target *t);
void target_lun(struct target *t, const char *lun_options, const char *params);
/* SIGKILL; the file stays. */
void target_kill(struct target *t);
void target_signal(struct target *t, int sig);
/* tgtadm --lld iscsi ARGUMENTS (words by blanks); true if it was content. */
bool target_adm(struct target *t, const char *arguments);
/* Ends sessions: all that tgtd has, or the first or last of its list. */
enum target_drop { TARGET_DROP_ALL, TARGET_DROP_FIRST, TARGET_DROP_LAST };
void target_drop(struct target *t, enum target_drop which);
/* Kills and removes. */
void target_end(struct target *t);
/* How to reach it. */
struct dev_iscsi_how target_how(const struct target *t);

#endif
