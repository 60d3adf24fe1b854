// replaced by the branch
