/* SPDX-License-Identifier: GPL-2.0-only */
/* bytes.h - little-endian (on disk) and big-endian (SCSI) integers at any alignment. */
#ifndef HB_BASE_BYTES_H
#define HB_BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BYTES_ACCESSORS(bits, end) \
	static inline uint##bits##_t get_##end##bits(const void *p) \
	{ \
		uint##bits##_t v; \
		memcpy(&v, p, sizeof(v)); \
		return end##bits##toh(v); \
	} \
	static inline void put_##end##bits(void *p, uint##bits##_t v) \
	{ \
		v = hto##end##bits(v); \
		memcpy(p, &v, sizeof(v)); \
	}

BYTES_ACCESSORS(16, le)
BYTES_ACCESSORS(32, le)
BYTES_ACCESSORS(64, le)
BYTES_ACCESSORS(16, be)
BYTES_ACCESSORS(32, be)
BYTES_ACCESSORS(64, be)

#endif
