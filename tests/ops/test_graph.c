/* Conformance of graph.run: recorded or not, every call does the body's work once, on what memory
 * holds at that moment. */
#include "base/error.h"
#include "ops/side.h"

enum { COUNT = 1000 };

typedef struct sum_run {
  vane_device *device;
  void *total, *part;
} sum_run;

static vane_status add_twice(void *user) {
  const sum_run *run = user;
  vane_device *device = run->device;
  VANE_TRY(device->elementwise.accumulate(device, run->total, run->part, COUNT));
  return device->elementwise.accumulate(device, run->total, run->part, COUNT);
}

static void check_run_often(check *c) {
  vane_device *device = c->subject;
  side s = side_begin(device);
  double *zeros = check_array(c, COUNT), *total = check_array(c, COUNT);
  double *expected = check_array(c, COUNT);
  sum_run run = {
      .device = device, .total = side_put(&s, zeros, COUNT), .part = side_reals(&s, COUNT)};
  vane_graph *graph = NULL;
  for (int turn = 0; turn < 5; ++turn) {
    const double *part = check_powers(c, COUNT);
    float values[COUNT];
    for (int i = 0; i < COUNT; ++i) {
      values[i] = (float)part[i];
      expected[i] += 2.0 * part[i];
    }
    check_ok(device->memory.put(device, run.part, values, COUNT));
    check_ok(device->graph.run(device, &graph, add_twice, &run));
    side_read(&s, run.total, total, COUNT);
    assert_true(device->graph.length(graph) == (device->asynchronous && turn > 0 ? 2 : 0));
    check_label(c, "run %d", turn);
    check_equal(c, "accumulate", "total", total, expected, COUNT);
  }
  device->graph.destroy(device, graph);
  device->graph.destroy(device, NULL);
  assert_true(device->graph.length(NULL) == 0);
  side_end(&s);
}

static vane_status fail_always(void *user) {
  (void)user;
  return vane_fail(VANE_ERR_NUMERIC, "as the test wants it");
}

/* And the device works on. */
static void check_failure(check *c) {
  vane_device *device = c->subject;
  vane_graph *graph = NULL;
  for (int turn = 0; turn < 3; ++turn)
    assert_int_equal(device->graph.run(device, &graph, fail_always, NULL), VANE_ERR_NUMERIC);
  device->graph.destroy(device, graph);
  check_run_often(c);
}

int main(void) {
  const check_entry entries[] = {CHECK(check_run_often), CHECK(check_failure)};
  return check_run("graph", entries, sizeof entries / sizeof entries[0]);
}
