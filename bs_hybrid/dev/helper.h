/* SPDX-License-Identifier: GPL-2.0-only */
/* helper.h - a thread that does one slow system call at a time (fdatasync, discard) for a device that must not block.
 *
 * The owner starts one job, is woken through its eventfd (one signal per job), and asks for the result. A job that
 * never ends is left behind by helper_drop(): the thread then owns all it touches, and frees that if it ever wakes up.
 */
#ifndef HB_DEV_HELPER_H
#define HB_DEV_HELPER_H

#include <stdbool.h>
#include <stdint.h>

enum helper_op { HELPER_SYNC, HELPER_DISCARD_BLOCK, HELPER_DISCARD_FILE };

struct helper;

/* Starts a thread. `fd` is worked on, `event_fd` is signalled after each job; both stay the caller's (duplicates are
 * made). Returns 0 or -errno. */
int helper_new(int fd, int event_fd, struct helper **ret);
/* Starts a job; none may be running. The range is in bytes and unused by HELPER_SYNC. */
void helper_start(struct helper *h, enum helper_op op, uint64_t off_bytes, uint64_t len_bytes);
/* True when the started job has ended since; *result is 0 or -errno. */
bool helper_poll(struct helper *h, int *result);
/* Ends the thread and frees. Waits for a running job for `wait_ns` at most, then leaves it behind. NULL is fine. */
void helper_drop(struct helper *h, uint64_t wait_ns);

#endif
