/* SPDX-License-Identifier: GPL-2.0-only */
/* heat.h - the map of a volume: where it is hot, and where its blocks are. */
#ifndef HB_TOOLS_HEAT_H
#define HB_TOOLS_HEAT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define HEAT_BUCKETS_MAX 256u
#define HEAT_PLACES 8

struct heat_map {			/* zeroed at first */
	char name[320];			/* what the heading says */
	uint64_t size_bytes, bucket_bytes, every;
	uint32_t n;			/* buckets */
	uint64_t blocks[HEAT_BUCKETS_MAX][HEAT_PLACES], dirty[HEAT_BUCKETS_MAX];
	bool heat;
	double reads[HEAT_BUCKETS_MAX], writes[HEAT_BUCKETS_MAX];
};

/* Into how many parts: as the terminal is wide; 64 where none tells the width, and for JSON. At most
 * HEAT_BUCKETS_MAX. */
uint32_t heat_buckets(bool json);
/* Adds an answer of the verb volume-heat, which may be a part of several. */
void heat_add(struct heat_map *m, const json_t *part);
/* After the last part: what it says of heat, borrowed; null or NULL: nothing is counted. */
void heat_add_counts(struct heat_map *m, const json_t *heat);
/* Text on stdout; colour only on a terminal that has it. */
void heat_print(const struct heat_map *m);
/* Puts what is known into an object. */
void heat_put(const struct heat_map *m, json_t *o);

#endif
