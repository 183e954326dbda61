#include "hostile.h"

static uint32_t do_harm(void) {
  wait_for_ever();
  return 0;
}
