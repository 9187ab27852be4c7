/* SPDX-License-Identifier: GPL-2.0-only */
/* main.c - runs the manager's unit tests: the runner of tests/unit over the suites of this folder. */
#include "suites.h"

#include "tests/unit/main.c"
