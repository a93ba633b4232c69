/* Where the laboratory's results go. */
#ifndef VANE_LAB_FILES_H
#define VANE_LAB_FILES_H

#include <stdio.h>

#include "vane/status.h"

/* A text that becomes a file once it is all there: print to `stream` between open and close. */
typedef struct vane_lab_text {
  FILE *stream;
  char *bytes; /* owned */
  size_t n_bytes;
} vane_lab_text;

/* Does not move between open and close. */
VANE_CHECKED
vane_status vane_lab_text_open(vane_lab_text *text);
/* Ends it, whatever happens, and writes it to `path`, whole or not at all. */
VANE_CHECKED
vane_status vane_lab_text_close(vane_lab_text *text, const char *path);

/* Ends `script`, writes it to FOLDER/NAME and draws its picture: runs `gnuplot NAME` there, and
 * waits. VANE_ERR_UNSUPPORTED where gnuplot is not installed; the message names the package. */
VANE_CHECKED
vane_status vane_lab_draw(vane_lab_text *script, const char *folder, const char *name);

#endif
