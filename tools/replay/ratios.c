/* SPDX-License-Identifier: GPL-2.0-only */
/* ratios.c - what read-ahead is worth: operations, blocks and time of the HDD beside those of a replay without. */
#include "study.h"

#include "base/units.h"

double hdd_time(const struct result *r)
{
	return (double)r->hdd_seeks * HDD_SEEK_S + (double)r->hdd_blocks * BLK_BYTES / HDD_BYTES_S;
}

/* Where nothing is to be read, nothing is read ahead: equal. */
static double part(double a, double b)
{
	return b > 0 ? a / b : 1;
}

static struct ratios compare(const struct result *r, const struct result *to)
{
	return (struct ratios){
		.operations = part((double)r->hdd_reads, (double)to->hdd_reads),
		.blocks = part((double)r->hdd_blocks, (double)to->hdd_blocks),
		.time = part(hdd_time(r), hdd_time(to)),
	};
}

struct ratios ratios_to_lru(const struct options *o, const struct study *s, unsigned policy, unsigned size)
{
	return compare(&s->jobs[policy * o->nsizes + size].result, &s->lru[size].result);
}

struct ratios ratios_to_alone(const struct options *o, const struct study *s, unsigned policy, unsigned size)
{
	unsigned job = policy * o->nsizes + size;

	return compare(&s->jobs[job].result, &s->alone[job].result);
}

struct ratios ratios_mean(const struct options *o, const struct study *studies, unsigned n, unsigned policy,
			  unsigned size, ratios_fn of)
{
	unsigned first = size == o->nsizes ? 0 : size, end = size == o->nsizes ? o->nsizes : size + 1;
	double count = (double)n * (end - first);
	struct ratios sum = {0};

	for (unsigned s = 0; s < n; s++)
		for (unsigned i = first; i < end; i++) {
			struct ratios one = of(o, &studies[s], policy, i);

			sum.operations += one.operations / count;
			sum.blocks += one.blocks / count;
			sum.time += one.time / count;
		}
	return sum;
}
