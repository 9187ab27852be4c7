/* SPDX-License-Identifier: GPL-2.0-only */
/* vpd.h - who a LUN says it is: its vital product data. */
#ifndef HB_TGT_VPD_H
#define HB_TGT_VPD_H

#include "tgt/lun.h"

#define VPD_NAA_LEN 8

/* Puts our pages in the place of tgtd's (which frees them with the LUN). 0 or -ENOMEM. */
int vpd_init(struct tgt_lu *lu);
/* After the volume is open: serial number and ids from its uuid, and all pages. */
void vpd_describe(struct lun *lun);
/* NAA 3 (locally assigned): four bits and 60 bits of the volume's uuid. */
void vpd_naa(const struct lun *lun, uint8_t ret[VPD_NAA_LEN]);
/* Does this designation descriptor (4 bytes of header, the designator) name this LUN? */
bool vpd_is_named(const struct lun *lun, const uint8_t *descriptor, size_t len);

#endif
