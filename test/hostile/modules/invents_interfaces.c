#include "hostile.h"

/* Hides one refusal behind many of its own making. */
static uint32_t do_harm(void) {
  char name[] = "vmsec.Made000";
  for (int i = 0; i < 300; ++i) {
    name[10] = (char)('0' + i / 100), name[11] = (char)('0' + i / 10 % 10), name[12] = (char)('0' + i % 10);
    open_handle(name);
  }
  return open_handle("vmsec.Migration") == 0 ? 200 : 0;
}
