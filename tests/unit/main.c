/* SPDX-License-Identifier: GPL-2.0-only */
/* main.c - runs the unit tests. T=suite or T=suite.test chooses, SEED=n repeats a random run, --list names the tests.
 *
 * Prints one line for a test that failed, and at the end how many passed and failed. Exit status: 0 all passed, 1 some
 * failed (or none ran), 2 the request makes no sense.
 */
#include "suites.h"

#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"

#define SUITE_ADDRESS(suite) &suite_##suite,
static const struct hb_suite *const suites[] = { SUITES(SUITE_ADDRESS) };
#undef SUITE_ADDRESS

uint64_t unit_step;
static uint64_t seed;
static unsigned int passed, failed;
static const char *now_suite = "", *now_test = "";

struct rng unit_rng(void)
{
	return (struct rng){ .s = seed };
}

bool unit_dies(void (*fn)(void *arg), void *arg)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		fn(arg);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* ------------------------------------------------------------------ reporting */
static void on_start(const CU_pTest test, const CU_pSuite suite)
{
	now_suite = suite->pName;
	now_test = test->pName;
	unit_step = 0;
}

static void on_complete(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord why)
{
	if (!why) {
		passed++;
		return;
	}
	failed++;
	printf("FAIL %s.%s (SEED=%" PRIu64 ", step %" PRIu64 "): %s:%u: %s\n", suite->pName, test->pName, seed,
	       unit_step, why->strFileName, why->uiLineNumber, why->strCondition);
	fflush(stdout);
}

/* An assertion of the program itself: say which test it was before dying of it. */
static void on_abort(int sig)
{
	char text[256];
	int len = snprintf(text, sizeof(text), "DIED in %s.%s (SEED=%" PRIu64 ", step %" PRIu64 ")\n", now_suite,
			   now_test, seed, unit_step);

	if (len > 0 && write(STDOUT_FILENO, text, MIN((size_t)len, sizeof(text) - 1)) < 0)
		_exit(1);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* ------------------------------------------------------------------ choosing */
static bool read_seed(void)
{
	const char *text = getenv("SEED");
	char *end;

	if (!text || !*text) {
		if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
			return false;
		seed >>= 32;		/* short enough to be typed */
		printf("SEED=%" PRIu64 "\n", seed);
		return true;
	}
	errno = 0;
	seed = strtoull(text, &end, 0);
	return !errno && !*end && *text != '-';
}

static bool register_all(void)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
		CU_pSuite suite = CU_add_suite(suites[i]->name, NULL, NULL);

		for (CU_TestInfo *t = suites[i]->tests; suite && t->pName; t++)
			if (!CU_add_test(suite, t->pName, t->pTestFunc))
				return false;
		if (!suite)
			return false;
	}
	CU_set_test_start_handler(on_start);
	CU_set_test_complete_handler(on_complete);
	CU_set_error_action(CUEA_IGNORE);
	return true;
}

static void list_all(void)
{
	for (size_t i = 0; i < ARRAY_LEN(suites); i++)
		for (const CU_TestInfo *t = suites[i]->tests; t->pName; t++)
			printf("%s.%s\n", suites[i]->name, t->pName);
}

/* "", "suite" or "suite.test". False if there is no such thing. */
static bool run(const char *wish)
{
	char suite_name[64];
	const char *dot = strchr(wish, '.');
	CU_pSuite suite;
	CU_pTest test;

	if (!*wish)
		return CU_run_all_tests() == CUE_SUCCESS;
	snprintf(suite_name, sizeof(suite_name), "%.*s", (int)(dot ? (size_t)(dot - wish) : strlen(wish)), wish);
	suite = CU_get_suite(suite_name);
	if (!suite)
		return false;
	if (!dot)
		return CU_run_suite(suite) == CUE_SUCCESS;
	test = CU_get_test(suite, dot + 1);
	return test && CU_run_test(suite, test) == CUE_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *wish = getenv("T");
	bool known;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		list_all();
		return 0;
	}
	if (argc != 1) {
		fprintf(stderr, "usage: [T=suite[.test]] [SEED=n] %s [--list]\n", argv[0]);
		return 2;
	}
	if (!read_seed()) {
		fprintf(stderr, "unit: SEED: not a number\n");
		return 2;
	}
	if (!register_all()) {
		fprintf(stderr, "unit: cannot register the tests: %s\n", CU_get_error_msg());
		return 2;
	}
	signal(SIGABRT, on_abort);
	known = run(wish ? wish : "");
	CU_cleanup_registry();
	if (!known) {
		fprintf(stderr, "unit: T=%s: no such test (--list names them)\n", wish ? wish : "");
		return 2;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
