#include "lab/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "store/files.h"

vane_status vane_lab_text_open(vane_lab_text *text) {
  *text = (vane_lab_text){.stream = NULL};
  text->stream = open_memstream(&text->bytes, &text->n_bytes);
  return text->stream ? VANE_OK : vane_fail(VANE_ERR_MEMORY, "no memory for a text");
}

vane_status vane_lab_text_close(vane_lab_text *text, const char *path) {
  vane_status status = VANE_OK;
  if (fclose(text->stream) != 0)
    status = vane_fail(VANE_ERR_MEMORY, "no memory for the text of %s", path);
  if (status == VANE_OK)
    status = vane_file_replace(path, text->bytes, text->n_bytes);
  free(text->bytes);
  return status;
}

#define NOT_FOUND 127 /* as a shell says it */

/* In the child: becomes gnuplot, or ends. */
static void become_gnuplot(const char *folder, const char *script) {
  if (chdir(folder) == 0)
    execlp("gnuplot", "gnuplot", script, (char *)NULL);
  _exit(errno == ENOENT ? NOT_FOUND : 1);
}

static vane_status run_gnuplot(const char *folder, const char *script) {
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

vane_status vane_lab_draw(vane_lab_text *script, const char *folder, const char *name) {
  char path[1200];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  VANE_TRY(vane_lab_text_close(script, path));
  return run_gnuplot(folder, name);
}
