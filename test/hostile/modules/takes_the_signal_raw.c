#include <sys/syscall.h>
#include "hostile.h"

/* The same signal, by a number whose upper half the kernel does not read. 200 where it stays the worker's. */
static uint32_t do_harm(void) {
  unsigned long mine[4] = {(unsigned long)SIG_IGN, 0, 0, 0};
  return syscall(SYS_rt_sigaction, (1UL << 32) | SIGSYS, mine, NULL, 8UL) == 0 ? 0 : 200;
}
