/* SPDX-License-Identifier: GPL-2.0-only */
/* when.c - texts that mean times: "daily 03:15", five fields as cron's, "2026-01-02T03:04:05Z". All in UTC, so that no
 * hour comes twice or never. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/units.h"
#include "verbs/priv.h"

#define MINUTE_MS 60000ull
#define DAY_MS 86400000ull
#define DAYS_MAX 36500u
#define LOOK_DAYS (366u * 9) /* of the 29th of February, there may be none for eight years */

static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/* ---------------------------------------------------------------- five fields */

struct field {
	unsigned min, max;
	bool names; /* of weekdays */
};

/* A number or a name; *at is behind it then. */
static bool value(const char **at, const struct field *f, unsigned *ret)
{
	unsigned n = 0, digits = 0;

	for (unsigned i = 0; f->names && i < ARRAY_LEN(weekdays); i++)
		if (!strncasecmp(*at, weekdays[i], 3)) {
			*at += 3;
			*ret = i;
			return true;
		}
	for (; **at >= '0' && **at <= '9' && digits < 3; (*at)++, digits++)
		n = n * 10 + (unsigned)(**at - '0');
	*ret = n;
	return digits && n >= f->min && n <= f->max;
}

/* "A", "A-B", "*", each perhaps with "/N". */
static bool part(const char **at, const struct field *f, uint64_t *set, bool *all)
{
	unsigned from = f->min, to = f->max, step = 1;
	const struct field steps = {1, f->max, false};
	bool star = **at == '*';

	if (star)
		(*at)++;
	else if (!value(at, f, &from))
		return false;
	if (!star) {
		to = from;
		if (**at == '-') {
			(*at)++;
			if (!value(at, f, &to) || to < from)
				return false;
		}
	}
	if (**at == '/') {
		(*at)++;
		if (!value(at, &steps, &step))
			return false;
		if (!star && to == from)
			to = f->max;
	}
	*all = star && step == 1;
	for (unsigned i = from; i <= to; i += step)
		*set |= 1ull << i;
	return true;
}

static bool field(const char **at, const struct field *f, uint64_t *set, bool *all)
{
	bool one = false;

	*set = 0;
	*all = false;
	do {
		if (*set)
			(*at)++;
		if (!part(at, f, set, &one))
			return false;
		*all |= one;
	} while (**at == ',');
	if (**at && **at != ' ')
		return false;
	*at += strspn(*at, " ");
	return true;
}

static bool five_fields(const char *text, struct when *w)
{
	static const struct field fields[] = {
		{0, 59, false}, {0, 23, false}, {1, 31, false}, {1, 12, false}, {0, 7, true}};
	const char *at = text;
	uint64_t set[5];
	bool all[5];

	for (unsigned i = 0; i < 5; i++)
		if (!field(&at, &fields[i], &set[i], &all[i]))
			return false;
	*w = (struct when){.minutes = set[0],
			   .hours = (uint32_t)set[1],
			   .days = (uint32_t)set[2],
			   .months = (uint32_t)set[3],
			   .weekdays = (uint32_t)((set[4] | set[4] >> 7) & 0x7f),
			   .either_day = !all[2] && !all[4]};
	return !*at;
}

/* ---------------------------------------------------------------- what people say */

static bool clock_of(const char *text, unsigned *ret_hour, unsigned *ret_minute)
{
	int end = 0;

	return sscanf(text, "%2u:%2u%n", ret_hour, ret_minute, &end) == 2 && !text[end] && *ret_hour < 24 &&
	       *ret_minute < 60 && text[0] != '+' && text[0] != '-';
}

/* "daily HH:MM", "weekly DAY HH:MM". */
static bool at_clock(const char *text, struct when *w)
{
	char day[8] = "", clock[8] = "";
	unsigned hour, minute, weekday = 0;
	int end = 0;

	if (sscanf(text, "daily %7s%n", clock, &end) == 1 && !text[end])
		*w = (struct when){.weekdays = 0x7f};
	else if (sscanf(text, "weekly %7s %7s%n", day, clock, &end) == 2 && !text[end])
		*w = (struct when){.weekdays = 0};
	else
		return false;
	for (; *day && weekday < 7 && strcasecmp(day, weekdays[weekday]); weekday++)
		;
	if (weekday == 7 || !clock_of(clock, &hour, &minute))
		return false;
	if (*day)
		w->weekdays = 1u << weekday;
	w->minutes = 1ull << minute;
	w->hours = 1u << hour;
	w->days = 0xfffffffe;
	w->months = 0x1ffe;
	return true;
}

/* "15 minutes", "6h". */
static bool so_often(const char *text, struct when *w)
{
	static const struct {
		const char *word;
		unsigned minutes;
	} units[] = {{"m", 1},   {"min", 1},   {"minute", 1}, {"minutes", 1}, {"h", 60},
		     {"hour", 60}, {"hours", 60}, {"d", 1440},   {"day", 1440},  {"days", 1440}};
	char unit[12] = "";
	unsigned n = 0;
	int end = 0;

	if (text[0] < '0' || text[0] > '9' || sscanf(text, "%6u %11[a-z]%n", &n, unit, &end) != 2 || text[end])
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (!strcmp(unit, units[i].word))
			*w = (struct when){.every_ms = (uint64_t)n * units[i].minutes * MINUTE_MS};
	return w->every_ms && w->every_ms <= DAYS_MAX * DAY_MS;
}

int when_parse(const char *text, struct when *ret, struct err *err)
{
	struct when w = {0};

	if (!so_often(text, &w) && !at_clock(text, &w) && !five_fields(text, &w))
		return err_set(err, -EINVAL,
			       "'%.60s': expected \"30 minutes\", \"6 hours\", \"daily 03:15\", \"weekly sun 03:15\", "
			       "or five fields as cron's", text);
	if (!when_next(&w, 0))
		return err_set(err, -EINVAL, "'%.60s' is never", text);
	*ret = w;
	return 0;
}

/* ---------------------------------------------------------------- the next time */

static bool is_day(const struct when *w, const struct tm *tm)
{
	bool day = w->days >> tm->tm_mday & 1, weekday = w->weekdays >> tm->tm_wday & 1;

	if (!(w->months >> (tm->tm_mon + 1) & 1))
		return false;
	return w->either_day ? day || weekday : day && weekday;
}

/* The first minute of a day from this one on, or 1440. */
static unsigned minute_of_day(const struct when *w, unsigned from)
{
	for (; from < 1440; from++)
		if (w->hours >> from / 60 & 1 && w->minutes >> from % 60 & 1)
			break;
	return from;
}

uint64_t when_next(const struct when *w, uint64_t after_ms)
{
	uint64_t day = after_ms / DAY_MS;
	unsigned from = (unsigned)(after_ms % DAY_MS / MINUTE_MS) + 1;

	if (w->every_ms)
		return after_ms + w->every_ms;
	for (unsigned i = 0; i < LOOK_DAYS; i++, day++, from = 0) {
		time_t s = (time_t)(day * (DAY_MS / 1000));
		unsigned minute;
		struct tm tm;

		if (!gmtime_r(&s, &tm) || !is_day(w, &tm))
			continue;
		minute = minute_of_day(w, from);
		if (minute < 1440)
			return day * DAY_MS + minute * MINUTE_MS;
	}
	return 0;
}

int when_time(const char *text, uint64_t *ret_ms, struct err *err)
{
	struct tm tm = {0}, again;
	const char *rest = strptime(text, "%Y-%m-%d", &tm);
	unsigned ms = 0, weight = 100;
	int day;
	time_t s;

	if (rest && *rest == 'T')
		rest = strptime(rest, "T%H:%M:%S", &tm);
	if (rest && *rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, weight /= 10)
			ms += (unsigned)(*rest - '0') * weight;
	day = tm.tm_mday;
	s = timegm(&tm); /* makes the 2nd of March of the 30th of February */
	if (!rest || (*rest && strcmp(rest, "Z")) || s < 0 || !gmtime_r(&s, &again) || again.tm_mday != day)
		return err_set(err, -EINVAL, "'%.40s': expected a time as 2026-01-02 or 2026-01-02T03:04:05Z", text);
	*ret_ms = (uint64_t)s * 1000 + ms;
	return 0;
}
