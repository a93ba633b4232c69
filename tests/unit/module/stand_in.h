/* What options->threads tells the module that stands in for the CUDA backend. */
#ifndef VANE_TESTS_UNIT_MODULE_STAND_IN_H
#define VANE_TESTS_UNIT_MODULE_STAND_IN_H

enum { STAND_IN_WITHOUT_GPU = 1, STAND_IN_BROKEN, STAND_IN_GOOD };

#endif
