/* SPDX-License-Identifier: GPL-2.0-only */
/* faulty_vfs.c - a disk under SQLite that is full, or cannot flush, when a test says so. */
#include "faulty_vfs.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static atomic_int writes_left = -1, flushes_left = -1;
static sqlite3_vfs vfs, *real;
static sqlite3_io_methods methods;

/* What SQLite gets; the real file lies behind it. */
struct file {
	sqlite3_file base;
	sqlite3_file *real;
};

void faulty_set(int writes, int flushes)
{
	atomic_store(&writes_left, writes);
	atomic_store(&flushes_left, flushes);
}

static bool fails(atomic_int *left)
{
	int n = atomic_load(left);

	while (n > 0 && !atomic_compare_exchange_weak(left, &n, n - 1))
		;
	return n == 0;
}

static sqlite3_file *behind(sqlite3_file *f)
{
	return ((struct file *)f)->real;
}

static int f_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
	return fails(&writes_left) ? SQLITE_FULL : behind(f)->pMethods->xWrite(behind(f), from, n, at);
}

static int f_sync(sqlite3_file *f, int flags)
{
	return fails(&flushes_left) ? SQLITE_IOERR_FSYNC : behind(f)->pMethods->xSync(behind(f), flags);
}

static int f_close(sqlite3_file *f)
{
	return behind(f)->pMethods->xClose(behind(f));
}

static int f_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
	return behind(f)->pMethods->xRead(behind(f), to, n, at);
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	return behind(f)->pMethods->xTruncate(behind(f), n);
}

static int f_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return behind(f)->pMethods->xFileSize(behind(f), ret);
}

static int f_lock(sqlite3_file *f, int how)
{
	return behind(f)->pMethods->xLock(behind(f), how);
}

static int f_unlock(sqlite3_file *f, int how)
{
	return behind(f)->pMethods->xUnlock(behind(f), how);
}

static int f_reserved(sqlite3_file *f, int *ret)
{
	return behind(f)->pMethods->xCheckReservedLock(behind(f), ret);
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
	return behind(f)->pMethods->xFileControl(behind(f), op, arg);
}

static int f_sector(sqlite3_file *f)
{
	return behind(f)->pMethods->xSectorSize(behind(f));
}

static int f_traits(sqlite3_file *f)
{
	return behind(f)->pMethods->xDeviceCharacteristics(behind(f));
}

static int f_shm_map(sqlite3_file *f, int page, int bytes, int extend, void volatile **ret)
{
	return behind(f)->pMethods->xShmMap(behind(f), page, bytes, extend, ret);
}

static int f_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return behind(f)->pMethods->xShmLock(behind(f), at, n, flags);
}

static void f_shm_barrier(sqlite3_file *f)
{
	behind(f)->pMethods->xShmBarrier(behind(f));
}

static int f_shm_unmap(sqlite3_file *f, int drop)
{
	return behind(f)->pMethods->xShmUnmap(behind(f), drop);
}

static int f_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	struct file *file = (struct file *)f;
	int rc;

	(void)v;
	file->real = (sqlite3_file *)(file + 1);
	rc = real->xOpen(real, name, file->real, flags, ret_flags);
	f->pMethods = rc == SQLITE_OK ? &methods : NULL;
	return rc;
}

void faulty_install(void)
{
	if (real)
		return;
	real = sqlite3_vfs_find(NULL);
	methods = (sqlite3_io_methods){ 2, f_close, f_read, f_write, f_truncate, f_sync, f_size, f_lock, f_unlock,
					f_reserved, f_control, f_sector, f_traits, f_shm_map, f_shm_lock,
					f_shm_barrier, f_shm_unmap, NULL, NULL };
	memcpy(&vfs, real, sizeof(vfs));
	vfs.zName = "faulty";
	vfs.szOsFile = (int)sizeof(struct file) + real->szOsFile;
	vfs.xOpen = f_open;
	sqlite3_vfs_register(&vfs, 1);
}
