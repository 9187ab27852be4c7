/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt_wire.h - the bytes of tgtd's management socket, in our own words.
 *
 * A request is struct tgt_req and, if it has parameters, their text with its final zero; one request a connection. The
 * answer is struct tgt_rsp and text (with a final zero, or none at all). Where each member lies is one list, which is
 * asserted here against our structs, and against tgt's own usr/tgtadm.h by whoever defines TGT_WIRE_REAL (see
 * tests/abi/wire_check.c). Checked against tgt 1.0.85, x86-64.
 */
#ifndef HB_BOX_TGT_WIRE_H
#define HB_BOX_TGT_WIRE_H

#define TGT_WIRE_SIZES(SIZE)                                             \
	SIZE(tgtadm_req, tgt_req, 120)                                   \
	SIZE(tgtadm_rsp, tgt_rsp, 8)

#define TGT_WIRE_MEMBERS(AT)                                             \
	AT(tgtadm_req, tgt_req, mode, mode, 0)                           \
	AT(tgtadm_req, tgt_req, op, op, 4)                               \
	AT(tgtadm_req, tgt_req, lld, driver, 8)                          \
	AT(tgtadm_req, tgt_req, len, len, 72)                            \
	AT(tgtadm_req, tgt_req, tid, tid, 76)                            \
	AT(tgtadm_req, tgt_req, sid, sid, 80)                            \
	AT(tgtadm_req, tgt_req, lun, lun, 88)                            \
	AT(tgtadm_req, tgt_req, cid, cid, 96)                            \
	AT(tgtadm_req, tgt_req, host_no, host_no, 100)                   \
	AT(tgtadm_req, tgt_req, device_type, device_type, 104)           \
	AT(tgtadm_req, tgt_req, ac_dir, direction, 108)                  \
	AT(tgtadm_req, tgt_req, pack, pack, 112)                         \
	AT(tgtadm_req, tgt_req, force, force, 116)                       \
	AT(tgtadm_rsp, tgt_rsp, err, error, 0)                           \
	AT(tgtadm_rsp, tgt_rsp, len, len, 4)

/* theirs, ours, number, our words */
#define TGT_WIRE_ERRORS(VALUE)                                           \
	VALUE(TGTADM_SUCCESS, TGT_SUCCESS, 0, "success")                 \
	VALUE(TGTADM_UNKNOWN_ERR, TGT_UNKNOWN, 1, "it does not say why") \
	VALUE(TGTADM_NOMEM, TGT_NO_MEMORY, 2, "tgtd is out of memory")   \
	VALUE(TGTADM_NO_DRIVER, TGT_NO_DRIVER, 3, "tgtd has no iSCSI driver running") \
	VALUE(TGTADM_NO_TARGET, TGT_NO_TARGET, 4, "there is no such target") \
	VALUE(TGTADM_NO_LUN, TGT_NO_LUN, 5, "there is no such LUN")      \
	VALUE(TGTADM_NO_SESSION, TGT_NO_SESSION, 6, "there is no such session") \
	VALUE(TGTADM_NO_CONNECTION, TGT_NO_CONNECTION, 7, "there is no such connection") \
	VALUE(TGTADM_TARGET_EXIST, TGT_TARGET_EXISTS, 9, "the target exists already") \
	VALUE(TGTADM_LUN_EXIST, TGT_LUN_EXISTS, 10, "the LUN exists already") \
	VALUE(TGTADM_ACL_EXIST, TGT_BOUND, 12, "the initiator is bound already") \
	VALUE(TGTADM_ACL_NOEXIST, TGT_NOT_BOUND, 13, "the initiator is not bound") \
	VALUE(TGTADM_USER_EXIST, TGT_USER_EXISTS, 14, "the account exists already") \
	VALUE(TGTADM_NO_USER, TGT_NO_USER, 15, "there is no such account") \
	VALUE(TGTADM_INVALID_REQUEST, TGT_REFUSED, 17, "tgtd refuses the request") \
	VALUE(TGTADM_OUTACCOUNT_EXIST, TGT_OUTGOING_EXISTS, 18, "the target has another outgoing account") \
	VALUE(TGTADM_TARGET_ACTIVE, TGT_TARGET_ACTIVE, 19, "somebody is logged in") \
	VALUE(TGTADM_LUN_ACTIVE, TGT_LUN_ACTIVE, 20, "commands are under way")

#define TGT_WIRE_NUMBERS(VALUE)                                          \
	VALUE(OP_NEW, TGT_NEW, 0, "")                                    \
	VALUE(OP_DELETE, TGT_DELETE, 1, "")                              \
	VALUE(OP_SHOW, TGT_SHOW, 2, "")                                  \
	VALUE(OP_BIND, TGT_BIND, 3, "")                                  \
	VALUE(OP_UNBIND, TGT_UNBIND, 4, "")                              \
	VALUE(OP_UPDATE, TGT_UPDATE, 5, "")                              \
	VALUE(OP_STATS, TGT_STATS, 6, "")                                \
	VALUE(MODE_SYSTEM, TGT_OF_SYSTEM, 0, "")                         \
	VALUE(MODE_TARGET, TGT_OF_TARGET, 1, "")                         \
	VALUE(MODE_DEVICE, TGT_OF_LUN, 2, "")                            \
	VALUE(MODE_LLD, TGT_OF_DRIVERS, 4, "")                           \
	VALUE(MODE_CONNECTION, TGT_OF_CONNECTION, 6, "")                 \
	VALUE(MODE_ACCOUNT, TGT_OF_ACCOUNT, 7, "")                       \
	VALUE(ACCOUNT_TYPE_INCOMING, TGT_INCOMING, 0, "")                \
	VALUE(ACCOUNT_TYPE_OUTGOING, TGT_OUTGOING, 1, "")                \
	VALUE(TGT_LLD_NAME_LEN, TGT_DRIVER_BYTES, 64, "")

#ifndef TGT_WIRE_REAL

#include <stddef.h>
#include <stdint.h>

#define TGT_WIRE_ENUM(theirs, ours, number, words) ours = number,
enum tgt_number { TGT_WIRE_NUMBERS(TGT_WIRE_ENUM) };
enum tgt_error { TGT_WIRE_ERRORS(TGT_WIRE_ENUM) };
#undef TGT_WIRE_ENUM

struct tgt_req {
	uint32_t mode, op;
	char driver[64]; /* "iscsi" */
	uint32_t len; /* of this struct and the parameters */
	int32_t tid; /* -1: all targets */
	uint64_t sid, lun;
	uint32_t cid, host_no, device_type, direction, pack, force;
};

struct tgt_rsp {
	uint32_t error; /* enum tgt_error */
	uint32_t len; /* of this struct and the text */
};

#define TGT_WIRE_SIZE(theirs, ours, bytes) _Static_assert(sizeof(struct ours) == (bytes), "size of struct " #ours);
#define TGT_WIRE_AT(theirs, ours, their_member, member, offset) \
	_Static_assert(offsetof(struct ours, member) == (offset), "struct " #ours "." #member);
TGT_WIRE_SIZES(TGT_WIRE_SIZE)
TGT_WIRE_MEMBERS(TGT_WIRE_AT)
#undef TGT_WIRE_SIZE
#undef TGT_WIRE_AT

#define TGT_PARAMS_MAX 8192 /* tgtd drops a request with more */

#endif
#endif
