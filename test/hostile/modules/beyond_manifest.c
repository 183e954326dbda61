#include "hostile.h"

/* Answers what the host said. */
static uint32_t do_harm(void) {
  const char open[] = "\x0a\x0fvmsec.Migration";
  return ask(0, 1, open, sizeof open - 1, NULL, 0);
}
