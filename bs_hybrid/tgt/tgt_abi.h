/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt_abi.h - tgtd as a module sees it: the parts of its structs that we touch, and the functions it exports.
 *
 * tgt ships no headers. What is declared here is laid out by tgt_layout.h and asserted against it; what we do not
 * touch is padding. tgt's lists are two pointers, next and prev, as ours (base/list.h).
 *
 * All functions are weak: under LD_PRELOAD the module may find itself in a program that is not tgtd, where it must
 * do nothing. module.c looks before anything else is called.
 */
#ifndef HB_TGT_TGT_ABI_H
#define HB_TGT_TGT_ABI_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "tgt/tgt_layout.h"

enum { TGT_DIR_NONE = 0, TGT_DIR_WRITE = 1, TGT_DIR_READ = 2, TGT_DIR_BIDI = 3 };
enum { TGT_STATE_ASYNC = 2 };			/* bit number in tgt_cmd.state */
enum { TGT_SENSE_MAX = 252, TGT_SCSI_ID_LEN = 36, TGT_SCSI_SN_LEN = 36, TGT_OPCODES = 256 };
enum { TGT_TAG_SIMPLE = 0x20, TGT_TYPE_DISK = 0 };
enum { TGT_OK = 0, TGT_NOMEM = 2, TGT_INVALID_REQUEST = 17 };	/* tgtadm_err */
#define TGT_VPD_SLOT(page) ((page) & 0x7f)

struct tgt_lu;
struct tgt_cmd;

struct tgt_target {
	char *name;
	int tid;
	uint8_t pad0[28];
	struct link devices;		/* of tgt_lu.siblings */
	struct link nexuses;		/* of tgt_nexus.siblings */
	uint8_t pad1[80];
};

struct tgt_nexus {
	uint64_t id;			/* never 0 */
	long ctime;
	uint8_t pad0[24];
	struct link siblings;
	uint8_t pad1[32];
};

struct tgt_itl {			/* one nexus and one LUN */
	struct tgt_lu *lu;
	uint64_t nexus_id;
	uint8_t pad0[96];
	struct link unit_attentions;	/* pending */
	uint8_t pad1[8];
};

struct tgt_data {
	uint64_t buffer;		/* an address, or 0 */
	uint32_t length;		/* of the buffer; what the initiator expects to move */
	uint32_t transfer_len;		/* what is really moved */
	int32_t resid;			/* positive: less than expected; negative: more */
	uint32_t pad0;
};

struct tgt_cmd {
	struct tgt_target *target;
	uint8_t pad0[32];
	uint64_t dev_id;		/* the LUN asked for; lu may be another when there is none */
	struct tgt_lu *lu;
	unsigned long state;
	int data_dir;
	uint32_t pad1;
	struct tgt_data in, out;	/* of the initiator: in is what it reads */
	uint64_t nexus_id;
	uint8_t pad2[16];
	uint8_t *cdb;
	int cdb_len;
	uint8_t pad3[8];
	int attribute;
	uint64_t tag;
	int result;
	uint32_t pad4;
	void *tmf;
	uint8_t sense[TGT_SENSE_MAX];
	int sense_len;
	uint8_t pad5[16];
	struct tgt_nexus *nexus;
	struct tgt_itl *itl;
};

struct tgt_op {
	int (*perform)(int host, struct tgt_cmd *cmd);
	void *service_actions;
	uint8_t pr_conflict_bits;
};

struct tgt_devtype {
	unsigned char type;
	uint8_t pad0[55];
	struct tgt_op ops[TGT_OPCODES];
	uint8_t pad1[16];
};

struct tgt_vpd {
	uint16_t size;
	void (*update)(struct tgt_lu *lu, void *data);
	uint8_t data[];
};

struct tgt_attrs {
	char scsi_id[TGT_SCSI_ID_LEN + 1];
	char scsi_sn[TGT_SCSI_SN_LEN + 1];
	uint8_t pad0[14];
	char vendor_id[9];
	char product_id[17];
	char product_rev[5];
	uint16_t version_desc[8];
	unsigned char device_type;
	char qualifier, removable, readonly, swp, thin, online, sense_format;
	unsigned char lbppbe;		/* logical blocks per physical block, exponent */
	char no_auto_lbppbe;
	uint16_t la_lba;
	uint16_t rotation_rate;
	struct tgt_vpd *vpd[128];	/* by TGT_VPD_SLOT */
};

struct tgt_mode_page {
	struct link siblings;
	uint8_t page, subpage;
	int16_t size;
	uint8_t data[];			/* size bytes of values, then size bytes of what may be changed */
};

struct tgt_registration {
	uint64_t key;
	uint64_t nexus_id;
	long ctime;			/* of the nexus */
	struct link siblings;
	uint8_t scope, type;
};

struct tgt_queue {
	int active;
	unsigned long state;		/* nonzero: blocked by an ordered command */
	struct link queue;
};

struct tgt_bst {
	const char *name;
	int datasize;			/* bytes after struct tgt_lu that are the backing store's */
	int (*open)(struct tgt_lu *lu, char *path, int *fd, uint64_t *size);
	void (*close)(struct tgt_lu *lu);
	int (*init)(struct tgt_lu *lu, char *bsopts);
	void (*exit)(struct tgt_lu *lu);
	int (*cmd_submit)(struct tgt_cmd *cmd);
	int oflags;
	unsigned long supported_ops[4];	/* all zero: every opcode */
	struct link siblings;
};

struct tgt_lu {
	int fd;
	uint8_t pad0[12];
	uint64_t size;			/* bytes */
	uint64_t lun;
	char *path;
	int pad1;
	unsigned blk_shift;
	struct link siblings;
	uint8_t pad2[16];
	struct tgt_queue queue;
	uint64_t reserve_id;		/* nexus that holds RESERVE(6), or 0 */
	struct tgt_devtype devtype;
	struct tgt_bst *bst;
	struct tgt_target *target;
	uint8_t block_descriptor[8];
	struct link mode_pages;
	struct tgt_attrs attrs;
	struct link registrations;
	uint32_t pr_generation;
	struct tgt_registration *pr_holder;
	void *pad3;
	int (*cmd_perform)(int tid, struct tgt_cmd *cmd);
	void (*cmd_done)(struct tgt_target *target, struct tgt_cmd *cmd);
};

struct tgt_event {
	void (*run)(struct tgt_event *event);
	int scheduled;
	void *data;
	struct link siblings;
};

#define TGT_ABI_SIZE(theirs, ours, bytes) \
	_Static_assert(sizeof(struct ours) == (bytes), "size of struct " #ours);
#define TGT_ABI_AT(theirs, ours, their_member, member, offset) \
	_Static_assert(offsetof(struct ours, member) == (offset), "struct " #ours "." #member);
#define TGT_ABI_VALUE(theirs, ours, number) _Static_assert((ours) == (number), #ours);
TGT_LAYOUT_SIZES(TGT_ABI_SIZE)
TGT_LAYOUT_LU(TGT_ABI_AT)
TGT_LAYOUT_ATTRS(TGT_ABI_AT)
TGT_LAYOUT_TEMPLATES(TGT_ABI_AT)
TGT_LAYOUT_CMD(TGT_ABI_AT)
TGT_LAYOUT_NEXUS(TGT_ABI_AT)
TGT_LAYOUT_VALUES(TGT_ABI_VALUE)

/* ------------------------------------------------------------------ what tgtd exports */
#define TGT_IMPORT extern __attribute__((weak, visibility("default")))

TGT_IMPORT int register_backingstore_template(struct tgt_bst *bst);
TGT_IMPORT struct tgt_bst *get_backingstore_template(const char *name);
TGT_IMPORT int target_cmd_perform(int tid, struct tgt_cmd *cmd);
TGT_IMPORT void target_cmd_io_done(struct tgt_cmd *cmd, int result);
/* To one nexus, or to all but one (no nexus has id 0). */
TGT_IMPORT void ua_sense_add_it_nexus(uint64_t nexus_id, struct tgt_lu *lu, uint16_t asc);
TGT_IMPORT void ua_sense_add_other_it_nexus(uint64_t nexus_id, struct tgt_lu *lu, uint16_t asc);
TGT_IMPORT int spc_test_unit(int host, struct tgt_cmd *cmd);
TGT_IMPORT int spc_request_sense(int host, struct tgt_cmd *cmd);
TGT_IMPORT int spc_report_luns(int host, struct tgt_cmd *cmd);
TGT_IMPORT int spc_start_stop(int host, struct tgt_cmd *cmd);
TGT_IMPORT int spc_prevent_allow_media_removal(int host, struct tgt_cmd *cmd);
TGT_IMPORT int lu_prevent_removal(struct tgt_lu *lu);
TGT_IMPORT int spc_send_diagnostics(int host, struct tgt_cmd *cmd);
/* Fills `buf` with something like a TransportID (pr.c says what is wrong); returns its length, 0: no session. */
TGT_IMPORT int iscsi_transportid(int tid, uint64_t nexus_id, char *buf, int size);
TGT_IMPORT int tgt_event_add(int fd, int events, void (*handler)(int fd, int events, void *data), void *data);
TGT_IMPORT int tgt_event_modify(int fd, int events);
TGT_IMPORT void tgt_event_del(int fd);
TGT_IMPORT void tgt_init_sched_event(struct tgt_event *event, void (*run)(struct tgt_event *event), void *data);
TGT_IMPORT void tgt_add_sched_event(struct tgt_event *event);
TGT_IMPORT void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
TGT_IMPORT void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
