/* SPDX-License-Identifier: GPL-2.0-only */
/* test_agent_run.c - programs that are run: what they get, and that they end, whatever they do. */
#include "suites.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/run.h"

static struct run sh(const char *script, uint32_t timeout_ms, int want, const char *input, const char *file)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct run r = {.argv = (char *const *)(uintptr_t)argv, .input = input, .file = file, .timeout_ms = timeout_ms};
	struct err err = ERR_INIT;
	int e = run_program(&r, &err);

	CU_ASSERT_EQUAL(e, want);
	CU_ASSERT_EQUAL(err.code, want);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.output);
	r.argv = NULL;
	return r;
}

static void says(const char *script, const char *input, const char *file, const char *want, int status)
{
	struct run r = sh(script, 20000, 0, input, file);

	if (strcmp(r.output, want) != 0)
		fprintf(stderr, "got: %s\nexpected: %s\n", r.output, want);
	CU_ASSERT_STRING_EQUAL(r.output, want);
	CU_ASSERT_EQUAL(r.status, status);
	free(r.output);
}

static void no_children(void)
{
	CU_ASSERT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void test_plain(void)
{
	says("echo out; echo err >&2; exit 3", NULL, NULL, "out\nerr\n", 3);
	says("kill -9 $$", NULL, NULL, "", 137);
	says("cat", NULL, NULL, "", 0);
	says("cat; cat /proc/self/fd/3; cat /proc/self/fd/3", "in", "file", "infilefile", 0);
	says("printf 'a\\0b'", NULL, NULL, "a?b", 0);
	no_children();
}

/* Nothing of ours: environment, folder, descriptors, blocked and ignored signals. */
static void test_clean(void)
{
	int leak = open("/dev/null", O_RDONLY);		/* without O_CLOEXEC */
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	signal(SIGPIPE, SIG_IGN);
	setenv("LD_LIBRARY_PATH", "/nowhere", 1);
	says("env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= | sort; pwd; umask", NULL, NULL,
	     "HOME=/\nLC_ALL=C\nPATH=" RUN_PATH "\n/\n0077\n", 0);
	/* What the shell opens to look is closed again when each is asked for. */
	says("for f in /proc/$$/fd/*; do [ ! -e $f ] || echo ${f##*/}; done", NULL, NULL, "0\n1\n2\n", 0);
	says("for f in /proc/$$/fd/*; do [ ! -e $f ] || echo ${f##*/}; done", NULL, "x", "0\n1\n2\n3\n", 0);
	/* The C library lets nobody touch its own two signals, 32 and 33. */
	says("grep -e SigBlk -e SigIgn /proc/$$/status | tr -d '\\n\\t' | sed 's/0000000[01][08]0000000$/none/'", NULL,
	     NULL, "SigBlk:0000000000000000SigIgn:none", 0);
	unsetenv("LD_LIBRARY_PATH");
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(leak);
}

static void test_none(void)
{
	static const char *const names[] = { "hybrid-no-such-program", "/nowhere/x", "a/b", "", "../bin/sh" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *argv[] = { names[i], NULL };
		struct run r = { .argv = (char *const *)(uintptr_t)argv, .timeout_ms = 1000 };
		struct err err = ERR_INIT;

		CU_ASSERT(run_program(&r, &err) < 0 && err.text[0]);
		free(r.output);
	}
	no_children();
}

/* The whole group goes at the timeout; a program that ends is not waited for longer because of what it left behind. */
static void test_timeout(void)
{
	struct run r = sh("echo begun; (trap '' TERM; sleep 1000) & echo $!; sleep 1000", 300, -ETIMEDOUT, NULL, NULL);
	long left = strchr(r.output, '\n') ? strtol(strchr(r.output, '\n'), NULL, 10) : 0;

	CU_ASSERT(!strncmp(r.output, "begun\n", 6) && left > 1);
	/* Gone, or a zombie of whoever inherited it, in a moment. */
	for (int i = 0; i < 2000 && left > 1 && kill((pid_t)left, 0) == 0; i++) {
		char path[64], state = 'R';
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%ld/stat", left);
		f = fopen(path, "r");
		if (f && fscanf(f, "%*d %*s %c", &state) == 1 && state == 'Z')
			i = 2000;
		if (f)
			fclose(f);
		CU_ASSERT(i != 1999);
		usleep(5000);
	}
	free(r.output);
	r = sh("setsid sleep 1000 & echo $!", 600000, 0, NULL, NULL);	/* has our pipe open; would take 10 minutes */
	left = strtol(r.output, NULL, 10);
	CU_ASSERT(left > 1);
	if (left > 1)
		kill((pid_t)left, SIGKILL);
	free(r.output);
	no_children();
}

static void test_flood(void)
{
	struct run r = sh("yes | head -c 3000000; exit 5", 60000, 0, NULL, NULL);

	CU_ASSERT(r.cut && r.len == RUN_OUTPUT_MAX && strlen(r.output) == RUN_OUTPUT_MAX && r.status == 5);
	free(r.output);
	r = sh("yes", 300, -ETIMEDOUT, NULL, NULL);	/* never ends */
	CU_ASSERT(r.cut && strlen(r.output) == RUN_OUTPUT_MAX);
	free(r.output);
	no_children();
}

static CU_TestInfo tests[] = {
	{ "plain", test_plain }, { "clean", test_clean }, { "none", test_none }, { "timeout", test_timeout },
	{ "flood", test_flood }, CU_TEST_INFO_NULL,
};

const struct hb_suite suite_agent_run = { "agent_run", tests };
