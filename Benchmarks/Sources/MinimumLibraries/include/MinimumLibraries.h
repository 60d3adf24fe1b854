/// Starts the C libraries that a follower uses, as it does, and waits.
void minimum_start(int starts_curl, int starts_git);
void minimum_wait(void);
