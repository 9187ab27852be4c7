/* SPDX-License-Identifier: GPL-2.0-only */
/* types.h - EBS's volume types as what they are here: ceilings of requests and of bytes a second. */
#ifndef HB_EC2_TYPES_H
#define HB_EC2_TYPES_H

#include "ec2/priv.h"

/* What a request says; 0: nothing. */
struct type_wish {
	const char *type;
	uint64_t size_bytes;
	uint64_t iops;
	uint64_t bandwidth_bytes_s; /* Throughput */
	bool multi_attach;
	/* Of a volume that becomes this one: what it has now. NULL: it is new. */
	const json_t *before;
};

/* Is there such a volume? Then *ret gets its ceilings ("iops", "bandwidth_bytes_s"; 0: none), those that are to change.
 * false: x has failed; *ret is left alone. */
bool ec2_type_limits(struct ec2_call *x, const struct type_wish *w, json_t *ret);
/* Do its iops, its throughput belong to what clients are told of a volume of this type? */
bool ec2_type_shows_iops(const char *type);
bool ec2_type_shows_throughput(const char *type);

#endif
