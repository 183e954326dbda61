// What a guest does: ticks on its console ten times a second, and by its arguments fills memory with a marker
// (marker=TEXT), dirties memory again and again (dirty=MiB), and computes (cpu=N processes).
//
// It spends next to no time in user mode but for cpu=N: QEMU's emulation of SVM sometimes delivers an interrupt twice,
// which Linux survives in kernel mode only.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { kMarker = 4 << 20, kLine = 64 };

static char* memory(size_t size) {
  char* out = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (out == MAP_FAILED) _exit(1);
  return out;
}

static void keep_marker(const char* text) {
  char* area = memory(kMarker);
  memset(area, '.', kMarker);
  size_t length = strlen(text);
  if (length > kLine) length = kLine;
  for (size_t at = 0; at < kMarker; at += kLine) memcpy(area + at, text, length);
}

static void nap(long milliseconds) {
  const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static void dirty(size_t mebibytes) {
  enum { kPage = 4096 };
  char* area = memory(mebibytes << 20);
  for (unsigned long round = 1;; ++round) {
    for (size_t at = 0; at < mebibytes << 20; at += kPage) memcpy(area + at, &round, sizeof round);
    nap(200);
  }
}

static void compute(void) {
  for (volatile unsigned long n = 0;; ++n) {
  }
}

static void tick(void) {
  const int console = open("/dev/hvc0", O_WRONLY);
  char line[32];
  for (unsigned long n = 1;; ++n) {
    const int length = snprintf(line, sizeof line, "tick %lu\n", n);
    if (write(console, line, (size_t)length) < 0) _exit(1);
    nap(100);
  }
}

int main(int count, char** arguments) {
  for (int i = 1; i < count; ++i) {
    if (strncmp(arguments[i], "marker=", 7) == 0) keep_marker(arguments[i] + 7);
    if (strncmp(arguments[i], "dirty=", 6) == 0 && fork() == 0) dirty((size_t)atoi(arguments[i] + 6));
    if (strncmp(arguments[i], "cpu=", 4) != 0) continue;
    for (int n = atoi(arguments[i] + 4); n > 0; --n)
      if (fork() == 0) compute();
  }
  tick();
}
