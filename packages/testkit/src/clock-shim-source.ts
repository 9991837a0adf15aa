// The boot-time clock is held as well, since a paused machine stops it too. One aligned 8-byte load cannot be torn, so no lock is needed.

export const clockShimSource = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static volatile int64_t zero;
static volatile int64_t *stopped_nanos = &zero;

__attribute__((constructor)) static void start(void) {
  real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("THAW_CLOCK_FILE");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *page = mmap(0, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) stopped_nanos = page;
  close(file);
}

int clock_gettime(clockid_t id, struct timespec *now) {
  if (!real_clock_gettime) start();
  int failed = real_clock_gettime(id, now);
  if (failed || (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_RAW && id != CLOCK_MONOTONIC_COARSE && id != CLOCK_BOOTTIME)) return failed;
  int64_t nanos = now->tv_sec * 1000000000LL + now->tv_nsec - *stopped_nanos;
  now->tv_sec = nanos / 1000000000LL;
  now->tv_nsec = nanos % 1000000000LL;
  return 0;
}
`
