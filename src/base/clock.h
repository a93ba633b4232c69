/* Time that passes, for measurements: nothing that a run computes depends on it. */
#ifndef VANE_BASE_CLOCK_H
#define VANE_BASE_CLOCK_H

/* Seconds since some moment in the past, never set back. */
double vane_clock_s(void);

#endif
