#include "hostile.h"

__attribute__((noinline, optimize("stack-protector-all"))) static void smash(volatile char* (*get)(volatile char*)) {
  char small[16];
  volatile char* to = get(small);
  for (int i = 0; i < 64; ++i) to[i] = 'x';
}

static volatile char* same(volatile char* at) { return at; }

static uint32_t do_harm(void) {
  smash(same);
  return 0;
}
