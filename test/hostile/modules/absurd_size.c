#include "hostile.h"

static uint32_t do_harm(void) {
  const unsigned char frame[] = {0x7f, 0xff, 0xff, 0xff};
  send_raw(frame, sizeof frame);
  wait_for_ever();
  return 0;
}
