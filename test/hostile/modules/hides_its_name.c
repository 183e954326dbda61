#include <sys/prctl.h>
#include "hostile.h"

/* A newline in its name, so that who reads one line of its figures sees none of them. */
__attribute__((constructor)) static void hide(void) { prctl(PR_SET_NAME, "a\nb"); }

static void* spin(void* nothing) {
  for (;;) __asm__ volatile("" ::: "memory");
  return nothing;
}

static uint32_t do_harm(void) {
  pthread_t thread;
  return pthread_create(&thread, NULL, spin, NULL) == 0 ? 0 : 104;
}
