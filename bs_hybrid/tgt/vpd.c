/* SPDX-License-Identifier: GPL-2.0-only */
/* vpd.c - INQUIRY, and the VPD pages 00, 80, 83, 8F, B0, B1, B2.
 *
 * Ids come from the volume's uuid, so they are the same behind any tgtd, target and LUN number. A serial number or id
 * that the operator sets (tgtadm's scsi_sn, scsi_id) replaces the text, never the NAA id.
 *
 * The numbers of page B0 are the ones the handlers check against.
 */
#include "tgt/vpd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/limits.h"

#define HEADER 4		/* of every page; not in tgt_vpd.data */
#define B0_LEN 60
#define B1_LEN 60
#define B2_LEN 4
#define ID_83_LEN (4 + 8 + TGT_SCSI_ID_LEN + 4 + VPD_NAA_LEN + 4 + 4)

void vpd_naa(const struct lun *lun, uint8_t ret[VPD_NAA_LEN])
{
	memset(ret, 0, VPD_NAA_LEN);
	if (lun && lun->vol)
		memcpy(ret, hb_volume_uuid(lun->vol), VPD_NAA_LEN);
	ret[0] = 0x30 | (ret[0] & 0x0f);
}

static struct tgt_vpd *page_of(const struct tgt_lu *lu, unsigned page)
{
	return lu->attrs.vpd[TGT_VPD_SLOT(page)];
}

/* tgtd calls the update functions after its operator changed an attribute; `data` is the new text. */
static void update_80(struct tgt_lu *lu, void *data)
{
	struct tgt_vpd *vpd = page_of(lu, 0x80);
	size_t len = strnlen(data, TGT_SCSI_SN_LEN);

	memset(vpd->data, ' ', TGT_SCSI_SN_LEN);
	memcpy(vpd->data, data, len);
	vpd->size = (uint16_t)MAX(len, 1u);
}

static uint8_t *descriptor(uint8_t *p, uint8_t code_set, uint8_t type, uint8_t len)
{
	p[0] = code_set;
	p[1] = type;
	p[2] = 0;
	p[3] = len;
	return p + 4;
}

static void update_83(struct tgt_lu *lu, void *data)
{
	struct tgt_vpd *vpd = page_of(lu, 0x83);
	size_t len = strnlen(data, TGT_SCSI_ID_LEN);
	uint8_t *p = vpd->data;

	p = descriptor(p, 1, 0x03, VPD_NAA_LEN);		/* binary, logical unit, NAA */
	vpd_naa(lun_of(lu), p);
	p = descriptor(p + VPD_NAA_LEN, 2, 0x01, (uint8_t)(8 + len));	/* ASCII, logical unit, T10 vendor id */
	memset(p, ' ', 8);
	memcpy(p, lu->attrs.vendor_id, strnlen(lu->attrs.vendor_id, 8));
	memcpy(p + 8, data, len);
	p = descriptor(p + 8 + len, 1, 0x14, 4);		/* binary, target port, relative port id */
	put_be32(p, 1);
	vpd->size = (uint16_t)(p + 4 - vpd->data);
}

static void update_b0(struct tgt_lu *lu, void *data)
{
	uint8_t *p = page_of(lu, 0xb0)->data - HEADER;	/* offsets as the standard counts them */
	unsigned shift = lu->blk_shift;

	(void)data;
	p[4] = 0;			/* WSNZ: WRITE SAME of 0 blocks goes to the end */
	p[5] = (uint8_t)limit_compare_write(lu);
	if (!get_be16(p + 6))		/* the operator may have set it */
		put_be16(p + 6, (uint16_t)(BLK_BYTES >> shift));
	put_be32(p + 8, LUN_TRANSFER_BLOCKS_MAX);
	if (!get_be32(p + 12))
		put_be32(p + 12, (uint32_t)(KIB(64) >> shift));
	put_be32(p + 16, 0);		/* PRE-FETCH: no limit */
	put_be32(p + 20, lu->attrs.thin ? limit_unmap(lu) : 0);
	put_be32(p + 24, lu->attrs.thin ? LUN_UNMAP_DESCRIPTORS_MAX : 0);
	put_be32(p + 28, BLK_BYTES >> shift);
	put_be32(p + 32, 0x80000000);	/* aligned to block 0 */
	put_be64(p + 36, limit_write_same(lu));
	put_be32(p + 44, (uint32_t)(HB_ATOMIC_MAX >> shift));
	put_be32(p + 48, 0);		/* atomic at any address ... */
	put_be32(p + 52, 0);		/* ... and of any length; no boundaries: */
	put_be32(p + 56, 0);
	put_be32(p + 60, 0);
}

static void update_b1(struct tgt_lu *lu, void *data)
{
	uint8_t *p = page_of(lu, 0xb1)->data - HEADER;

	(void)data;
	put_be16(p + 4, lu->attrs.rotation_rate);	/* 0: not told; RAM, SSD and disks are behind it */
	p[7] = 0x40;			/* blocks may be read right after SANITIZE BLOCK ERASE */
}

static void update_b2(struct tgt_lu *lu, void *data)
{
	uint8_t *p = page_of(lu, 0xb2)->data - HEADER;

	(void)data;
	p[4] = 0;
	p[5] = lu->attrs.thin ? 0xe4 : 0;	/* UNMAP, WRITE SAME(16) and (10); zeros read back */
	p[6] = lu->attrs.thin ? 0x02 : 0;	/* thin */
	p[7] = 0;
}

static void update_8f(struct tgt_lu *lu, void *data)
{
	struct tgt_vpd *vpd = page_of(lu, 0x8f);

	(void)data;
	vpd->size = (uint16_t)xcopy_vpd(lun_of(lu), vpd->data, XCOPY_VPD_MAX);
}

static const struct page {
	uint8_t code;
	uint8_t bytes;
	void (*update)(struct tgt_lu *lu, void *data);
} pages[] = {
	{ 0x80, TGT_SCSI_SN_LEN, update_80 },
	{ 0x83, ID_83_LEN, update_83 },
	{ 0x8f, XCOPY_VPD_MAX, update_8f },
	{ 0xb0, B0_LEN, update_b0 },
	{ 0xb1, B1_LEN, update_b1 },
	{ 0xb2, B2_LEN, update_b2 },
};

int vpd_init(struct tgt_lu *lu)
{
	for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
		struct tgt_vpd **slot = &lu->attrs.vpd[TGT_VPD_SLOT(pages[i].code)];
		struct tgt_vpd *vpd = calloc(1, sizeof(*vpd) + pages[i].bytes);	/* tgtd calls free() */

		if (!vpd)
			return -ENOMEM;
		vpd->size = pages[i].bytes;
		vpd->update = pages[i].update;
		free(*slot);
		*slot = vpd;
	}
	return 0;
}

void vpd_describe(struct lun *lun)
{
	struct tgt_lu *lu = lun->lu;
	struct tgt_attrs *a = &lu->attrs;
	const uint8_t *u = hb_volume_uuid(lun->vol);
	char uuid[TGT_SCSI_ID_LEN + 1];

	snprintf(uuid, sizeof(uuid), "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		 u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	memcpy(a->scsi_id, uuid, sizeof(uuid));
	memcpy(a->scsi_sn, uuid, sizeof(uuid));
	snprintf(a->vendor_id, sizeof(a->vendor_id), "HYBRID");
	snprintf(a->product_id, sizeof(a->product_id), "VOLUME");
	a->version_desc[0] = 0x04c0;	/* SBC-3 */
	a->version_desc[1] = 0x0960;	/* iSCSI */
	a->version_desc[2] = 0x0300;	/* SPC-3 */
	if (!a->no_auto_lbppbe)
		a->lbppbe = (unsigned char)(BLK_SHIFT - lu->blk_shift);
	update_80(lu, a->scsi_sn);
	update_83(lu, a->scsi_id);
	update_8f(lu, NULL);
	update_b0(lu, NULL);
	update_b1(lu, NULL);
	update_b2(lu, NULL);
}

bool vpd_is_named(const struct lun *lun, const uint8_t *d, size_t len)
{
	const struct tgt_vpd *vpd = page_of(lun->lu, 0x83);

	if (len < 4 || !d[3] || (size_t)d[3] + 4 > len)
		return false;
	for (size_t at = 0; at + 4 <= vpd->size; at += 4u + vpd->data[at + 3]) {
		const uint8_t *ours = vpd->data + at;

		if ((ours[0] & 0x0f) == (d[0] & 0x0f) && (ours[1] & 0x3f) == (d[1] & 0x3f) && ours[3] == d[3] &&
		    !(d[1] & 0x30) && !memcmp(ours + 4, d + 4, d[3]))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------ INQUIRY */
static void pad(uint8_t *to, const char *text, size_t len)
{
	memset(to, ' ', len);
	memcpy(to, text, strnlen(text, len));
}

static size_t standard(const struct tgt_lu *lu, uint8_t *data)
{
	const struct tgt_attrs *a = &lu->attrs;

	data[1] = a->removable ? 0x80 : 0;
	data[2] = 0x05;			/* SPC-3; what is more than that is not promised here */
	data[3] = 0x12;			/* HISUP, response format 2 */
	data[4] = 74 - 5;
	data[5] = 0x08;			/* third-party copy */
	data[7] = 0x02;			/* command queueing */
	pad(data + 8, a->vendor_id, 8);
	pad(data + 16, a->product_id, 16);
	pad(data + 32, a->product_rev, 4);
	for (unsigned i = 0; i < ARRAY_LEN(a->version_desc); i++)
		put_be16(data + 58 + 2 * i, a->version_desc[i]);
	return 74;
}

static size_t supported_pages(const struct tgt_lu *lu, uint8_t *data)
{
	uint8_t *p = data + HEADER;

	*p++ = 0x00;
	for (unsigned i = 0; i < ARRAY_LEN(lu->attrs.vpd); i++)
		if (lu->attrs.vpd[i])
			*p++ = (uint8_t)(0x80 | i);
	put_be16(data + 2, (uint16_t)(p - data - HEADER));
	return (size_t)(p - data);
}

static size_t vpd_page(const struct tgt_lu *lu, uint8_t code, uint8_t *data, size_t room)
{
	const struct tgt_vpd *vpd;

	data[1] = code;
	if (code == 0x00)
		return supported_pages(lu, data);
	vpd = code & 0x80 ? page_of(lu, code) : NULL;
	if (!vpd || (size_t)vpd->size + HEADER > room)
		return 0;
	put_be16(data + 2, vpd->size);
	memcpy(data + HEADER, vpd->data, vpd->size);
	return (size_t)vpd->size + HEADER;
}

int vpd_inquiry(struct lun *lun, struct tgt_cmd *cmd)
{
	const struct tgt_lu *lu = lun->lu;
	const uint8_t *cdb = cmd->cdb;
	bool evpd = cdb[1] & 0x01;
	uint8_t data[256] = { 0 };
	size_t len;

	if ((cdb[1] & 0x02) || (!evpd && cdb[2]))
		return cmd_bad_cdb(cmd);
	data[0] = (uint8_t)((lu->attrs.qualifier & 0x7) << 5 | (lu->attrs.device_type & 0x1f));
	if (cmd->dev_id != lu->lun)
		data[0] = 0x7f;		/* tgtd asks us for a LUN that is not there */
	len = evpd ? vpd_page(lu, cdb[2], data, sizeof(data)) : standard(lu, data);
	if (!len)
		return cmd_bad_cdb(cmd);
	return cmd_reply(cmd, data, len, get_be16(cdb + 3));
}
