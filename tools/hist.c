/* SPDX-License-Identifier: GPL-2.0-only */
/* hist.c - latency histograms as the stats verb has them; see live.h. */
#include "live.h"

static unsigned bucket_of(uint64_t below_ns)
{
	unsigned i = 0;

	if (!below_ns)
		return HB_HIST_BUCKETS - 1;
	while (i < HB_HIST_BUCKETS - 1 && hb_hist_end_ns(i) < below_ns)
		i++;
	return i;
}

void live_hist_read(const json_t *latency, struct live_hist *ret)
{
	json_t *b;
	size_t i;

	*ret = (struct live_hist){.total = get_uint(latency, "count"), .sum_ns = get_uint(latency, "sum_ns")};
	json_array_foreach((json_t *)get_any(latency, "buckets"), i, b)
		ret->n[bucket_of(get_uint(b, "below_ns"))] += get_uint(b, "count");
}

void live_hist_since(struct live_hist *now, const struct live_hist *before)
{
	if (now->total < before->total)
		return;
	now->total -= before->total;
	now->sum_ns -= before->sum_ns;
	for (unsigned i = 0; i < HB_HIST_BUCKETS; i++)
		now->n[i] -= MIN(now->n[i], before->n[i]);
}

uint64_t live_hist_percentile(const struct live_hist *h, unsigned permille)
{
	uint64_t want = DIV_UP(h->total * permille, 1000), seen = 0;

	if (!h->total)
		return 0;
	for (unsigned i = 0; i < HB_HIST_BUCKETS - 1; i++) {
		seen += h->n[i];
		if (seen >= want)
			return hb_hist_end_ns(i);
	}
	return hb_hist_end_ns(HB_HIST_BUCKETS - 2);
}
