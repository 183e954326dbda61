#include "hostile.h"

static uint32_t do_harm(void) {
  const unsigned char frame[] = {0, 0, 0, 2, 0x08, 99};
  send_raw(frame, sizeof frame);
  wait_for_ever();
  return 0;
}
