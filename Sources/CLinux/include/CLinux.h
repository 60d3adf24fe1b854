#ifndef DESIRED_STATE_CLINUX_H
#define DESIRED_STATE_CLINUX_H

// glibc declares these under _GNU_SOURCE only, and Swift's Glibc module is built without it.
// The prototypes follow the manual pages named beside them.

int syncfs(int fd);  // syncfs(2): write back one whole file system; reports write-back errors since Linux 5.8

#endif
