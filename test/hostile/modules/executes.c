#include "hostile.h"

static uint32_t do_harm(void) {
  char* const arguments[] = {NULL};
  return execve("/module.so", arguments, arguments) == 0 ? 0 : 104;
}
