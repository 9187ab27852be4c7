/* SPDX-License-Identifier: GPL-2.0-only */
/* target_rig.c - see target_rig.h. */
#include "target_rig.h"

#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"

#define WORDS_MAX 24

bool target_there(void)
{
	if (access("/usr/sbin/tgtd", X_OK) == 0 && access("/usr/sbin/tgtadm", X_OK) == 0)
		return true;
	printf(" (skipped: no tgtd, see make deps) ");
	return false;
}

/* A port that is free now. */
static int free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_FATAL(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static bool listening(const struct target *t)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons((uint16_t)t->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;

	close(fd);
	return yes;
}

/* In the child. Its words go to a file: *out, or the log. */
static void become(const struct target *t, char *const *argv, const char *out)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", t->dir, out);
	fd = open(path, O_WRONLY | O_CREAT | (strcmp(out, "log") ? O_TRUNC : O_APPEND), 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	snprintf(path, sizeof(path), "%s/socket", t->dir);
	setenv("TGT_IPC_SOCKET", path, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(argv[0], argv);
	_exit(127);
}

static pid_t spawn(const struct target *t, char *const *argv, const char *out)
{
	pid_t pid = fork();

	if (pid == 0)
		become(t, argv, out);
	CU_ASSERT_FATAL(pid > 0);
	return pid;
}

bool target_adm(struct target *t, const char *arguments)
{
	char words[512], *argv[WORDS_MAX + 1] = { (char[]){ "/usr/sbin/tgtadm" }, (char[]){ "-C" }, (char[]){ "1" },
						  (char[]){ "--lld" }, (char[]){ "iscsi" } };
	char *save = NULL;
	int n = 5, status = 0;
	pid_t pid;

	snprintf(words, sizeof(words), "%s", arguments);
	for (char *w = strtok_r(words, " ", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	pid = spawn(t, argv, "out");
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void target_run(struct target *t)
{
	char portal[64], *argv[] = { (char[]){ "/usr/sbin/tgtd" }, (char[]){ "-f" }, (char[]){ "-C" }, (char[]){ "1" },
				     (char[]){ "--iscsi" }, portal, NULL };

	snprintf(portal, sizeof(portal), "portal=%s", t->portal);
	t->pid = spawn(t, argv, "log");
	for (int i = 0; i < 500 && !(listening(t) && target_adm(t, "--op show --mode target")); i++)
		poll(NULL, 0, 10);
	CU_ASSERT_FATAL(listening(t));
}

void target_lun(struct target *t, const char *lun_options, const char *params)
{
	char words[400];

	CU_ASSERT_TRUE_FATAL(target_adm(t, "--op new --mode target --tid 1 --targetname " TARGET_IQN));
	snprintf(words, sizeof(words),
		 "--op new --mode logicalunit --tid 1 --lun 1 --bstype rdwr --backing-store %s %s", t->file,
		 lun_options);
	CU_ASSERT_TRUE_FATAL(target_adm(t, words));
	if (params) {
		snprintf(words, sizeof(words), "--op update --mode logicalunit --tid 1 --lun 1 --params %s", params);
		CU_ASSERT_TRUE_FATAL(target_adm(t, words));
	}
	CU_ASSERT_TRUE_FATAL(target_adm(t, "--op bind --mode target --tid 1 --initiator-address ALL"));
}

void target_begin(struct target *t, unsigned long long bytes, const char *lun_options, const char *params)
{
	int fd;

	*t = (struct target){ .port = free_port() };
	scratch_new("/var/tmp", t->dir);
	snprintf(t->portal, sizeof(t->portal), "127.0.0.1:%d", t->port);
	snprintf(t->file, sizeof(t->file), "%s/lun", t->dir);
	fd = open(t->file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	close(fd);
	target_run(t);
	target_lun(t, lun_options, params);
}

void target_signal(struct target *t, int sig)
{
	CU_ASSERT_FATAL(t->pid > 0 && kill(t->pid, sig) == 0);
}

void target_kill(struct target *t)
{
	target_signal(t, SIGKILL);
	CU_ASSERT_EQUAL(waitpid(t->pid, NULL, 0), t->pid);
	t->pid = 0;
}

void target_drop(struct target *t, enum target_drop which)
{
	char path[96], line[200], words[128];
	unsigned sid[16], cid;
	int n = 0;
	FILE *f;

	CU_ASSERT_TRUE_FATAL(target_adm(t, "--op show --mode conn --tid 1"));
	snprintf(path, sizeof(path), "%s/out", t->dir);
	f = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (n < (int)ARRAY_LEN(sid) && fgets(line, sizeof(line), f))
		n += sscanf(line, "Session: %u", &sid[n]) == 1;
	fclose(f);
	CU_ASSERT_FATAL(n > 0);
	cid = 0;
	for (int i = which == TARGET_DROP_LAST ? n - 1 : 0; i < (which == TARGET_DROP_FIRST ? 1 : n); i++) {
		snprintf(words, sizeof(words), "--op delete --mode conn --tid 1 --sid %u --cid %u", sid[i], cid);
		CU_ASSERT_TRUE(target_adm(t, words));
	}
}

void target_end(struct target *t)
{
	if (t->pid)
		target_kill(t);
	scratch_remove(t->dir);
}

struct dev_iscsi_how target_how(const struct target *t)
{
	return (struct dev_iscsi_how){
		.portals = { t->portal }, .target = TARGET_IQN, .initiator = TARGET_INITIATOR, .lun = 1,
		.open_ns = 10 * SEC_NS,
	};
}
