#define _GNU_SOURCE
#include "CLinux.h"

#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

int desired_state_open_beneath(int directory, const char *path, int flags, int follows_links) {
  struct open_how how = {
      .flags = (unsigned long long)flags,
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (follows_links ? 0 : RESOLVE_NO_SYMLINKS),
  };
  return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

// The compiler takes SOURCE_DATE_EPOCH in place of the clock, where a build is to be reproducible.
const char *desired_state_build_date(void) { return __DATE__; }
