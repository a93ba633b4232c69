/* The files of presets/lab/, in the program itself: the build writes the table. */
#ifndef VANE_LAB_PRESETS_H
#define VANE_LAB_PRESETS_H

typedef struct vane_lab_preset {
  const char *name; /* without folder and ending */
  const char *yaml;
} vane_lab_preset;

extern const vane_lab_preset vane_lab_presets[];
extern const int vane_lab_n_presets;

#endif
