/* What LeakSanitizer, where a build has it, shall overlook. */

/* It looks for this name. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);

/* fontconfig keeps the patterns of fonts in use until the process ends (libcairo 1.16, with
 * fontconfig 2.14; to be dropped once `vane predict --overlay` leaks nothing without it). */
const char *__lsan_default_suppressions(void) {
  return "leak:libfontconfig";
}
