/* SPDX-License-Identifier: GPL-2.0-only */
/* workers.h - a few threads that run what they are given, in order. */
#ifndef HB_AGENT_WORKERS_H
#define HB_AGENT_WORKERS_H

#include "base/err.h"

struct workers;

int workers_new(unsigned threads, struct workers **ret, struct err *err);
void workers_run(void *workers, void (*fn)(void *arg), void *arg);
/* What was given is done first; NULL is fine. */
void workers_free(struct workers *w);

#endif
