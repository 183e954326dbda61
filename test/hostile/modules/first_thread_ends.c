#include <sys/syscall.h>
#include "hostile.h"

/* Without its first thread a process shows no figures of its memory and descriptors. */
static void on_signal(int signal) {
  (void)signal;
  syscall(SYS_exit, 0);
}

static uint32_t do_harm(void) {
  struct sigaction mine;
  memset(&mine, 0, sizeof mine);
  mine.sa_handler = on_signal;
  sigaction(SIGUSR1, &mine, NULL);
  syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
  wait_for_ever();
  return 0;
}
