/* SPDX-License-Identifier: GPL-2.0-only */
/* scratch.c - a temporary directory of a test; see scratch.h. */
#include "scratch.h"

#include <CUnit/CUnit.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void scratch_new(const char *where, char ret[SCRATCH_PATH_MAX])
{
	snprintf(ret, SCRATCH_PATH_MAX, "%s/hybrid-XXXXXX", where);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(ret));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void scratch_remove(const char *dir)
{
	CU_ASSERT_EQUAL(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
