/* SPDX-License-Identifier: GPL-2.0-only */
/* faulty_vfs.h - a disk under SQLite that is full, or cannot flush, when a test says so. */
#ifndef HB_TESTS_DAEMON_FAULTY_VFS_H
#define HB_TESTS_DAEMON_FAULTY_VFS_H

/* SQLite's default from now on: calls of the real one, with faults. May be called again. */
void faulty_install(void);
/* After so many more writes (flushes) that work, all fail: writes with "full", flushes with an I/O error. -1: none. */
void faulty_set(int writes, int flushes);

#endif
