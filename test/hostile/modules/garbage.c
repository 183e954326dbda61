#include "hostile.h"

static uint32_t do_harm(void) {
  char bytes[4096];
  memset(bytes, 0xa5, sizeof bytes);
  for (int fd = 3; fd < 64; ++fd)
    if (write(fd, bytes, sizeof bytes) < 0) continue;
  wait_for_ever();
  return 0;
}
