#include "hostile.h"

static uint32_t do_harm(void) {
  while (dup(0) >= 0) continue;
  wait_for_ever();
  return 0;
}
