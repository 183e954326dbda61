#include "hostile.h"

/* What it may see while it is loaded: its own object, and nothing else. */
__attribute__((constructor)) static void early(void) {
  if (open("/etc/passwd", O_RDONLY) >= 0 || open("/proc/self/status", O_RDONLY) >= 0) return;
  if (open("/module.so", O_WRONLY) >= 0 || open("/x", O_WRONLY | O_CREAT, 0600) >= 0) return;
  socket(AF_UNIX, SOCK_STREAM, 0);
}

static uint32_t do_harm(void) { return 0; }
