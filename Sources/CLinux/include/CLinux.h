#ifndef DESIRED_STATE_CLINUX_H
#define DESIRED_STATE_CLINUX_H

// glibc declares these under _GNU_SOURCE only, and Swift's Glibc module is built without it.
// The prototypes follow the manual pages named beside them.

int syncfs(int fd);  // syncfs(2): write back one whole file system; reports write-back errors since Linux 5.8
int pipe2(int descriptors[2], int flags);  // pipe(2), with flags such as O_CLOEXEC that hold from the beginning

// openat2(2) with RESOLVE_BENEATH: opens what a relative path leads to, if all of the way there is below the directory;
// EXDEV if it is not. With follows_links 0, any symbolic link on the way is ELOOP. glibc has no wrapper.
int desired_state_open_beneath(int directory, const char *path, int flags, int follows_links);

int memfd_create(const char *name, unsigned int flags);  // memfd_create(2): a file that is nowhere but in memory

const char *desired_state_build_date(void);  // the day on which this was compiled, as "Nov 25 2026"

#include <malloc.h>  // mallinfo2(3), glibc 2.33: what malloc has given out, over all arenas

#endif
