/* SPDX-License-Identifier: GPL-2.0-only */
/* scratch.h - a temporary directory of a test. */
#ifndef HB_TESTS_UNIT_SCRATCH_H
#define HB_TESTS_UNIT_SCRATCH_H

#define SCRATCH_PATH_MAX 32

/* Makes a new directory under `where` (a short path). */
void scratch_new(const char *where, char ret[SCRATCH_PATH_MAX]);
/* Removes it with all that is in it. */
void scratch_remove(const char *dir);

#endif
