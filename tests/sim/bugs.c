/* SPDX-License-Identifier: GPL-2.0-only */
/* bugs.c - proves the simulator: switches on one deliberate bug after the other; each must make the case fail that
 * bugs.def names for it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bug.h"
#include "tests/sim/runner.h"

#ifdef HB_BUGS

int bugs_run(const struct runner_opts *o, const char *only)
{
	struct runner_opts mine = *o;
	unsigned caught = 0, survived = 0;

	mine.quiet = true;
	mine.stop_at_failure = true;
	for (enum bug b = BUG_NONE + 1; b < BUG_COUNT; b++) {
		struct runner_result res;

		if (only && strcmp(only, bug_name(b)))
			continue;
		bug_on = b;
		mine.only = bug_by(b);
		res = runner_run(&mine);
		printf("%-8s %-26s %6lu crash worlds  %s\n", res.failed ? "caught" : "SURVIVED", bug_name(b),
		       res.crash_worlds, res.failed ? res.first_failure : bug_what(b));
		fflush(stdout);
		if (res.failed)
			caught++;
		else
			survived++;
	}
	bug_on = BUG_NONE;
	if (only && !caught && !survived) {
		fprintf(stderr, "sim: no bug is called %s\n", only);
		return 1;
	}
	printf("%u bugs caught, %u survived\n", caught, survived);
	return (int)survived;
}

#else

int bugs_run(const struct runner_opts *o, const char *only)
{
	(void)o, (void)only;
	fprintf(stderr, "sim: built without deliberate bugs (-DHB_BUGS)\n");
	return 1;
}

#endif
