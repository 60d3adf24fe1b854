#include "MinimumLibraries.h"

#include <unistd.h>

// Declared here and linked below, so that no headers need to be found.
extern int curl_global_init(long flags);
extern void *curl_easy_init(void);
extern void *curl_multi_init(void);
extern int git_libgit2_init(void);

void minimum_start(int starts_curl, int starts_git) {
  if (starts_curl) {
    curl_global_init(3);
    curl_multi_init();
    curl_easy_init();
  }
  if (starts_git) git_libgit2_init();
}

void minimum_wait(void) {
  for (;;) pause();
}
