/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt_layout.h - where tgtd keeps what we touch: sizes, offsets and numbers, as one list.
 *
 * tgt_abi.h asserts its own structs against this list; tests/abi/abi_check.c asserts tgt's real headers against the
 * very same list. Checked against tgt 1.0.85, x86-64. No includes: the users bring the structs.
 *
 *   SIZE(theirs, ours, bytes)
 *   AT(theirs, ours, member of theirs, member of ours, offset)
 *   VALUE(theirs, ours, number)
 */
#ifndef HB_TGT_TGT_LAYOUT_H
#define HB_TGT_TGT_LAYOUT_H

#define TGT_LAYOUT_SIZES(SIZE)                                           \
	SIZE(scsi_lu, tgt_lu, 7608)                                      \
	SIZE(lu_phy_attr, tgt_attrs, 1176)                               \
	SIZE(vpd, tgt_vpd, 16)                                           \
	SIZE(device_type_operations, tgt_op, 24)                         \
	SIZE(device_type_template, tgt_devtype, 6216)                    \
	SIZE(backingstore_template, tgt_bst, 112)                        \
	SIZE(mode_pg, tgt_mode_page, 24)                                 \
	SIZE(registration, tgt_registration, 48)                         \
	SIZE(scsi_cmd, tgt_cmd, 480)                                     \
	SIZE(scsi_data_buffer, tgt_data, 24)                             \
	SIZE(it_nexus, tgt_nexus, 88)                                    \
	SIZE(it_nexus_lu_info, tgt_itl, 136)                             \
	SIZE(target, tgt_target, 152)                                    \
	SIZE(event_data, tgt_event, 40)                                  \
	SIZE(tgt_cmd_queue, tgt_queue, 32)

#define TGT_LAYOUT_LU(AT)                                                \
	AT(scsi_lu, tgt_lu, fd, fd, 0)                                   \
	AT(scsi_lu, tgt_lu, size, size, 16)                              \
	AT(scsi_lu, tgt_lu, lun, lun, 24)                                \
	AT(scsi_lu, tgt_lu, path, path, 32)                              \
	AT(scsi_lu, tgt_lu, blk_shift, blk_shift, 44)                    \
	AT(scsi_lu, tgt_lu, device_siblings, siblings, 48)               \
	AT(scsi_lu, tgt_lu, cmd_queue, queue, 80)                        \
	AT(scsi_lu, tgt_lu, reserve_id, reserve_id, 112)                 \
	AT(scsi_lu, tgt_lu, dev_type_template, devtype, 120)             \
	AT(scsi_lu, tgt_lu, bst, bst, 6336)                              \
	AT(scsi_lu, tgt_lu, tgt, target, 6344)                           \
	AT(scsi_lu, tgt_lu, mode_block_descriptor, block_descriptor, 6352) \
	AT(scsi_lu, tgt_lu, mode_pages, mode_pages, 6360)                \
	AT(scsi_lu, tgt_lu, attrs, attrs, 6376)                          \
	AT(scsi_lu, tgt_lu, registration_list, registrations, 7552)      \
	AT(scsi_lu, tgt_lu, prgeneration, pr_generation, 7568)           \
	AT(scsi_lu, tgt_lu, pr_holder, pr_holder, 7576)                  \
	AT(scsi_lu, tgt_lu, cmd_perform, cmd_perform, 7592)              \
	AT(scsi_lu, tgt_lu, cmd_done, cmd_done, 7600)                    \
	AT(tgt_cmd_queue, tgt_queue, active_cmd, active, 0)              \
	AT(tgt_cmd_queue, tgt_queue, state, state, 8)                    \
	AT(tgt_cmd_queue, tgt_queue, queue, queue, 16)

#define TGT_LAYOUT_ATTRS(AT)                                             \
	AT(lu_phy_attr, tgt_attrs, scsi_id, scsi_id, 0)                  \
	AT(lu_phy_attr, tgt_attrs, scsi_sn, scsi_sn, 37)                 \
	AT(lu_phy_attr, tgt_attrs, vendor_id, vendor_id, 88)             \
	AT(lu_phy_attr, tgt_attrs, product_id, product_id, 97)           \
	AT(lu_phy_attr, tgt_attrs, product_rev, product_rev, 114)        \
	AT(lu_phy_attr, tgt_attrs, version_desc, version_desc, 120)      \
	AT(lu_phy_attr, tgt_attrs, device_type, device_type, 136)        \
	AT(lu_phy_attr, tgt_attrs, qualifier, qualifier, 137)            \
	AT(lu_phy_attr, tgt_attrs, removable, removable, 138)            \
	AT(lu_phy_attr, tgt_attrs, readonly, readonly, 139)              \
	AT(lu_phy_attr, tgt_attrs, swp, swp, 140)                        \
	AT(lu_phy_attr, tgt_attrs, thinprovisioning, thin, 141)          \
	AT(lu_phy_attr, tgt_attrs, online, online, 142)                  \
	AT(lu_phy_attr, tgt_attrs, sense_format, sense_format, 143)      \
	AT(lu_phy_attr, tgt_attrs, lbppbe, lbppbe, 144)                  \
	AT(lu_phy_attr, tgt_attrs, no_auto_lbppbe, no_auto_lbppbe, 145)  \
	AT(lu_phy_attr, tgt_attrs, la_lba, la_lba, 146)                  \
	AT(lu_phy_attr, tgt_attrs, rotation_rate, rotation_rate, 148)    \
	AT(lu_phy_attr, tgt_attrs, lu_vpd, vpd, 152)                     \
	AT(vpd, tgt_vpd, size, size, 0)                                  \
	AT(vpd, tgt_vpd, vpd_update, update, 8)                          \
	AT(vpd, tgt_vpd, data, data, 16)                                 \
	AT(mode_pg, tgt_mode_page, mode_pg_siblings, siblings, 0)        \
	AT(mode_pg, tgt_mode_page, pcode, page, 16)                      \
	AT(mode_pg, tgt_mode_page, subpcode, subpage, 17)                \
	AT(mode_pg, tgt_mode_page, pcode_size, size, 18)                 \
	AT(mode_pg, tgt_mode_page, mode_data, data, 20)

#define TGT_LAYOUT_TEMPLATES(AT)                                         \
	AT(device_type_operations, tgt_op, cmd_perform, perform, 0)      \
	AT(device_type_operations, tgt_op, service_actions, service_actions, 8) \
	AT(device_type_operations, tgt_op, pr_conflict_bits, pr_conflict_bits, 16) \
	AT(device_type_template, tgt_devtype, type, type, 0)             \
	AT(device_type_template, tgt_devtype, ops, ops, 56)              \
	AT(backingstore_template, tgt_bst, bs_name, name, 0)             \
	AT(backingstore_template, tgt_bst, bs_datasize, datasize, 8)     \
	AT(backingstore_template, tgt_bst, bs_open, open, 16)            \
	AT(backingstore_template, tgt_bst, bs_close, close, 24)          \
	AT(backingstore_template, tgt_bst, bs_init, init, 32)            \
	AT(backingstore_template, tgt_bst, bs_exit, exit, 40)            \
	AT(backingstore_template, tgt_bst, bs_cmd_submit, cmd_submit, 48) \
	AT(backingstore_template, tgt_bst, bs_oflags_supported, oflags, 56) \
	AT(backingstore_template, tgt_bst, bs_supported_ops, supported_ops, 64) \
	AT(backingstore_template, tgt_bst, backingstore_siblings, siblings, 96) \
	AT(event_data, tgt_event, sched_handler, run, 0)                 \
	AT(event_data, tgt_event, scheduled, scheduled, 8)               \
	AT(event_data, tgt_event, data, data, 16)                        \
	AT(event_data, tgt_event, e_list, siblings, 24)

#define TGT_LAYOUT_CMD(AT)                                               \
	AT(scsi_cmd, tgt_cmd, c_target, target, 0)                       \
	AT(scsi_cmd, tgt_cmd, dev_id, dev_id, 40)                        \
	AT(scsi_cmd, tgt_cmd, dev, lu, 48)                               \
	AT(scsi_cmd, tgt_cmd, state, state, 56)                          \
	AT(scsi_cmd, tgt_cmd, data_dir, data_dir, 64)                    \
	AT(scsi_cmd, tgt_cmd, in_sdb, in, 72)                            \
	AT(scsi_cmd, tgt_cmd, out_sdb, out, 96)                          \
	AT(scsi_cmd, tgt_cmd, cmd_itn_id, nexus_id, 120)                 \
	AT(scsi_cmd, tgt_cmd, scb, cdb, 144)                             \
	AT(scsi_cmd, tgt_cmd, scb_len, cdb_len, 152)                     \
	AT(scsi_cmd, tgt_cmd, attribute, attribute, 164)                 \
	AT(scsi_cmd, tgt_cmd, tag, tag, 168)                             \
	AT(scsi_cmd, tgt_cmd, result, result, 176)                       \
	AT(scsi_cmd, tgt_cmd, mreq, tmf, 184)                            \
	AT(scsi_cmd, tgt_cmd, sense_buffer, sense, 192)                  \
	AT(scsi_cmd, tgt_cmd, sense_len, sense_len, 444)                 \
	AT(scsi_cmd, tgt_cmd, it_nexus, nexus, 464)                      \
	AT(scsi_cmd, tgt_cmd, itn_lu_info, itl, 472)                     \
	AT(scsi_data_buffer, tgt_data, buffer, buffer, 0)                \
	AT(scsi_data_buffer, tgt_data, length, length, 8)                \
	AT(scsi_data_buffer, tgt_data, transfer_len, transfer_len, 12)   \
	AT(scsi_data_buffer, tgt_data, resid, resid, 16)

#define TGT_LAYOUT_NEXUS(AT)                                             \
	AT(registration, tgt_registration, key, key, 0)                  \
	AT(registration, tgt_registration, nexus_id, nexus_id, 8)        \
	AT(registration, tgt_registration, ctime, ctime, 16)             \
	AT(registration, tgt_registration, registration_siblings, siblings, 24) \
	AT(registration, tgt_registration, pr_scope, scope, 40)          \
	AT(registration, tgt_registration, pr_type, type, 41)            \
	AT(it_nexus, tgt_nexus, itn_id, id, 0)                           \
	AT(it_nexus, tgt_nexus, ctime, ctime, 8)                         \
	AT(it_nexus, tgt_nexus, nexus_siblings, siblings, 40)            \
	AT(it_nexus_lu_info, tgt_itl, lu, lu, 0)                         \
	AT(it_nexus_lu_info, tgt_itl, itn_id, nexus_id, 8)               \
	AT(it_nexus_lu_info, tgt_itl, pending_ua_sense_list, unit_attentions, 112) \
	AT(target, tgt_target, name, name, 0)                            \
	AT(target, tgt_target, tid, tid, 8)                              \
	AT(target, tgt_target, device_list, devices, 40)                 \
	AT(target, tgt_target, it_nexus_list, nexuses, 56)

/* Enumerations and macros. */
#define TGT_LAYOUT_VALUES(VALUE)                                         \
	VALUE(DATA_NONE, TGT_DIR_NONE, 0)                                \
	VALUE(DATA_WRITE, TGT_DIR_WRITE, 1)                              \
	VALUE(DATA_READ, TGT_DIR_READ, 2)                                \
	VALUE(DATA_BIDIRECTIONAL, TGT_DIR_BIDI, 3)                       \
	VALUE(TGT_CMD_ASYNC, TGT_STATE_ASYNC, 2)                         \
	VALUE(SCSI_SENSE_BUFFERSIZE, TGT_SENSE_MAX, 252)                 \
	VALUE(SCSI_ID_LEN, TGT_SCSI_ID_LEN, 36)                          \
	VALUE(SCSI_SN_LEN, TGT_SCSI_SN_LEN, 36)                          \
	VALUE(NR_SCSI_OPCODES, TGT_OPCODES, 256)                         \
	VALUE(MSG_SIMPLE_TAG, TGT_TAG_SIMPLE, 0x20)                      \
	VALUE(TYPE_DISK, TGT_TYPE_DISK, 0)                               \
	VALUE(TGTADM_SUCCESS, TGT_OK, 0)                                 \
	VALUE(TGTADM_NOMEM, TGT_NOMEM, 2)                                \
	VALUE(TGTADM_INVALID_REQUEST, TGT_INVALID_REQUEST, 17)

#endif
