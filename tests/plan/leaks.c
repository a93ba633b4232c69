/* What LeakSanitizer, where a build has it, shall overlook in tests that plan with the real cuDNN.
 */

/* It looks for this name. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);

/* On machines without a GPU, cuDNN 9.19 looks at an engine by asking for a handle of cuBLASLt,
 * which is refused and leaves 192 bytes (cuBLASLt of CUDA 13.0); to be dropped once tests/plan
 * leaks nothing without it. */
const char *__lsan_default_suppressions(void) {
  return "leak:libcublas";
}
