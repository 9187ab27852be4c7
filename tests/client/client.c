/* SPDX-License-Identifier: GPL-2.0-only */
/* client.c - see client.h. */
#include "tests/client/client.h"

#include <assert.h>
#include <errno.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SESSIONS_MAX 64
#define CONNECT_TIMEOUT_S 20

uint64_t client_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t client_number(const char *what, const char *s, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || end == s || *end || *s == '-' || v < min || v > max) {
		fprintf(stderr, "%s: expected a number from %llu to %llu, got \"%s\"\n", what, (unsigned long long)min,
			(unsigned long long)max, s);
		exit(2);
	}
	return v;
}

/* A new nexus is greeted by unit attentions, one per command. */
static bool become_ready(struct client *c, int lun)
{
	for (int i = 0; i < 16; i++) {
		struct scsi_task *task = iscsi_testunitready_sync(c->iscsi, lun);
		bool ready = task && task->status == SCSI_STATUS_GOOD;

		if (task)
			scsi_free_scsi_task(task);
		if (ready)
			return true;
	}
	return false;
}

int client_open(struct client *c, const char *portal, const char *target, const char *initiator, const int *luns,
		int nluns)
{
	static const struct sigaction ignore = {.sa_handler = SIG_IGN};

	memset(c, 0, sizeof(*c));
	sigaction(SIGPIPE, &ignore, NULL);	/* a target that dies is an answer, not our end */
	c->iscsi = iscsi_create_context(initiator);
	if (!c->iscsi)
		return -1;
	iscsi_set_noautoreconnect(c->iscsi, 1);
	iscsi_set_targetname(c->iscsi, target);
	iscsi_set_session_type(c->iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(c->iscsi, ISCSI_HEADER_DIGEST_NONE);
	iscsi_set_timeout(c->iscsi, CONNECT_TIMEOUT_S);
	if (iscsi_full_connect_sync(c->iscsi, portal, luns[0])) {
		fprintf(stderr, "connect to %s, %s: %s\n", portal, target, iscsi_get_error(c->iscsi));
		goto out_destroy;
	}
	for (int i = 0; i < nluns; i++) {
		if (!become_ready(c, luns[i])) {
			fprintf(stderr, "LUN %d does not become ready: %s\n", luns[i], iscsi_get_error(c->iscsi));
			goto out_destroy;
		}
	}
	iscsi_set_timeout(c->iscsi, 0);
	return 0;
out_destroy:
	iscsi_destroy_context(c->iscsi);
	c->iscsi = NULL;
	return -1;
}

void client_close(struct client *c)
{
	if (!c->iscsi)
		return;
	if (!c->dead && c->in_flight == 0)
		iscsi_logout_sync(c->iscsi);
	c->dead = true;
	iscsi_destroy_context(c->iscsi);
	c->iscsi = NULL;
}

uint64_t client_capacity(struct client *c, int lun)
{
	struct scsi_task *task = iscsi_readcapacity16_sync(c->iscsi, lun);
	struct scsi_readcapacity16 *rc = NULL;
	uint64_t sectors = 0;

	if (task && task->status == SCSI_STATUS_GOOD)
		rc = scsi_datain_unmarshall(task);
	if (rc)
		sectors = (rc->returned_lba + 1) * (rc->block_length / SECTOR);
	else
		fprintf(stderr, "capacity of LUN %d: %s\n", lun, iscsi_get_error(c->iscsi));
	if (task)
		scsi_free_scsi_task(task);
	return sectors;
}

/* libiscsi answers with these when the session is lost; the other statuses come from the target. */
static bool lost(int status)
{
	return status == SCSI_STATUS_CANCELLED || status == SCSI_STATUS_ERROR || status == SCSI_STATUS_TIMEOUT;
}

static void on_answer(struct iscsi_context *iscsi, int status, void *data, void *priv)
{
	struct client_op *op = priv;
	struct scsi_task *task = data;
	struct client *c = op->client;

	(void)iscsi;
	assert(c->in_flight > 0);
	c->in_flight--;
	op->error = 0;
	op->text[0] = '\0';
	op->sense = 0;
	if (lost(status)) {
		c->dead = true;
		op->error = -ENOTCONN;
	} else if (status != SCSI_STATUS_GOOD) {
		op->error = -EIO;
		if (task && status == SCSI_STATUS_CHECK_CONDITION)
			op->sense = (int)task->sense.key << 16 | task->sense.ascq;
		snprintf(op->text, sizeof(op->text), "status %d, sense key %s, %s", status,
			 task ? scsi_sense_key_str((int)task->sense.key) : "?",
			 task ? scsi_sense_ascq_str(task->sense.ascq) : "?");
	} else if (task && task->residual_status != SCSI_RESIDUAL_NO_RESIDUAL) {
		op->error = -EIO;
		snprintf(op->text, sizeof(op->text), "GOOD, but with a residual of %zu bytes", task->residual);
	}
	if (task)
		scsi_free_scsi_task(task);
	op->done(op);
}

static struct scsi_task *start(struct client *c, struct client_op *op)
{
	uint32_t len = op->sectors * SECTOR;
	struct unmap_list list = {.lba = op->lba, .num = op->sectors};
	struct scsi_task *task;

	switch (op->cmd) {
	case CMD_READ:
		task = iscsi_read16_task(c->iscsi, op->lun, op->lba, len, SECTOR, 0, 0, op->fua, 0, 0, on_answer, op);
		if (task)
			scsi_task_add_data_in_buffer(task, (int)len, op->buf);
		return task;
	case CMD_WRITE:
		return iscsi_write16_task(c->iscsi, op->lun, op->lba, op->buf, len, SECTOR, 0, 0, op->fua, 0, 0,
					  on_answer, op);
	case CMD_FLUSH:
		return iscsi_synchronizecache16_task(c->iscsi, op->lun, 0, 0, 0, 0, on_answer, op);
	case CMD_UNMAP:
		return iscsi_unmap_task(c->iscsi, op->lun, 0, 0, &list, 1, on_answer, op);
	}
	return NULL;
}

int client_send(struct client *c, struct client_op *op)
{
	if (c->dead)
		return -1;
	op->client = c;
	c->in_flight++;
	if (!start(c, op)) {
		c->in_flight--;
		c->dead = true;
		return -1;
	}
	return 0;
}

bool client_wait(struct client *c, unsigned n, int timeout_ms)
{
	struct pollfd fds[SESSIONS_MAX];
	bool alive = true;

	assert(n <= SESSIONS_MAX);
	for (unsigned i = 0; i < n; i++) {
		if (c[i].dead || iscsi_get_fd(c[i].iscsi) < 0)
			return false;
		fds[i] = (struct pollfd){.fd = iscsi_get_fd(c[i].iscsi),
					 .events = (short)iscsi_which_events(c[i].iscsi)};
	}
	if (poll(fds, n, timeout_ms) < 0)
		return errno == EINTR;
	for (unsigned i = 0; i < n; i++) {
		if (fds[i].revents && iscsi_service(c[i].iscsi, fds[i].revents))
			c[i].dead = true;
		if (c[i].dead || iscsi_get_fd(c[i].iscsi) < 0) {
			c[i].dead = true;
			alive = false;
		}
	}
	return alive;
}
