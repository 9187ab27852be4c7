/* SPDX-License-Identifier: GPL-2.0-only */
/* client.h - iSCSI sessions of the test programs: commands in flight over several connections, on libiscsi.
 *
 * An op is embedded by the caller and belongs to the session from client_send() until its done() runs, which happens
 * inside client_wait() or client_close() only. When the target dies every op in flight is answered with -ENOTCONN and
 * the session is dead; there is no reconnecting.
 */
#ifndef TEST_CLIENT_H
#define TEST_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#define SECTOR 512u

struct iscsi_context;

struct client {
	struct iscsi_context *iscsi;
	unsigned in_flight;
	bool dead;
};

enum client_cmd { CMD_READ, CMD_WRITE, CMD_FLUSH, CMD_UNMAP };

struct client_op {
	enum client_cmd cmd;
	int lun;
	uint64_t lba;			/* in sectors of 512 bytes */
	uint32_t sectors;
	bool fua;
	void *buf;			/* borrowed until done(); sectors * 512 bytes */
	void (*done)(struct client_op *op);
	int error;			/* 0, -ENOTCONN, or -EIO with text filled */
	char text[120];			/* sense in words */
	int sense;			/* of -EIO: sense key << 16 | additional sense code and qualifier; 0: none */
	/* the session's */
	struct client *client;
};

/* Logs in and clears the unit attentions of a new nexus on each LUN. 0, or -1 with a line on stderr. */
int client_open(struct client *c, const char *portal, const char *target, const char *initiator, const int *luns,
		int nluns);
/* Ends every op in flight (done() runs) and frees the session. */
void client_close(struct client *c);
/* Capacity in sectors of 512 bytes, or 0 with a line on stderr. */
uint64_t client_capacity(struct client *c, int lun);
/* 0, or -1 when the session is dead (done() will not run). */
int client_send(struct client *c, struct client_op *op);
/* Waits up to timeout_ms for any of n sessions and serves them. Returns false when one of them has died. */
bool client_wait(struct client *c, unsigned n, int timeout_ms);

/* A whole number at the start of `s`, all of it, in [min, max]; ends the program with a message that names `what`. */
uint64_t client_number(const char *what, const char *s, uint64_t min, uint64_t max);
uint64_t client_now_ns(void);

#endif
