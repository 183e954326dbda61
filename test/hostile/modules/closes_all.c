#include "hostile.h"

static uint32_t do_harm(void) {
  for (int fd = 0; fd < 64; ++fd) close(fd);
  wait_for_ever();
  return 0;
}
