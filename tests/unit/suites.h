/* SPDX-License-Identifier: GPL-2.0-only */
/* suites.h - the list of suites, and what a test may use of the runner.
 *
 * A new suite is a file test_<name>.c that defines `const struct hb_suite suite_<name>`, and one line in SUITES.
 */
#ifndef HB_TESTS_UNIT_SUITES_H
#define HB_TESTS_UNIT_SUITES_H

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

struct hb_suite {
	const char *name;
	CU_TestInfo *tests;		/* ends with CU_TEST_INFO_NULL */
};

#define SUITES(SUITE)   \
	SUITE(base)     \
	SUITE(index)    \
	SUITE(dirty)    \
	SUITE(chunks)   \
	SUITE(pages)    \
	SUITE(ptree)    \
	SUITE(map)      \
	SUITE(map_model) \
	SUITE(policy)   \
	SUITE(ahead) \
	SUITE(shards) \
	SUITE(heat) \
	SUITE(ram)      \
	SUITE(owners)   \
	SUITE(dev)      \
	SUITE(sim)      \
	SUITE(dev_faults) \
	SUITE(hdd) \
	SUITE(hdd_dev) \
	SUITE(pace) \
	SUITE(bypass) \
	SUITE(iscsi) \
	SUITE(iscsi_faults) \
	SUITE(mirror)   \
	SUITE(mirror_faults) \
	SUITE(mirror_random) \
	SUITE(conf)     \
	SUITE(host)     \
	SUITE(host_refused) \
	SUITE(host_level) \
	SUITE(host_mirror) \
	SUITE(grow)     \
	SUITE(attr)     \
	SUITE(lineage_verbs) \
	SUITE(proto)    \
	SUITE(server)   \
	SUITE(stats)    \
	SUITE(scrub)    \
	SUITE(stream)   \
	SUITE(stream_damage)

#define SUITE_DECLARE(suite) extern const struct hb_suite suite_##suite;
SUITES(SUITE_DECLARE)
#undef SUITE_DECLARE

/* Starts from this run's seed, in each test alike: a test alone does what it does among the others. */
struct rng unit_rng(void);
/* A test's random loop keeps its step here; it is printed when the test fails or dies. */
extern uint64_t unit_step;
/* Runs fn in a child process; true if it died of an assertion. */
bool unit_dies(void (*fn)(void *arg), void *arg);

/* Ends the test unless cond holds. Costs nothing when it does, unlike CU_ASSERT: to be used millions of times. */
#define CHECK(cond)                                                                                  \
	do {                                                                                         \
		if (!(cond))                                                                         \
			CU_assertImplementation(CU_FALSE, __LINE__, #cond, __FILE__, "", CU_TRUE);   \
	} while (0)

#endif
