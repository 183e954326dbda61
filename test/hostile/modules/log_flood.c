#include "hostile.h"

static uint32_t do_harm(void) {
  const uint64_t journal = open_handle("vmsec.Journal");
  const char line[] = "\x08\x01\x12\x05hello";
  for (;;) ask(journal, 2, line, sizeof line - 1, NULL, 0);
}
