/* SPDX-License-Identifier: GPL-2.0-only */
/* image.c - a stretch of a segment read into memory; see image.h. */
#include "engine/image.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"

static void read_next(struct image *m);

int image_init(struct image *m, uint32_t seg_blk)
{
	*m = (struct image){.seg_blk = seg_blk, .mem = mem_map((size_t)seg_blk * BLK_BYTES)};
	return m->mem ? 0 : -ENOMEM;
}

void image_fini(struct image *m)
{
	if (m->mem && !m->reading)
		mem_unmap(m->mem, (size_t)m->seg_blk * BLK_BYTES);
	m->mem = NULL;
}

static void read_done(struct dev_io *io)
{
	struct image *m = container_of(io, struct image, io);

	if (io->error)
		m->error = io->error;
	if (io->error == -ETIMEDOUT || (io->error && m->dev->failed)) {
		memset(m->bad, 0xff, sizeof(m->bad));
		if (io->error == -ETIMEDOUT)
			m->mem = NULL;
		m->reading = false;
		m->done(m);
		return;
	}
	if (io->error && !m->one_by_one) {
		m->one_by_one = true;
		m->at = m->first;
		read_next(m);
		return;
	}
	if (io->error)
		m->bad[m->at / 8] |= (uint8_t)(1u << m->at % 8);
	if (m->one_by_one && ++m->at < m->first + m->n) {
		read_next(m);
		return;
	}
	m->reading = false;
	m->done(m);
}

static void read_next(struct image *m)
{
	uint32_t first = m->one_by_one ? m->at : m->first, n = m->one_by_one ? 1 : m->n;

	m->iov = (struct iovec){m->mem + (size_t)first * BLK_BYTES, (size_t)n * BLK_BYTES};
	m->io = (struct dev_io){.op = DEV_READ,
				.side = m->side,
				.off_bytes = m->off_bytes + (uint64_t)first * BLK_BYTES,
				.len_bytes = (uint64_t)n * BLK_BYTES,
				.iov = &m->iov,
				.niov = 1,
				.done = read_done};
	dev_queue(m->dev, &m->io);
}

bool image_read(struct image *m, struct dev *dev, uint8_t side, uint64_t off_bytes, uint32_t first, uint32_t n)
{
	if (!m->mem) {
		m->mem = mem_map((size_t)m->seg_blk * BLK_BYTES);
		if (!m->mem)
			return false;
	}
	m->dev = dev;
	m->side = side;
	m->off_bytes = off_bytes;
	m->first = first;
	m->n = n;
	m->one_by_one = false;
	m->reading = true;
	m->error = 0;
	memset(m->bad, 0, sizeof(m->bad));
	read_next(m);
	return true;
}

const uint8_t *image_block(const struct image *m, uint32_t i)
{
	if (!m->mem || i < m->first || i - m->first >= m->n || (m->bad[i / 8] & 1u << i % 8))
		return NULL;
	return m->mem + (size_t)i * BLK_BYTES;
}
