/* SPDX-License-Identifier: GPL-2.0-only */
/* types.c - EBS's volume types as what they are here: ceilings of requests and of bytes a second.
 *
 * gp3, io1 and io2 have what was asked for; gp2, st1 and sc1 what EBS gives a volume of that size (of st1 and sc1 the
 * burst, since there are no credits here); standard none. A volume without ceilings (made by hybrid-volume) keeps it
 * that way until its type is changed.
 */
#include "ec2/types.h"

#include <string.h>

#define TIB (1024 * GIB)

static const struct type {
	const char *name;
	uint64_t gib_min, gib_max;
	uint64_t iops_min, iops_max; /* 0: they cannot be asked for */
	uint64_t iops_unless_said; /* 0: they must be */
	uint64_t iops_per_gib; /* at most, beyond iops_unless_said */
	uint64_t mib_s_min, mib_s_max; /* throughput; 0: it cannot be asked for */
	bool multi_attach;
} types[] = {
	{"gp2", 1, 16384, 0, 0, 0, 0, 0, 0, false},
	{"gp3", 1, 65536, 3000, 80000, 3000, 500, 125, 2000, false},
	{"io1", 4, 16384, 100, 64000, 0, 50, 0, 0, true},
	{"io2", 4, 65536, 100, 256000, 0, 1000, 0, 0, true},
	{"st1", 125, 16384, 0, 0, 0, 0, 0, 0, false},
	{"sc1", 125, 16384, 0, 0, 0, 0, 0, 0, false},
	{"standard", 1, 1024, 0, 0, 0, 0, 0, 0, false},
};

static const struct type *find(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	return NULL;
}

bool ec2_type_shows_iops(const char *type)
{
	return !strcmp(type, "gp2") || (find(type) && find(type)->iops_max);
}

bool ec2_type_shows_throughput(const char *type)
{
	return find(type) && find(type)->mib_s_max;
}

static bool wrong(struct ec2_call *x, const char *what, uint64_t is, uint64_t min, uint64_t max, const char *type)
{
	return ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER),
			"Volume %s of %llu is not allowed for %s: %llu to %llu", what, (unsigned long long)is, type,
			(unsigned long long)min, (unsigned long long)max);
}

static bool not_for(struct ec2_call *x, const char *what, const char *type)
{
	return ec2_fail(x, ebs_code_text(EBS_INVALID_COMBINATION), "The parameter %s is not supported for %s volumes.",
			what, type);
}

/* A volume that is as large as it was is large enough. */
static bool size_ok(struct ec2_call *x, const struct type *t, const struct type_wish *w)
{
	uint64_t gib = (w->size_bytes + GIB - 1) / GIB, now = ec2_number(w->before, "size_bytes");
	const char *type_now = ec2_text(w->before, "type");

	if (!w->size_bytes || (w->size_bytes == now && type_now && !strcmp(type_now, t->name)))
		return true;
	return (gib >= t->gib_min && gib <= t->gib_max) || wrong(x, "size", gib, t->gib_min, t->gib_max, t->name);
}

static bool iops_ok(struct ec2_call *x, const struct type *t, const struct type_wish *w)
{
	uint64_t gib = w->size_bytes / GIB;

	if (!w->iops)
		return true;
	if (!t->iops_max)
		return not_for(x, "iops", t->name);
	if (w->iops < t->iops_min || w->iops > t->iops_max)
		return wrong(x, "iops", w->iops, t->iops_min, t->iops_max, t->name);
	if (w->iops > t->iops_unless_said && gib && w->iops > gib * t->iops_per_gib && w->iops > t->iops_min)
		return ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER),
				"Iops to volume size ratio of %llu is too high; maximum is %llu.",
				(unsigned long long)((w->iops + gib - 1) / gib), (unsigned long long)t->iops_per_gib);
	return true;
}

static bool throughput_ok(struct ec2_call *x, const struct type *t, const struct type_wish *w, uint64_t iops)
{
	uint64_t mib_s = w->bandwidth_bytes_s / MIB;

	if (!w->bandwidth_bytes_s)
		return true;
	if (!t->mib_s_max)
		return not_for(x, "throughput", t->name);
	if (mib_s < t->mib_s_min || mib_s > t->mib_s_max)
		return wrong(x, "throughput", mib_s, t->mib_s_min, t->mib_s_max, t->name);
	if (iops && mib_s * 4 > iops)
		return ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER),
				"Throughput (MiBps) to iops ratio is too high; maximum is 0.25 MiBps per iops.");
	return true;
}

static uint64_t within(uint64_t n, uint64_t min, uint64_t max)
{
	return n < min ? min : n > max ? max : n;
}

static uint64_t iops_by_size(const struct type *t, uint64_t bytes)
{
	return strcmp(t->name, "gp2") ? 0 : within(bytes / GIB * 3, 100, 16000);
}

static uint64_t bandwidth_by_size(const struct type *t, uint64_t bytes)
{
	if (!strcmp(t->name, "gp2"))
		return (bytes <= 170 * GIB ? 128 : 250) * MIB;
	if (!strcmp(t->name, "st1"))
		return within(bytes / (TIB / 250), 1, 500) * MIB;
	if (!strcmp(t->name, "sc1"))
		return within(bytes / (TIB / 80), 1, 250) * MIB;
	return 0;
}

static void set(json_t *to, const char *name, uint64_t n)
{
	json_object_set_new(to, name, json_integer((json_int_t)n));
}

bool ec2_type_limits(struct ec2_call *x, const struct type_wish *w, json_t *ret)
{
	const struct type *t = find(w->type);
	const char *type_now = ec2_text(w->before, "type");
	bool anew = !type_now || strcmp(type_now, w->type);
	bool by_size = t && !t->iops_max && (anew || w->size_bytes != ec2_number(w->before, "size_bytes"));
	uint64_t iops_now = ec2_number(w->before, "iops"), iops = w->iops;

	if (!t)
		return ec2_fail(x, ebs_code_text(EBS_UNKNOWN_TYPE),
				"Unsupported volume type '%.40s' for volume creation.", w->type);
	if (w->multi_attach && !t->multi_attach)
		return not_for(x, "multiAttachEnabled", t->name);
	if (!size_ok(x, t, w) || !iops_ok(x, t, w))
		return false;
	if (!iops && anew && t->iops_unless_said)
		iops = t->iops_unless_said;
	if (!iops && anew && t->iops_max && iops_now) /* from one that has them to another */
		iops = within(iops_now, t->iops_min, t->iops_max);
	if (!iops && anew && t->iops_max)
		return ec2_fail(x, ebs_code_text(EBS_MISSING_PARAMETER), "The request must contain the parameter iops");
	if (!throughput_ok(x, t, w, iops ? iops : iops_now))
		return false;
	if (iops || anew)
		set(ret, "iops", iops);
	if (w->bandwidth_bytes_s || anew)
		set(ret, "bandwidth_bytes_s",
		    w->bandwidth_bytes_s ? w->bandwidth_bytes_s : t->mib_s_min * MIB);
	if (by_size && (anew || iops_now || ec2_number(w->before, "bandwidth_bytes_s"))) {
		set(ret, "iops", iops_by_size(t, w->size_bytes));
		set(ret, "bandwidth_bytes_s", bandwidth_by_size(t, w->size_bytes));
	}
	return true;
}
