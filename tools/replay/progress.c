/* SPDX-License-Identifier: GPL-2.0-only */
/* progress.c - a bar on a terminal: how much is done, how fast, and how long it will take. */
#include "jobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"

#define EVERY_NS (100 * MSEC_NS)
#define BAR 24

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC_NS + (uint64_t)ts.tv_nsec;
}

void progress_begin(struct progress *p, const char *what)
{
	*p = (struct progress){.shown = isatty(STDERR_FILENO), .what = what, .began_ns = now_ns()};
}

void progress_tell(struct progress *p, const char *doing, uint64_t done, uint64_t total, const char *unit)
{
	char bar[BAR + 1], eta[32] = "";
	uint64_t now = p->shown ? now_ns() : 0;
	double seconds = (double)(now - p->began_ns) / 1e9, rate = seconds > 0 ? (double)done / seconds : 0;

	if (!p->shown || now - p->told_ns < EVERY_NS)
		return;
	p->told_ns = now;
	if (!total) {
		fprintf(stderr, "\r\033[K%s: %s, %.3g M %s", p->what, doing, (double)done / 1e6, unit);
		return;
	}
	for (int i = 0; i < BAR; i++)
		bar[i] = (uint64_t)i * total < done * BAR ? '#' : '.';
	bar[BAR] = '\0';
	if (rate > 0 && seconds > 0.5) {
		uint64_t left = (uint64_t)((double)(total - MIN(done, total)) / rate + 0.5);

		snprintf(eta, sizeof(eta), ", %" PRIu64 ":%02u left", left / 60, (unsigned)(left % 60));
	}
	fprintf(stderr, "\r\033[K%s: %s [%s] %.0f %%, %.3g M %s/s%s", p->what, doing, bar,
		100 * (double)done / (double)total, rate / 1e6, unit, eta);
}

void progress_end(struct progress *p)
{
	if (p->shown)
		fprintf(stderr, "\r\033[K");
}
