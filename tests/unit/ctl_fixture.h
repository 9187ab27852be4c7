/* SPDX-License-Identifier: GPL-2.0-only */
/* ctl_fixture.h - a small pool on RAM devices and a verb_host over it, for the tests of the control room. */
#ifndef HB_TESTS_CTL_FIXTURE_H
#define HB_TESTS_CTL_FIXTURE_H

#include "../fuzz/ram_pool.h"
#include "control/verbs.h"

struct ctl_fixture {
	struct verb_host host;
	struct ram_pool ram;
	struct hb_pool *pool;
	unsigned grown;		/* how often host.volume_grown ran */
};

/* Makes and opens the pool "main"; aborts when that fails. */
void ctl_fixture_open(struct ctl_fixture *f);
void ctl_fixture_close(struct ctl_fixture *f);

#endif
