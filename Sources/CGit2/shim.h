#ifndef DESIRED_STATE_CGIT2_H
#define DESIRED_STATE_CGIT2_H

#include <git2.h>

// git_tree_create_updated(3), git_commit_extract_signature(3) and the indexer's options as they are used here.
#if LIBGIT2_VER_MAJOR < 1
#error "libgit2 1.0 or newer is needed"
#endif

#endif
