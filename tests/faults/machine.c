/* A machine whose disk and clock a test can break, for a server that is started with this library
 * preloaded (LD_PRELOAD). It stands between the server and libc:
 *
 *   - what is synced is copied to MACHINE_DURABLE: after a kill, that folder holds what a power cut
 *     would have left of the files below MACHINE_FOLDER, every write that was not synced dropped;
 *   - writing and syncing those files fails, or takes a while;
 *   - the wall clock is ahead or behind.
 *
 * The test writes what is to happen into MACHINE_CONTROL, three numbers of 64 bits: the errno of
 * writes and syncs (0: none), milliseconds that a sync takes longer, seconds that the clock is ahead.
 *
 * Entries of folders count as durable as soon as the file has been synced. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *control;
static const char *folder;
static const char *durable;
/* Held while a file is written, and while it is synced and copied: a copy has nothing that came later. */
static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off64_t);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("MACHINE_CONTROL");
  folder = getenv("MACHINE_FOLDER");
  durable = getenv("MACHINE_DURABLE");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0 || !folder || !durable)
    abort();
  control = mmap(NULL, 3 * sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (control == MAP_FAILED)
    abort();
  close(file);
}

/* The name of a regular file below the folder, or NULL. */
static const char *name_of(int file, char path[PATH_MAX]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length <= 0)
    return NULL;
  path[length] = 0;
  struct stat status;
  size_t prefix = strlen(folder);
  if (strncmp(path, folder, prefix) != 0 || path[prefix] != '/' || fstat(file, &status) != 0 ||
      !S_ISREG(status.st_mode))
    return NULL;
  return strrchr(path, '/') + 1;
}

static int is_broken(void) {
  if (control[0] == 0)
    return 0;
  errno = (int)control[0];
  return 1;
}

/* Copies a file that was just synced, whole or not at all. */
static void keep(int file, const char *name) {
  char part[PATH_MAX], whole[PATH_MAX], buffer[1 << 16];
  snprintf(part, sizeof part, "%s/%s.part", durable, name);
  snprintf(whole, sizeof whole, "%s/%s", durable, name);
  int copy = open(part, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (copy < 0)
    abort();
  off64_t at = 0;
  ssize_t count;
  while ((count = pread64(file, buffer, sizeof buffer, at)) > 0) {
    if (real_write(copy, buffer, (size_t)count) != count)
      abort();
    at += count;
  }
  close(copy);
  if (rename(part, whole) != 0)
    abort();
}

static int synced(int file, int (*sync)(int)) {
  char path[PATH_MAX];
  const char *name = name_of(file, path);
  if (!name)
    return sync(file);
  if (control[1] > 0) {
    struct timespec pause = {control[1] / 1000, control[1] % 1000 * 1000000};
    nanosleep(&pause, NULL);
  }
  if (is_broken())
    return -1;
  pthread_mutex_lock(&disk);
  int result = sync(file);
  int error = errno;
  if (result == 0)
    keep(file, name);
  pthread_mutex_unlock(&disk);
  errno = error;
  return result;
}

int fsync(int file) { return synced(file, real_fsync); }
int fdatasync(int file) { return synced(file, real_fdatasync); }

static ssize_t written(int file, const void *bytes, size_t count, off64_t at) {
  char path[PATH_MAX];
  int ours = name_of(file, path) != NULL;
  if (ours && is_broken())
    return -1;
  if (ours)
    pthread_mutex_lock(&disk);
  ssize_t result = at < 0 ? real_write(file, bytes, count) : real_pwrite(file, bytes, count, at);
  int error = errno;
  if (ours)
    pthread_mutex_unlock(&disk);
  errno = error;
  return result;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  return written(file, bytes, count, at);
}
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
  return written(file, bytes, count, at);
}
ssize_t write(int file, const void *bytes, size_t count) { return written(file, bytes, count, -1); }

static int cut(int file, off64_t length) {
  char path[PATH_MAX];
  int ours = name_of(file, path) != NULL;
  if (ours && is_broken())
    return -1;
  if (ours)
    pthread_mutex_lock(&disk);
  int result = real_ftruncate(file, length);
  int error = errno;
  if (ours)
    pthread_mutex_unlock(&disk);
  errno = error;
  return result;
}

int ftruncate64(int file, off64_t length) { return cut(file, length); }
int ftruncate(int file, off_t length) { return cut(file, length); }

int clock_gettime(clockid_t clock, struct timespec *time) {
  /* Before the constructor has run. */
  if (!real_clock_gettime)
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real_clock_gettime(clock, time);
  if (result == 0 && clock == CLOCK_REALTIME && control)
    time->tv_sec += control[2];
  return result;
}
