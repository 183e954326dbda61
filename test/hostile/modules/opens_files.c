#include "hostile.h"

/* 200 where all is refused, as it must be. */
static uint32_t do_harm(void) {
  static const char* const kPaths[] = {"/etc/passwd", "/proc/self/maps", "/proc/1/environ", "/dev/mem", "/",
                                       "..",          "/module.so"};
  for (size_t i = 0; i < sizeof kPaths / sizeof *kPaths; ++i)
    if (open(kPaths[i], O_RDONLY) >= 0) return 0;
  return open("/new", O_WRONLY | O_CREAT, 0600) >= 0 ? 0 : 200;
}
