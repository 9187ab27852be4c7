/* SPDX-License-Identifier: GPL-2.0-only */
/* iscsi_priv.h - inside of the remote LUN (iscsi.c, iscsi_conn.c, iscsi_lun.c, iscsi_open.c). Nobody else's. */
#ifndef HB_DEV_ISCSI_PRIV_H
#define HB_DEV_ISCSI_PRIV_H

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "base/units.h"
#include "dev/iscsi.h"

#define REMOTE_DEPTH 128			/* commands of all sessions together */
#define CONN_DEPTH 32				/* of one session */
#define PART_BYTES MIB(1)			/* most of one command */
#define LOGIN_NS (5 * SEC_NS)			/* one try to get a session, from connect to ready */
#define RETRY_NS (500 * MSEC_NS)		/* between two tries */
#define QUIET_NS (5 * SEC_NS)			/* without a sign of life: ask; again so long: lost */
#define REFUSE_NS (5 * SEC_NS)			/* another LUN for so long: no target that is just starting */
#define TICK_NS (100 * MSEC_NS)			/* while something waits for time to pass; else a second */
#define STEP_TRIES 32				/* unit attentions in a row that are passed over */
#define NEVER UINT64_MAX

enum conn_state { CONN_DOWN, CONN_CONNECTING, CONN_LOGIN, CONN_VERIFY, CONN_UP };

/* Questions to the LUN, in the order in which a new session asks them; the last two an old one. */
enum step {
	STEP_READY, STEP_INQUIRY, STEP_ID, STEP_SERIAL, STEP_CAPACITY, STEP_MODE, STEP_LIMITS, STEP_PROVISION,
	STEP_ROTATION, STEP_VERIFIED,
	STEP_PING, STEP_RESCAN
};

/* What a LUN says of itself. */
struct facts {
	char identity[DEV_ISCSI_IDENTITY_MAX];
	uint64_t blocks;
	uint32_t block_bytes;
	bool write_protected;
	bool cache;				/* volatile, or unknown */
	uint32_t max_blocks;			/* of one transfer; 0: no limit told */
	uint32_t unmap_blocks, unmap_granularity;	/* most of one command (0: no UNMAP); unit */
	bool rotational;
};

struct remote;

/* A session of one connection. */
struct conn {
	struct remote *d;
	struct iscsi_context *ctx;		/* NULL while CONN_DOWN */
	enum conn_state state;
	unsigned index, portal;			/* portal: tried next */
	int fd;					/* watched by epoll, for `events`; -1: none */
	int events;
	bool broken;				/* libiscsi gave it up: ended when iscsi_service() has returned */
	bool closing;				/* its context is being destroyed: callbacks mean nothing */
	bool power_on;				/* a unit attention spoke of a reset since the login */
	bool queued;				/* something that conn_push() shall send */
	bool tainted;				/* writes given up, the target may have them: remote_may_write() */
	uint32_t sent;				/* parts */
	uint64_t born;				/* number of its login, while CONN_UP */
	uint64_t heard_ns, retry_ns, until_ns;	/* last sign of life; next try; end of this try */
	enum step step;
	struct scsi_task *ctl;			/* of `step`; NULL: none under way */
	uint64_t ctl_seq;			/* logins when it was sent */
	int step_tries;
	struct facts facts;
	char why[160];				/* it is not up */
	int why_code;				/* -errno of that */
};

enum part_state {
	PART_FREE,
	PART_READY,				/* to be sent on any connection */
	PART_SENT,				/* libiscsi has it: and its task, and the memory of the I/O */
	PART_LOST,				/* a write whose session is gone: waits for that session's next login */
	PART_HELD				/* to be sent again at the next tick */
};

struct job;

/* One command. */
struct part {
	struct link link;			/* remote.free, .ready or .held */
	enum part_state state;
	struct remote *d;
	struct job *job;			/* NULL: the flush */
	struct conn *conn;			/* SENT, LOST */
	struct scsi_task *task;			/* SENT */
	uint64_t off_bytes, len_bytes;		/* of the device */
	uint64_t sent_ns;			/* first drain that saw it sent: the limit runs from here; 0: unseen */
	uint64_t sent_seq;			/* logins when it was sent */
	bool early;				/* answered with `error` while libiscsi may still send its data */
	int error;
	int niov;
	struct scsi_iovec iov[DEV_IOV_MAX];	/* libiscsi changes them for moments, so they are not the caller's */
};

/* An I/O of which parts exist. */
struct job {
	struct link link;			/* remote.free_jobs */
	struct dev_io *io;			/* NULL: free */
	uint64_t cut_bytes;			/* of which there are, or were, parts */
	uint32_t parts;
	int error;				/* first of the parts' */
};

struct remote_flush {
	struct link wait, busy;			/* struct dev_io.link: the next one's, the present one's */
	struct part part;
	uint64_t covers;			/* remote.unflushed when it was sent */
};

struct remote {
	struct dev dev;
	int epoll_fd, timer_fd, self_fd;
	uint64_t now_ns;
	bool rebase;				/* now_ns is not yet of the caller's clock */
	bool newcomers;				/* I/Os or parts that no drain has seen */
	bool self_signalled;
	uint64_t period_ns, waited_ns;		/* of the timer; that it told in remote_wait() */

	/* How to connect; owner of all strings. */
	char *portals[DEV_ISCSI_PORTALS_MAX];	/* numeric */
	unsigned nportals, lun;
	char *target, *initiator, *user, *secret, *target_user, *target_secret;
	uint32_t isid;				/* 24 bits; and conn.index: the same in each login */
	bool header_digest, read_only, outlives;
	uint64_t patience_ns;
	void (*log)(void *ctx, const char *text);
	void *log_ctx;

	struct conn conns[DEV_ISCSI_CONNECTIONS_MAX];
	unsigned nconns, nup;
	uint64_t down_ns;			/* nup is 0 since then */
	uint64_t refused_ns;			/* another LUN answers since then; NEVER: no */
	bool opened, known;			/* the caller has it; facts are set */
	struct facts facts;
	uint64_t part_bytes, unmap_bytes;

	uint64_t logins;			/* counted; the newest has this number */
	uint64_t proven;			/* bit k: login logins - k and the one before met one run of it */
	uint64_t unflushed;			/* lowest login that acknowledged a write since the flush; NEVER */
	bool write_lost;			/* the target told so (deferred error) */

	struct link fresh, waiting, finished;	/* struct dev_io.link */
	struct link free, ready, held, free_jobs;
	struct remote_flush flush;
	struct part parts[REMOTE_DEPTH];
	struct job jobs[REMOTE_DEPTH + 1];
	char trouble[256];
};

extern const struct dev_ops remote_ops;		/* iscsi.c */
void remote_init(struct remote *d);
/* For good: why is told, everything is answered with -EIO. */
void remote_fail(struct remote *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void remote_say(struct remote *d, const char *text);

/* iscsi_part.c */
/* The I/O is on no list; done() runs in the next drain. */
void remote_answer(struct remote *d, struct dev_io *io, int error);
void remote_answer_all(struct remote *d, struct link *ios, int error);
/* Of those that the present flush is for. */
void remote_flush_done(struct remote *d, int error);
/* Sends what there is to send, as far as sessions have room. */
void remote_dispatch(struct remote *d);
/* Takes up what a session's end leaves: reads and the flush are sent elsewhere, writes wait for it. */
void remote_conn_lost(struct remote *d, struct conn *c);
/* ... and what waited for its return. */
void remote_conn_up(struct remote *d, struct conn *c);
/* The session answered something that was sent when there had been `seq` logins: it proves who met the same target. */
void remote_proof(struct remote *d, const struct conn *c, uint64_t seq);
/* The session that has been up for longest; NULL: none is. */
struct conn *remote_oldest(struct remote *d);
/* False while writes that were given up may still reach the medium (story B). */
bool remote_may_write(const struct remote *d);
/* The I/O has waited for as long as patience lasts. */
bool remote_too_late(const struct remote *d, const struct dev_io *io);
/* Of a write or discard. */
bool part_is_change(const struct part *p);
/* The part is over; it is on no list and not libiscsi's any more. */
void part_end(struct remote *d, struct part *p, int error);
/* Answers the I/O if nothing of it is left. */
void job_end_if_over(struct remote *d, struct job *job);

/* iscsi_conn.c */
int conn_setup(struct remote *d);
/* Serves all that is readable, and the passing of time: tries, pings. Runs no done(). */
void conn_pump(struct remote *d);
void conn_push(struct conn *c);			/* sends what was queued in it */
void conn_end(struct conn *c, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void conn_free(struct remote *d);
void conn_up(struct conn *c);
void conn_timer(struct remote *d);
bool conn_lost_status(int status);
/* A unit attention of this session. */
void conn_attention(struct conn *c, int ascq);

/* iscsi_lun.c */
void lun_ask(struct conn *c, enum step step);

/* iscsi_open.c */
/* Pumps, by a clock of ticks from now_ns on, until `over` says so or `ns` have passed. */
void remote_wait(struct remote *d, uint64_t ns, bool (*over)(struct remote *d));
void remote_free(struct remote *d);

#endif
