/* Where the laboratory's results go. */
#ifndef VANE_LAB_FILES_H
#define VANE_LAB_FILES_H

#include <stddef.h>

#include "vane/status.h"

/* Writes a file whole or not at all. */
VANE_CHECKED
vane_status vane_lab_write_file(const char *path, const void *bytes, size_t n_bytes);

/* Draws the picture that a gnuplot script in `folder` describes: runs `gnuplot SCRIPT` there, and
 * waits. VANE_ERR_UNSUPPORTED where gnuplot is not installed; the message names the package. */
VANE_CHECKED
vane_status vane_lab_run_gnuplot(const char *folder, const char *script);

#endif
