#include "hostile.h"

static uint32_t do_harm(void) {
  for (volatile unsigned long turns = 0;; ++turns) continue;
}
