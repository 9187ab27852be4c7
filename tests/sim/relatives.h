/* SPDX-License-Identifier: GPL-2.0-only */
/* relatives.h - what the engine says of families of volumes - differences, shares - against what is known. All: false
 * with w->why set if it is wrong. Nothing in the world changes. */
#ifndef TESTS_SIM_RELATIVES_H
#define TESTS_SIM_RELATIVES_H

#include "tests/sim/world.h"

/* hb_volume_diff from `a` (NULL: nothing) to `b`, compared with the oracle's history; if it must be refused, that it
 * is. Both volumes exist now. */
bool relatives_diff(struct world *w, const struct ovol *a, const struct ovol *b);
/* The same after a crash for two volumes drawn from `r`, compared with what was found in them. */
bool relatives_found(struct world *w, const struct verdict *x, struct rng *r);
/* hb_volume_usage of all volumes. */
bool relatives_usage(struct world *w);
/* So many bytes of the volume must be mapped at least: they do hold data. */
uint64_t relatives_mapped(struct world *w, const struct ovol *v);

#endif
