/* SPDX-License-Identifier: GPL-2.0-only */
/* crc32c.h - the Castagnoli CRC (RFC 3720, appendix B.4), by SSE 4.2 where the processor has it. */
#ifndef HB_BASE_CRC32C_H
#define HB_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC of `len` bytes, as sent on the wire: crc32c(0, "123456789", 9) is 0xe3069283. Continue with the former result. */
uint32_t crc32c(uint32_t crc, const void *buf, size_t len);
/* The same by tables, as on a processor without the instructions (tests compare the two). */
uint32_t crc32c_portable(uint32_t crc, const void *buf, size_t len);

/* Copies a block of 4096 bytes past the cache (for memory that is not read again soon) and returns the CRC of just the
 * bytes that were stored, even if the source changes meanwhile. `to` is aligned to 8 bytes. */
uint32_t crc32c_copy_block(void *to, const void *from);
/* The same without a CRC. */
void copy_block_cold(void *to, const void *from);

#endif
