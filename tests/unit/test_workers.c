/* lab/workers.h: tasks in processes of their own. */
#include <signal.h>

#include "scratch.h"

#include "base/error.h"
#include "lab/workers.h"

#define N_TASKS 12

typedef struct heard {
  int lines[N_TASKS], n;
} heard;

/* Says 100 lines "TASK LINE", some of them long. */
static vane_status count_up(void *user, int64_t task, const vane_lab_mouth *mouth) {
  heard *own = user;
  own->n = 1000; /* in a copy, which nobody else sees */
  for (int i = 0; i < 100; i++) {
    char line[6000];
    int length = snprintf(line, sizeof line, "%d %d ", (int)task, i);
    int padding = i % 7 == 0 ? 5000 : 3;
    memset(line + length, 'x', (size_t)padding);
    line[length + padding] = 0;
    VANE_TRY(vane_lab_say(mouth, line));
  }
  return VANE_OK;
}

static vane_status check_count(void *user, int64_t task, const char *line) {
  heard *own = user;
  int said_task, said_line;
  assert_int_equal(sscanf(line, "%d %d", &said_task, &said_line), 2);
  assert_int_equal(said_task, task);
  assert_int_equal(said_line, own->lines[task]);
  size_t n_bytes = strlen(line);
  assert_true(said_line % 7 == 0 ? n_bytes > 5000 : n_bytes < 20);
  own->lines[task]++;
  own->n++;
  return VANE_OK;
}

static void every_line_of_every_task_is_heard_in_order(void **state) {
  (void)state;
  for (int64_t n_jobs = 1; n_jobs <= 100; n_jobs *= 5) {
    heard all = {.n = 0};
    const vane_lab_workers workers = {count_up, check_count, &all};
    assert_ok(vane_lab_workers_run(&workers, N_TASKS, n_jobs));
    assert_int_equal(all.n, 100 * N_TASKS);
  }
  const vane_lab_workers none = {count_up, check_count, NULL};
  assert_ok(vane_lab_workers_run(&none, 0, 2));
}

static vane_status fail_at_five(void *user, int64_t task, const vane_lab_mouth *mouth) {
  (void)user;
  if (task == 5)
    return vane_fail(VANE_ERR_DATA, "task %d has no data", (int)task);
  if (task > 5)
    pause(); /* until it is ended */
  return vane_lab_say(mouth, "well");
}

static vane_status count_lines(void *user, int64_t task, const char *line) {
  heard *own = user;
  assert_true(task < 5);
  assert_string_equal(line, "well");
  own->n++;
  return VANE_OK;
}

static void a_failure_ends_all_and_keeps_its_words(void **state) {
  (void)state;
  heard all = {.n = 0};
  const vane_lab_workers workers = {fail_at_five, count_lines, &all};
  assert_fails(vane_lab_workers_run(&workers, N_TASKS, 3), VANE_ERR_DATA, "task 5 has no data");
  assert_in_range(all.n, 3, 5); /* two may still have been on their way */
}

static vane_status die_by_signal(void *user, int64_t task, const vane_lab_mouth *mouth) {
  (void)user;
  (void)task;
  (void)mouth;
  raise(SIGKILL);
  return VANE_OK;
}

static void a_death_is_a_failure(void **state) {
  (void)state;
  heard all = {.n = 0};
  const vane_lab_workers workers = {die_by_signal, count_lines, &all};
  assert_fails(vane_lab_workers_run(&workers, 1, 1), VANE_ERR_IO, "signal 9");
}

static vane_status refuse(void *user, int64_t task, const char *line) {
  (void)user;
  (void)task;
  return vane_fail(VANE_ERR_FORMAT, "what is '%s'?", line);
}

static void a_listener_may_fail_too(void **state) {
  (void)state;
  const vane_lab_workers workers = {fail_at_five, refuse, NULL};
  assert_fails(vane_lab_workers_run(&workers, 3, 2), VANE_ERR_FORMAT, "what is 'well'?");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_line_of_every_task_is_heard_in_order),
      cmocka_unit_test(a_failure_ends_all_and_keeps_its_words),
      cmocka_unit_test(a_death_is_a_failure),
      cmocka_unit_test(a_listener_may_fail_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
