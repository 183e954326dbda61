#define IN_CREATE 1
#include "hostile.h"

static int asking[2];

static void* in_a_thread(void* unused) {
  (void)unused;
  if (write(asking[1], "x", 1) < 0) abort();
  ask(0, 1, NULL, 0, NULL, 0);
  return NULL;
}

/* No instance can be made of it while a thread of its own waits for an answer of the host's. */
static uint32_t do_harm(void) {
  pthread_t thread;
  char byte;
  if (pipe2(asking, 0) != 0 || pthread_create(&thread, NULL, in_a_thread, NULL) != 0) abort();
  if (read(asking[0], &byte, 1) < 0) abort();
  usleep(300 * 1000);
  return 100;
}
