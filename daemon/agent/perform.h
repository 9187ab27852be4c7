/* SPDX-License-Identifier: GPL-2.0-only */
/* perform.h - an operation of a delegate, carried out: its commands in order, until one fails. Thread-safe. */
#ifndef HB_AGENT_PERFORM_H
#define HB_AGENT_PERFORM_H

#include "agent/delegate.h"

/* path: folders of programs, or NULL (run.h). into: captures of all commands, or NULL. Commands that were done before
 * ("already") count as done. 0; -EBUSY; -ETIMEDOUT; -EIO: another exit status; -EPROTO: other output than expected;
 * -ENOENT, -EINVAL. The sentence has the last line of what the program said, unless a secret is in it. */
int perform(const struct delegate *d, enum operation_kind op, const struct values *v, const char *path,
	    struct captures *into, struct err *err);
/* The same, but each line that matches "output" is handed over; no line is no error. */
int perform_each(const struct delegate *d, enum operation_kind op, const struct values *v, const char *path,
		 void (*each)(void *arg, const struct captures *c), void *arg, struct err *err);
/* The argv of one command; its elements and itself are free()d by perform_argv_free(). For tests, too. */
int perform_argv(const struct delegate *d, const struct command *c, const struct values *v, char ***ret,
		 struct err *err);
void perform_argv_free(char **argv);

#endif
