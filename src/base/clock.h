/* Time that passes, for measurements: nothing that a run computes depends on it. */
#ifndef VANE_BASE_CLOCK_H
#define VANE_BASE_CLOCK_H

/* Seconds since some moment in the past, never set back. */
double vane_clock_s(void);

/* Seconds of processor time that the calling thread has had: what others do on the machine
 * lengthens them less than those of vane_clock_s. */
double vane_clock_thread_s(void);

#endif
