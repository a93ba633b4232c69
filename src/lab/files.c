#include "lab/files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

vane_status vane_lab_write_file(const char *path, const void *bytes, size_t n_bytes) {
  vane_atomic_file *file;
  VANE_TRY(vane_atomic_file_open(path, &file));
  vane_status status = vane_atomic_file_write(file, bytes, n_bytes);
  if (status == VANE_OK)
    return vane_atomic_file_commit(file);
  vane_atomic_file_discard(file);
  return status;
}

#define NOT_FOUND 127 /* as a shell says it */

/* In the child: becomes gnuplot, or ends. */
static void become_gnuplot(const char *folder, const char *script) {
  if (chdir(folder) == 0)
    execlp("gnuplot", "gnuplot", script, (char *)NULL);
  _exit(errno == ENOENT ? NOT_FOUND : 1);
}

vane_status vane_lab_run_gnuplot(const char *folder, const char *script) {
  fflush(NULL);
  pid_t child = fork();
  if (child < 0)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "cannot start gnuplot");
  if (child == 0)
    become_gnuplot(folder, script);
  int result = 0;
  while (waitpid(child, &result, 0) < 0 && errno == EINTR)
    continue;
  if (WIFEXITED(result) && WEXITSTATUS(result) == 0)
    return VANE_OK;
  if (WIFEXITED(result) && WEXITSTATUS(result) == NOT_FOUND)
    return vane_fail(VANE_ERR_UNSUPPORTED,
                     "no picture without gnuplot: install gnuplot-nox, then run `gnuplot %s` in %s",
                     script, folder);
  return vane_fail(VANE_ERR_IO, "gnuplot failed on %s/%s", folder, script);
}
