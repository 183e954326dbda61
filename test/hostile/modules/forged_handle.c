#include "hostile.h"

static uint32_t do_harm(void) {
  for (uint64_t id = 1; id < 100; ++id) {
    const uint32_t code = ask(id << 32 | 7, 1, NULL, 0, NULL, 0);
    if (code != 201) return code;
  }
  return 201;
}
