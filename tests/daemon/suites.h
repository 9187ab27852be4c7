/* SPDX-License-Identifier: GPL-2.0-only */
/* suites.h - the list of the manager's suites; the runner, and what a test may use of it, are those of tests/unit.
 *
 * A new suite is a file test_<name>.c that includes this file and defines `const struct hb_suite suite_<name>`, and one
 * line in SUITES.
 */
#ifndef HB_TESTS_DAEMON_SUITES_H
#define HB_TESTS_DAEMON_SUITES_H

#include "tests/unit/suites.h"

/* The runner (tests/unit/main.c) runs what SUITES lists; here that is the manager's. */
#undef SUITES
#define SUITES(SUITE)   \
	SUITE(http)     \
	SUITE(http_hostile) \
	SUITE(identity) \
	SUITE(agent_link) \
	SUITE(agent_template) \
	SUITE(agent_run) \
	SUITE(agent_iscsi) \
	SUITE(agent_verbs) \
	SUITE(agent_crash) \
	SUITE(box_pool) \
	SUITE(box_seal) \
	SUITE(box_tgt)  \
	SUITE(rawfile)  \
	SUITE(verbs)    \
	SUITE(sigv4)    \
	SUITE(keys)     \
	SUITE(ec2_query) \
	SUITE(ec2)      \
	SUITE(direct)   \
	SUITE(snapshots) \
	SUITE(schedules) \
	SUITE(explain) \
	SUITE(saga)     \
	SUITE(store)    \
	SUITE(store_hostile)

#define SUITE_DECLARE(suite) extern const struct hb_suite suite_##suite;
SUITES(SUITE_DECLARE)
#undef SUITE_DECLARE

#endif
