#include "hostile.h"

static void* in_a_thread(void* unused) {
  (void)unused;
  open_handle("vmsec.DomainControl");
  const unsigned char half[] = {0, 0, 1, 0, 0x08};
  if (write(own_line(), half, sizeof half) < 0) abort();
  wait_for_ever();
  return NULL;
}

/* A call of its own that never ends: nobody waits for it, and the host would hold what came. */
static uint32_t do_harm(void) {
  pthread_t thread;
  return pthread_create(&thread, NULL, in_a_thread, NULL) == 0 ? 0 : 1;
}
