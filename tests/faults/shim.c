/* Surroundings that answer late or wrongly, for LD_PRELOAD; what they do is right.

RESENT=ERRNO:WHEN:PART: the WHEN-th rename(2) to a path with PART in it (0: each) is done, and an error is returned, as
where an NFS server's answer was lost and the call was sent once more.
VEILED=SECONDS:PART[:PART...]: paths with a PART in them cannot be seen, as where a client's view of a folder is old; what
would be put in their place is refused all the same: that is the server's word, and so long after it they are seen.
AHEAD=FILE: the time of day is so many seconds ahead as the file says now; the monotonic clock is right.
*/
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static struct timespec refused; /* when a rename first was */

int clock_gettime(clockid_t clock, struct timespec *found) {
    const char *path = getenv("AHEAD");
    char text[32] = "";
    int done = REAL(clock_gettime)(clock, found);
    if (!done && path && clock == CLOCK_REALTIME) {
        int file = REAL(open64)(path, O_RDONLY);
        if (file >= 0 && read(file, text, sizeof text - 1) > 0) found->tv_sec += atol(text);
        close(file);
    }
    return done;
}

static int veiled(const char *path) {
    const char *told = getenv("VEILED");
    struct timespec now;
    char parts[4096], *part, *rest = parts;
    if (!told || !path) return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (refused.tv_sec && (now.tv_sec - refused.tv_sec) + (now.tv_nsec - refused.tv_nsec) / 1e9 > atof(told)) return 0;
    snprintf(parts, sizeof parts, "%s", told);
    strsep(&rest, ":");
    while ((part = strsep(&rest, ":")))
        if (*part && strstr(path, part)) return 1;
    return 0;
}

#define UNSEEN(path) if (veiled(path)) { errno = ENOENT; return -1; }

int stat64(const char *path, struct stat64 *found) { UNSEEN(path) return REAL(stat64)(path, found); }
int lstat64(const char *path, struct stat64 *found) { UNSEEN(path) return REAL(lstat64)(path, found); }
int fstatat64(int at, const char *path, struct stat64 *found, int flags) {
    UNSEEN(path) return REAL(fstatat64)(at, path, found, flags);
}
int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0;
    va_end(more);
    UNSEEN(path)
    return REAL(open64)(path, flags, mode);
}
DIR *opendir(const char *path) {
    if (veiled(path)) { errno = ENOENT; return NULL; }
    return REAL(opendir)(path);
}
struct dirent64 *readdir64(DIR *folder) {
    char link[64], path[PATH_MAX + 300];
    struct dirent64 *found;
    while ((found = REAL(readdir64)(folder))) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd(folder));
        ssize_t size = readlink(link, path, PATH_MAX);
        if (size < 0) break;
        snprintf(path + size, sizeof path - size, "/%s", found->d_name);
        if (!veiled(path)) break;
    }
    return found;
}

int rename(const char *old, const char *new) {
    static int count;
    const char *told = getenv("RESENT");
    int number, which, at, found = REAL(rename)(old, new);
    if (found && (errno == ENOTEMPTY || errno == EEXIST) && !refused.tv_sec) {
        int kept = errno;
        clock_gettime(CLOCK_MONOTONIC, &refused);
        errno = kept;
    }
    if (found || !told || sscanf(told, "%d:%d:%n", &number, &which, &at) != 2 || !strstr(new, told + at)) return found;
    if (which && ++count != which) return found;
    errno = number;
    return -1;
}
