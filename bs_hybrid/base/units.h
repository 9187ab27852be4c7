/* SPDX-License-Identifier: GPL-2.0-only */
/* units.h - the typed numbers of a pool: blocks, chunks, slots, and how they convert.
 *
 * Each is a struct of one integer, so that a pool block cannot be passed where a cache slot is due; the structs
 * travel in registers and cost nothing.
 */
#ifndef HB_BASE_UNITS_H
#define HB_BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLK_SHIFT 12
#define BLK_BYTES 4096u
#define SECTOR_SHIFT 9
#define SECTOR_BYTES 512u

/* A 4 KiB block of the capacity device, by its place there: block n lies at byte n * 4096. */
typedef struct {
	uint64_t n;
} pblk_t;
/* A 4 KiB block of a volume. */
typedef struct {
	uint64_t n;
} vblk_t;
/* A chunk of the capacity device: chunk n holds the pool blocks from n * chunk_blk on. 0 is "none" (the superblock
 * lies there, so chunk 0 is never allocated). */
typedef struct {
	uint32_t n;
} chunk_t;
/* A 4 KiB place on the write tier, by its place there: slot n lies at byte n * 4096. 0 is "none" (superblock). */
typedef struct {
	uint32_t n;
} slot_t;
/* A segment of the write tier: segment n holds the slots from n * seg_blk on. 0 is "none" (superblocks). */
typedef struct {
	uint32_t n;
} segno_t;

#define CHUNK_NONE ((chunk_t){0})
#define SLOT_NONE ((slot_t){0})
#define SEG_NONE ((segno_t){0})

/* Pool blocks need 40 bits: 4 PiB of capacity. */
#define PBLK_BITS 40
#define PBLK_MAX ((1ull << PBLK_BITS) - 1)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define DIV_UP(a, b) (((a) + (b)-1) / (b))
#define ROUND_UP(a, b) (DIV_UP(a, b) * (b))
#define ROUND_DOWN(a, b) ((a) / (b) * (b))

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define MSEC_NS 1000000ull
#define SEC_NS 1000000000ull

#endif
