/* SPDX-License-Identifier: GPL-2.0-only */
/* iscsi.c - logging in with open-iscsi; see iscsi.h.
 *
 * Crash story: a login that is killed leaves a record, with secrets or without, or a session. The next one finds the
 * session and goes on from it; else it makes the record anew. The secrets stay in the record while the session lives:
 * iscsid reads them again when it was restarted and has to log in again.
 */
#include "agent/iscsi.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "agent/need.h"
#include "agent/record.h"
#include "agent/run.h"

#define COMMAND_MS 120000	/* a login may take long: iscsid tries again by itself */
#define POLL_MS 50

/* Exit statuses: iscsiadm(8). */
enum { ADM_OK = 0, ADM_SESS_NOT_FOUND = 2, ADM_TRANS = 4, ADM_TRANS_TIMEOUT = 8, ADM_SESS_EXISTS = 15, ADM_COMM = 18,
       ADM_NOTCONN = 20, ADM_NO_OBJS = 21, ADM_AUTH = 24 };

static int code_of(int status)
{
	switch (status) {
	case ADM_TRANS:
		return -ECONNREFUSED;
	case ADM_TRANS_TIMEOUT:
		return -ETIMEDOUT;
	case ADM_AUTH:
		return -EACCES;
	default:
		return -EIO;
	}
}

/* Runs "iscsiadm -m node -T TARGET -p PORTAL ...". `fine`: another status that is no error. */
static int node(const struct iscsi_conf *c, const struct values *v, const char *what, const char *op, int fine,
		struct err *err)
{
	char portal[VALUE_MAX + 8];
	const char *argv[] = { c->program ? c->program : "iscsiadm", "-m", "node", "-T", v->v[V_TARGET], "-p", portal,
			       what, op, NULL };
	struct run r = { .argv = (char *const *)(uintptr_t)argv, .path = c->path, .timeout_ms = COMMAND_MS };
	int e;

	/* ",1": the portal group. With it a record is a folder of interfaces, on all versions. */
	snprintf(portal, sizeof(portal), "%s,1", v->v[V_PORTAL]);
	e = run_program(&r, err);
	if (e == 0 && r.status != ADM_OK && r.status != fine)
		e = err_set(err, code_of(r.status), "iscsiadm %s at %s: %s (status %d)", what, v->v[V_PORTAL],
			    r.status == ADM_AUTH ? "the target does not take the secrets" :
			    r.status == ADM_TRANS ? "nobody answers" :
			    r.status == ADM_COMM || r.status == ADM_NOTCONN ? "iscsid does not answer" : "it failed",
			    r.status);
	free(r.output);
	return e;
}

/* Lines of "iscsiadm -m session": "tcp: [1] 192.0.2.1:3260,1 iqn.... (non-flash)". */
static int has_session(const struct iscsi_conf *c, const struct values *v, bool *ret, struct err *err)
{
	const char *argv[] = { c->program ? c->program : "iscsiadm", "-m", "session", NULL };
	struct run r = { .argv = (char *const *)(uintptr_t)argv, .path = c->path, .timeout_ms = COMMAND_MS };
	char want[2 * VALUE_MAX + 16];
	int e = run_program(&r, err);

	*ret = false;
	for (char *line = r.output; e == 0 && line && *line && !*ret;) {
		char *next = strchr(line, '\n');
		size_t n;

		if (next)
			*next++ = '\0';
		n = (size_t)snprintf(want, sizeof(want), " %s,1 %s", v->v[V_PORTAL], v->v[V_TARGET]);
		line = strstr(line, want);
		*ret = line && (line[n] == ' ' || !line[n]);
		line = next;
	}
	/* A flood would hide it. */
	if (e == 0 && r.cut && !*ret)
		e = err_set(err, -EFBIG, "iscsiadm: too many sessions to look through");
	if (e == 0 && r.status != ADM_OK && r.status != ADM_NO_OBJS)
		e = err_set(err, -EIO, "iscsiadm -m session: ended with status %d", r.status);
	free(r.output);
	return e;
}

/* udev's name (path_id): IPv6 addresses without brackets. */
static void link_of(const struct iscsi_conf *c, const struct values *v, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/ip-%s:%s-iscsi-%s-lun-%s", c->by_path ? c->by_path : "/dev/disk/by-path",
		 v->v[V_ADDRESS], v->v[V_PORT], v->v[V_TARGET], v->v[V_LUN]);
}

static bool wait_link(const char *path, bool there, uint32_t for_ms)
{
	const struct timespec pause = { 0, POLL_MS * 1000000L };
	struct stat st;

	for (uint32_t ms = 0; (stat(path, &st) == 0) != there; ms += POLL_MS) {
		if (ms >= for_ms)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* Debian's, then the others'. */
static void places_of(const struct iscsi_conf *c, const char *dirs[3])
{
	dirs[0] = c->nodes ? c->nodes : "/etc/iscsi/nodes";
	dirs[1] = c->nodes ? NULL : "/var/lib/iscsi/nodes";
	dirs[2] = NULL;
}

static int login_at(const struct iscsi_conf *c, struct values *v, struct err *err)
{
	const char *dirs[3];
	bool there;
	int e = has_session(c, v, &there, err);

	if (e < 0 || there)
		return e;
	places_of(c, dirs);
	e = node(c, v, "-o", "new", -1, err);
	if (e == 0)
		e = record_set_chap(dirs, v, err);
	return e < 0 ? e : node(c, v, "--login", NULL, ADM_SESS_EXISTS, err);
}

int iscsi_login(const struct iscsi_conf *c, const char *const *portals, struct values *v, struct err *err)
{
	struct err first = ERR_INIT, now;
	char path[PATH_MAX];

	if (!*portals)
		return err_set(err, -EINVAL, "\"portals\" is empty");
	for (; *portals; portals++) {
		now = ERR_INIT;
		if (values_set(v, V_PORTAL, *portals, &now) == 0 && login_at(c, v, &now) == 0) {
			link_of(c, v, path);
			if (!wait_link(path, true, c->wait_ms))
				return err_set(err, -ETIMEDOUT, "logged in to %s at %s, but %s does not appear",
					       v->v[V_TARGET], v->v[V_PORTAL], path);
			return values_set(v, V_PATH, path, err);
		}
		if (!first.code)
			first = now;
	}
	return err_set(err, first.code, "%s", first.text);
}

int iscsi_logout(const struct iscsi_conf *c, const char *const *portals, struct values *v, struct err *err)
{
	const char *dirs[3];
	char path[PATH_MAX];
	int e = 0;

	places_of(c, dirs);
	record_forget(dirs, v);
	for (; *portals && e == 0; portals++) {
		e = values_set(v, V_PORTAL, *portals, err);
		if (e == 0)
			e = node(c, v, "--logout", NULL, ADM_NO_OBJS, err);
		if (e == 0)
			e = node(c, v, "-o", "delete", ADM_NO_OBJS, err);
		/* A link that is still there would be taken for the next login's. */
		link_of(c, v, path);
		if (e == 0 && !wait_link(path, false, c->wait_ms))
			e = err_set(err, -ETIMEDOUT, "logged out of %s, but %s does not go", v->v[V_TARGET], path);
	}
	return e;
}

int iscsi_rescan(const struct iscsi_conf *c, struct values *v, struct err *err)
{
	return v->v[V_PORTAL] ? node(c, v, "-R", NULL, -1, err) : err_set(err, -EINVAL, "not logged in");
}

/* ------------------------------------------------------------------ who uses a disk of this host */

/* The mount point of the device, from mountinfo(5). */
static bool find_mount(dev_t dev, char ret[200])
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], where[200];
	unsigned major_n, minor_n;
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*u %*u %u:%u %*s %199s", &major_n, &minor_n, where) == 3)
			found = makedev(major_n, minor_n) == dev;
	}
	if (f)
		fclose(f);
	if (found)
		memcpy(ret, where, sizeof(where));
	return found;
}

static bool find_holder(dev_t dev, char ret[200])
{
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(dev), minor(dev));
	dir = opendir(path);
	while (dir && (d = readdir(dir)) && d->d_name[0] == '.')
		;
	if (dir && d)
		snprintf(ret, 200, "%.190s", d->d_name);
	if (dir)
		closedir(dir);
	return dir && d;
}

int host_busy(const char *path, struct err *err)
{
	struct stat st;
	char who[200];
	int fd;

	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	/* Whoever claims a disk or a part of it - a mount, a mapping, swap - keeps others from opening it so. */
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno != EBUSY)
		return 0;
	if (find_mount(st.st_rdev, who))
		return err_set(err, -EBUSY, "%s is mounted at %s", path, who);
	if (find_holder(st.st_rdev, who))
		return err_set(err, -EBUSY, "%s is used by %s", path, who);
	return err_set(err, -EBUSY, "%s is in use on this host", path);
}
