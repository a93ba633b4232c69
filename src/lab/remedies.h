/* What people do against Adam's late failure: each remedy is a few settings. */
#ifndef VANE_LAB_REMEDIES_H
#define VANE_LAB_REMEDIES_H

#include "lab/problems.h"

#define VANE_LAB_REMEDY_SETTINGS 4

typedef struct vane_lab_remedy {
  const char *name;
  const char *summary;                            /* for people and tables */
  const char *settings[VANE_LAB_REMEDY_SETTINGS]; /* KEY=VALUE; NULL from the first unused one on */
} vane_lab_remedy;

/* The first one is plain Adam. */
extern const vane_lab_remedy vane_lab_remedies[];
extern const int vane_lab_n_remedies;

/* Borrowed. An unknown name is VANE_ERR_ARGUMENT, and the message has the nearest known one. */
VANE_CHECKED
vane_status vane_lab_remedy_find(const char *name, const vane_lab_remedy **remedy);

/* The problem under plain Adam, then with the remedy, then with the assignments (KEY=VALUE) [n]. */
VANE_CHECKED
vane_status vane_lab_remedy_configure(const vane_lab_problem *problem,
                                      const vane_lab_remedy *remedy, int64_t seed,
                                      const char *const *assignments, int n, vane_config *config);

#endif
