/* SPDX-License-Identifier: GPL-2.0-only */
/* findings.c - why a volume may be slow, as sentences that each come from a number.
 *
 * "error": data cannot be read, or not be written. "warning": it costs time, or is about to. "note": good to know.
 * "ok": none of these costs time. Counters are since the pool was opened: what was slow then and is no longer is told
 * of as well.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "verbs/priv.h"

#define READS_LEAST 256 /* blocks: of fewer no ratio is made */
#define DISK_PCT 25 /* of blocks read; what is below is what a cache is like */
#define WAITED_NS 1000000000ll /* in all; below, it is a note */
#define DIRTY_PCT 50 /* of the write tier: from there on writers may be slowed (engine/throttle.c) */
#define FULL_PCT 95 /* of the capacity device */
#define SLOW_NS 20000000ll /* more than a disk takes for one request */
#define CACHED_PCT 90 /* of the fast tiers: they are full */

struct listing {
	json_t *list[3]; /* by severity */
};
enum severity { BAD, SLOW, NOTE };

static void say(struct listing *l, enum severity severity, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(struct listing *l, enum severity severity, const char *fmt, ...)
{
	static const char *const words[] = {"error", "warning", "note"};
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	text_vfmt(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(l->list[severity], json_pack("{s:s, s:s}", "severity", words[severity], "text", text));
}

static const json_t *in(const json_t *o, const char *member)
{
	return json_object_get(o, member);
}

static json_int_t percent(json_int_t part, json_int_t whole)
{
	return whole > 0 ? (json_int_t)(100.0 * (double)part / (double)whole + 0.5) : 0;
}

static const char *size_text(json_int_t bytes, char to[32])
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)bytes;
	int u = 0;

	for (; u < 4 && v >= 1024; u++)
		v /= 1024;
	snprintf(to, 32, v < 10 && u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return to;
}

static const char *time_text(json_int_t ns, char to[32])
{
	if (ns >= 10000000000ll)
		snprintf(to, 32, "%lld s", (long long)(ns / 1000000000));
	else if (ns >= 1000000000)
		snprintf(to, 32, "%.1f s", (double)ns / 1e9);
	else
		snprintf(to, 32, "%.1f ms", (double)ns / 1e6);
	return to;
}

/* ---------------------------------------------------------------- the pool */

static void look_at_health(const struct explained *x, struct listing *l)
{
	const json_t *health = in(x->stats, "health");
	const char *trouble = text_of(health, "trouble");

	if (json_is_true(in(health, "failed")))
		say(l, BAD, "the pool has failed: %s", trouble ? trouble : "its log says why");
	else if (json_is_true(in(health, "read_only")))
		say(l, BAD, "the pool is read-only: nothing can be written");
	else if (trouble && *trouble)
		say(l, SLOW, "the pool: %s", trouble);
}

static void look_at_tiers(const struct explained *x, struct listing *l)
{
	const json_t *t;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)in(x->tiers, "tiers"), i, t)
	{
		const char *state = text_of(t, "state"), *tier = text_of(t, "tier"), *path = text_of(t, "path");
		bool half = tier && !strcmp(tier, "half");

		if (!state || !tier || !strcmp(state, "on") || !strcmp(state, "unused"))
			continue;
		say(l, strcmp(state, "failed") ? SLOW : BAD, "%s %s is %s%s",
		    half                       ? "the mirror's half"
		    : !strcmp(tier, "level")   ? "the cache level"
		    : !strcmp(tier, "capacity") ? "the disk"
						: "the SSD",
		    path ? path : "", state, half ? ": what is on the other one only has no copy" : "");
	}
}

static void look_at_devices(const struct explained *x, struct listing *l)
{
	const json_t *d;
	char text[32];
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)in(x->stats, "devices"), i, d)
	{
		const char *tier = text_of(d, "tier");
		json_int_t mean = number_of(in(d, "read"), "mean_ns");

		if (number_of(d, "timeouts") || number_of(d, "errors"))
			say(l, SLOW, "%s: %lld errors, and %lld times no answer in time, since the pool was opened",
			    text_of(d, "path") ? text_of(d, "path") : tier, (long long)number_of(d, "errors"),
			    (long long)number_of(d, "timeouts"));
		if (tier && !strcmp(tier, "capacity") && mean >= 2 * SLOW_NS)
			say(l, SLOW, "a read of the disk takes %s on average: it has more to do than it can",
			    time_text(mean, text));
	}
}

static void look_at_scrub(const struct explained *x, struct listing *l)
{
	json_int_t lost = number_of(x->scrub, "lost_blocks") + number_of(x->scrub, "unreadable_blocks");
	char text[32];

	if (lost)
		say(l, BAD, "the last scrub found %lld blocks of the pool that cannot be read", (long long)lost);
	if (json_is_true(in(x->scrub, "running")))
		say(l, NOTE, "a scrub is reading the pool, at most %s a second",
		    size_text(number_of(x->scrub, "rate_bytes_s"), text));
}

static void look_at_space(const struct explained *x, struct listing *l)
{
	const json_t *space = in(x->stats, "space"), *work = in(x->stats, "work");
	json_int_t log = number_of(space, "log_bytes"), all = number_of(space, "capacity_bytes"), full, dirty;
	json_int_t slowed = number_of(work, "throttled"), slowed_ns = number_of(work, "throttled_ns");
	char text[32];

	dirty = percent(number_of(space, "dirty_bytes"), log);
	if (dirty >= DIRTY_PCT)
		say(l, SLOW,
		    "the write tier is %lld %% full of what the disk does not have yet: writes are slowed to the "
		    "disk's pace",
		    (long long)dirty);
	if (slowed)
		say(l, slowed_ns >= WAITED_NS ? SLOW : NOTE,
		    "since the pool was opened %lld writes of its volumes were slowed to the disk's pace, by %s in "
		    "all, as the write tier was filling up",
		    (long long)slowed, time_text(slowed_ns, text));
	full = percent(all - number_of(space, "free_bytes"), all);
	if (full >= FULL_PCT)
		say(l, full >= 100 ? BAD : SLOW, "the pool is %lld %% full: %s are free for all its volumes",
		    (long long)full, size_text(number_of(space, "free_bytes"), text));
}

/* ---------------------------------------------------------------- the volume: what it waits for */

static void look_at_ceilings(const struct explained *x, struct listing *l)
{
	const json_t *attr = in(x->shown, "attributes"), *waits = in(x->shown, "waits");
	json_int_t iops = number_of(attr, "iops"), bandwidth = number_of(attr, "bandwidth_bytes");
	json_int_t limited = number_of(waits, "limited"), limited_ns = number_of(waits, "limited_ns");
	json_int_t queued = number_of(waits, "queued"), queued_ns = number_of(waits, "queued_ns");
	char waited[32], size[32], ceiling[80] = "ceilings, which have been taken away since";

	if (iops && bandwidth)
		text_fmt(ceiling, sizeof(ceiling), "ceilings of %lld IOPS and %s a second", (long long)iops,
			 size_text(bandwidth, size));
	else if (iops)
		text_fmt(ceiling, sizeof(ceiling), "ceiling of %lld IOPS", (long long)iops);
	else if (bandwidth)
		text_fmt(ceiling, sizeof(ceiling), "ceiling of %s a second", size_text(bandwidth, size));
	if (limited)
		say(l, limited_ns >= WAITED_NS ? SLOW : NOTE,
		    "%lld requests waited %s in all since the pool was opened for its %s", (long long)limited,
		    time_text(limited_ns, waited), ceiling);
	if (queued)
		say(l, queued_ns >= WAITED_NS ? SLOW : NOTE,
		    "%lld requests waited %s in all for their turn: other volumes want the disk, or writes were slowed "
		    "to its pace",
		    (long long)queued, time_text(queued_ns, waited));
}

static void look_at_mode(const struct explained *x, struct listing *l)
{
	static const struct {
		const char *mode, *text;
		enum severity severity;
	} modes[] = {
		{"write-through", "write-through: each write waits for the disk", SLOW},
		{"write-around", "write-around: each write waits for the disk, and its first read, too", SLOW},
		{"none", "mode none: nothing of it is cached, each request waits for the disk", SLOW},
		{"read-only", "read-only: each write is refused", NOTE},
	};
	const char *mode = text_of(in(x->shown, "attributes"), "mode");
	const json_t *write = in(in(x->mine, "latency"), "write");
	char text[32], how[80] = "";

	if (number_of(write, "count"))
		text_fmt(how, sizeof(how), " (half of them took %s or less)",
			 time_text(number_of(write, "p50_ns"), text));
	for (size_t i = 0; mode && i < ARRAY_LEN(modes); i++)
		if (!strcmp(modes[i].mode, mode))
			say(l, modes[i].severity, "%s%s", modes[i].text, modes[i].severity == SLOW ? how : "");
}

static void look_at_failures(const struct explained *x, struct listing *l)
{
	const char *op;
	json_t *o;

	json_object_foreach((json_t *)(uintptr_t)in(x->mine, "requests"), op, o)
	{
		if (number_of(o, "errors"))
			say(l, BAD, "%lld %s requests have failed since the pool was opened",
			    (long long)number_of(o, "errors"), op);
	}
}

/* ---------------------------------------------------------------- the volume: its cache */

json_int_t explained_reads(const struct explained *x, json_int_t *ret_disk)
{
	const json_t *blocks = in(x->mine, "read_blocks");
	json_int_t all = 0;
	const char *place;
	json_t *n;

	json_object_foreach((json_t *)(uintptr_t)blocks, place, n)
	{
		if (strcmp(place, "unmapped"))
			all += json_integer_value(n);
	}
	*ret_disk = number_of(blocks, "capacity");
	return all;
}

/* What its miss-ratio curve says of a larger cache: the smallest that would halve what is missed. "" if it says
 * nothing. */
static void curve_text(const struct explained *x, double missed, char *to, size_t room)
{
	const json_t *curve = in(x->shown, "miss_ratios"), *point;
	double least = 1;
	char size[32];
	size_t i;

	*to = '\0';
	json_array_foreach((json_t *)(uintptr_t)curve, i, point)
	{
		double miss = json_number_value(in(point, "miss_ratio"));

		least = miss < least ? miss : least;
		if (miss > missed / 2)
			continue;
		text_fmt(to, room, " (its miss-ratio curve says that a cache of %s for it alone would serve %.0f %%)",
			 size_text(number_of(point, "cache_bytes"), size), 100 * (1 - miss));
		return;
	}
	if (i)
		text_fmt(to, room,
			 " (its miss-ratio curve says that no cache would serve more than %.0f %%: most is read once)",
			 100 * (1 - least));
}

/* Of what RAM, write tier and levels have room for, how much they hold. */
static json_int_t cached_percent(const struct explained *x)
{
	json_int_t size = 0, used = 0;
	const json_t *t;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)in(x->stats, "tiers"), i, t)
	{
		if (!text_of(t, "tier") || !strcmp(text_of(t, "tier"), "capacity"))
			continue;
		size += number_of(t, "size_bytes");
		used += number_of(t, "used_bytes");
	}
	return percent(used, size);
}

static void look_at_loading(const struct explained *x, struct listing *l)
{
	const json_t *t, *loading;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)in(x->stats, "tiers"), i, t)
	{
		loading = in(t, "loading_percent");
		if (json_is_integer(loading) && json_integer_value(loading) < 100 &&
		    !strcmp(text_of(t, "state") ? text_of(t, "state") : "", "on"))
			say(l, NOTE, "the pool was opened a short time ago: %lld %% of what %s held is known again",
			    (long long)json_integer_value(loading), text_of(t, "tier"));
	}
}

static void look_at_reads(const struct explained *x, struct listing *l)
{
	json_int_t disk, all = explained_reads(x, &disk), pct = percent(disk, all), cached = cached_percent(x);
	char curve[160];

	if (all < READS_LEAST || pct < DISK_PCT)
		return;
	curve_text(x, (double)disk / (double)all, curve, sizeof(curve));
	if (cached >= CACHED_PCT)
		say(l, SLOW, "%lld %% of reads go to the disk: the working set is larger than the cache%s",
		    (long long)pct, curve);
	else
		say(l, SLOW, "%lld %% of reads go to the disk, though the caches are but %lld %% full: what is read "
		    "has not been read before, or is passed by them%s",
		    (long long)pct, (long long)cached, curve);
}

static void look_at_dirty(const struct explained *x, struct listing *l)
{
	char text[32];

	if (x->dirty_bytes > 0 && !x->mirrored)
		say(l, NOTE, "%s of it are on the SSD and not on the disk yet: the SSD is not mirrored, they are lost "
		    "if it dies",
		    size_text(x->dirty_bytes, text));
}

/* Slow, and nothing else says why. */
static void look_at_latency(const struct explained *x, struct listing *l)
{
	static const char *const ops[] = {"read", "write"};
	bool explained = json_array_size(l->list[BAD]) || json_array_size(l->list[SLOW]);
	char text[32];

	for (size_t i = 0; !explained && i < ARRAY_LEN(ops); i++) {
		json_int_t p99 = number_of(in(in(x->mine, "latency"), ops[i]), "p99_ns");

		if (p99 >= SLOW_NS)
			say(l, SLOW, "one %s in a hundred takes %s or longer, and no counter says why", ops[i],
			    time_text(p99, text));
	}
}

json_t *findings_of(const struct explained *x)
{
	struct listing l = {{json_array(), json_array(), json_array()}};
	json_t *all = json_array();

	look_at_health(x, &l);
	look_at_scrub(x, &l);
	look_at_failures(x, &l);
	look_at_ceilings(x, &l);
	look_at_mode(x, &l);
	look_at_reads(x, &l);
	look_at_space(x, &l);
	look_at_tiers(x, &l);
	look_at_devices(x, &l);
	look_at_loading(x, &l);
	look_at_dirty(x, &l);
	look_at_latency(x, &l);
	if (!x->mine)
		say(&l, NOTE, "nobody has used it since the pool was opened");
	for (int i = 0; i < 3; i++) {
		if (i == NOTE && !json_array_size(all))
			json_array_append_new(all, json_pack("{s:s, s:s}", "severity", "ok", "text",
							     "no finding: nothing is slow here"));
		json_array_extend(all, l.list[i]);
		json_decref(l.list[i]);
	}
	return all;
}
