#include "hostile.h"

static uint32_t do_harm(void) {
  for (;;) ask((uint64_t)77 << 32, 1, NULL, 0, NULL, 0);
}
