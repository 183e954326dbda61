#include "hostile.h"

/* The signal by which refusals are told. 200 where it stays the worker's. */
static uint32_t do_harm(void) {
  struct sigaction mine;
  memset(&mine, 0, sizeof mine);
  mine.sa_handler = SIG_IGN;
  return sigaction(SIGSYS, &mine, NULL) == 0 ? 0 : 200;
}
