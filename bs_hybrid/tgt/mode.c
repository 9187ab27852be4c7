/* SPDX-License-Identifier: GPL-2.0-only */
/* mode.c - MODE SENSE and MODE SELECT (6, 10), from the pages tgtd keeps for each LUN.
 *
 * Of the pages only WCE (caching) and SWP (control) may be changed. Everything is checked before anything is changed.
 * Clearing WCE makes durable what was written before.
 */
#include <string.h>

#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/work.h"

#define PAGES_MAX 1024
#define PAGE_CACHING 0x08
#define PAGE_CONTROL 0x0a
#define WCE 0x04		/* byte 2 of the caching page, byte 0 of its data */
#define SWP 0x08		/* byte 4 of the control page, byte 2 of its data */

enum { PC_CURRENT, PC_CHANGEABLE, PC_DEFAULT, PC_SAVED };

static uint8_t *flag_of(struct tgt_mode_page *page, uint8_t *ret_bit)
{
	if (page->page == PAGE_CACHING && !page->subpage && page->size > 0) {
		*ret_bit = WCE;
		return page->data;
	}
	if (page->page == PAGE_CONTROL && !page->subpage && page->size > 2) {
		*ret_bit = SWP;
		return page->data + 2;
	}
	return NULL;
}

/* ------------------------------------------------------------------ MODE SENSE */
static size_t put_page(struct tgt_mode_page *page, unsigned control, uint8_t *p, size_t room)
{
	size_t header = page->subpage ? 4 : 2, size = (size_t)page->size;
	uint8_t bit, *flag = flag_of(page, &bit);

	if (page->size < 0 || header + size > room)
		return 0;
	p[0] = page->page;
	p[1] = (uint8_t)size;
	if (page->subpage) {
		p[0] |= 0x40;
		p[1] = page->subpage;
		put_be16(p + 2, (uint16_t)size);
	}
	memcpy(p + header, page->data, size);
	if (control == PC_CHANGEABLE) {
		memset(p + header, 0, size);
		if (flag)
			p[header + (size_t)(flag - page->data)] = bit;
	}
	if (control == PC_DEFAULT && flag) {
		p[header + (size_t)(flag - page->data)] &= (uint8_t)~bit;
		if (page->page == PAGE_CACHING)
			p[header] |= WCE;
	}
	return header + size;
}

static bool wanted(const struct tgt_mode_page *page, uint8_t code, uint8_t subcode)
{
	if (code != 0x3f && page->page != code)
		return false;
	return page->subpage == subcode || subcode == 0xff;
}

static void put_block_descriptor(const struct lun *lun, uint8_t *p)
{
	put_be32(p, (uint32_t)MIN(lun_blocks(lun), (uint64_t)UINT32_MAX));
	put_be32(p + 4, 1u << lun->lu->blk_shift);
}

int mode_sense(struct lun *lun, struct tgt_cmd *cmd)
{
	const uint8_t *cdb = cmd->cdb;
	bool six = cdb[0] == OP_MODE_SENSE_6, descriptor = !(cdb[1] & 0x08), found = false;
	uint8_t code = cdb[2] & 0x3f, subcode = cdb[3], data[PAGES_MAX] = { 0 };
	size_t header = six ? 4 : 8, len = header;
	unsigned control = cdb[2] >> 6;

	if (control == PC_SAVED)
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_SAVING_UNSUPPORTED);
	if (descriptor) {
		put_block_descriptor(lun, data + len);
		len += 8;
	}
	list_each(l, &lun->lu->mode_pages) {
		struct tgt_mode_page *page = list_entry(l, struct tgt_mode_page, siblings);

		if (!wanted(page, code, subcode))
			continue;
		found = true;
		len += put_page(page, control, data + len, sizeof(data) - len);
	}
	if (!found)
		return cmd_bad_cdb(cmd);
	if (six) {
		len = MIN(len, 256u);
		data[0] = (uint8_t)(len - 1);
		data[3] = descriptor ? 8 : 0;
	} else {
		put_be16(data, (uint16_t)(len - 2));
		data[7] = descriptor ? 8 : 0;
	}
	data[six ? 2 : 3] = (uint8_t)(0x10 | (lun_protected(lun) ? 0x80 : 0));	/* DPOFUA; protected */
	return cmd_reply(cmd, data, len, six ? cdb[4] : get_be16(cdb + 7));
}

/* ------------------------------------------------------------------ MODE SELECT */
static struct tgt_mode_page *page_find(const struct lun *lun, uint8_t code, uint8_t subcode)
{
	list_each(l, &lun->lu->mode_pages) {
		struct tgt_mode_page *page = list_entry(l, struct tgt_mode_page, siblings);

		if (page->page == code && page->subpage == subcode)
			return page;
	}
	return NULL;
}

/* Length of the page at `p`, if it is one of ours with nothing changed that may not be; else 0. */
static size_t page_check(const struct lun *lun, const uint8_t *p, size_t len, struct tgt_mode_page **ret)
{
	bool sub = len > 1 && (p[0] & 0x40);
	size_t header = sub ? 4 : 2;
	struct tgt_mode_page *page;
	uint8_t bit = 0, *flag;

	if (len < header || (p[0] & 0x80))
		return 0;
	page = page_find(lun, p[0] & 0x3f, sub ? p[1] : 0);
	if (!page || page->size < 0 || (sub ? get_be16(p + 2) : p[1]) != page->size)
		return 0;
	if (len < header + (size_t)page->size)
		return 0;
	flag = flag_of(page, &bit);
	for (int i = 0; i < page->size; i++) {
		uint8_t changed = p[header + (size_t)i] ^ page->data[i];

		if (changed & (flag == page->data + i ? 0xff ^ bit : 0xff))
			return 0;
	}
	*ret = page;
	return header + (size_t)page->size;
}

/* Returns true if something is another now. */
static bool page_apply(struct lun *lun, struct tgt_mode_page *page, const uint8_t *values)
{
	uint8_t bit, *flag = flag_of(page, &bit), old;

	if (!flag)
		return false;
	old = *flag;
	*flag = (uint8_t)((old & ~bit) | (values[flag - page->data] & bit));
	if (page->page == PAGE_CONTROL)
		lun->lu->attrs.swp = *flag & SWP ? 1 : 0;
	return *flag != old;
}

/* The list after its header: a block descriptor that changes nothing, then pages. False: refused. */
static bool pages_check(const struct lun *lun, const uint8_t *p, size_t len, size_t descriptor_len)
{
	uint8_t now[8];

	if (descriptor_len) {
		put_block_descriptor(lun, now);
		if (descriptor_len != 8 || len < 8 || memcmp(p + 5, now + 5, 3) || (get_be32(p) && memcmp(p, now, 4)))
			return false;
		p += 8;
		len -= 8;
	}
	while (len) {
		struct tgt_mode_page *page;
		size_t n = page_check(lun, p, len, &page);

		if (!n)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static bool pages_apply(struct lun *lun, const uint8_t *p, size_t len)
{
	bool changed = false;

	while (len) {
		struct tgt_mode_page *page;
		size_t n = page_check(lun, p, len, &page);

		if (!n)
			break;
		changed |= page_apply(lun, page, p + (page->subpage ? 4 : 2));
		p += n;
		len -= n;
	}
	return changed;
}

int mode_select(struct lun *lun, struct tgt_cmd *cmd)
{
	const uint8_t *cdb = cmd->cdb, *p = cmd_out_buf(cmd);
	bool six = cdb[0] == OP_MODE_SELECT_6, was_cached = lun_write_cache(lun);
	size_t len = six ? cdb[4] : get_be16(cdb + 7), header = six ? 4 : 8, descriptor;

	if (!(cdb[1] & 0x10) || (cdb[1] & 0x01))	/* pages as the standard has them; none can be saved */
		return cmd_bad_cdb(cmd);
	if (!len)
		return SCSI_GOOD;
	if (len < header || cmd->out.length < len)
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	descriptor = six ? p[3] : get_be16(p + 6);
	if (!six && (p[4] & 0x01))			/* long descriptors */
		return cmd_bad_parameter(cmd);
	if (!pages_check(lun, p + header, len - header, descriptor))
		return cmd_bad_parameter(cmd);
	if (pages_apply(lun, p + header + descriptor, len - header - descriptor))
		ua_sense_add_other_it_nexus(cmd->nexus_id, lun->lu, ASC_MODE_PARAMETERS_CHANGED);
	if (was_cached && !lun_write_cache(lun) && lun->vol)
		return work_one(lun, cmd, HB_FLUSH, 0, 0, 0, NULL);
	return SCSI_GOOD;
}
