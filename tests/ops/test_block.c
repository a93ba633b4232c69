/* Conformance of planning a block of parameters. */
#include <string.h>

#include "ops/side.h"

static void check_plan(check *c) {
  vane_segment segments[] = {
      {32, 37, VANE_SHARED, 1}, {80, 0, VANE_LOSS_ANGLE, 0}, {80, 5, VANE_LOSS_POSITION, 0}};
  vane_segment before[3];
  memcpy(before, segments, sizeof before);
  for (int64_t n = 0; n <= 3; ++n) {
    static const int64_t counts[] = {0, 37, 48, 53};
    vane_block *block = NULL;
    check_ok(c->subject->block.plan(c->subject, segments, n, &block));
    memset(segments, 0, sizeof segments); /* the block has its own */
    assert_int_equal(block->n_segments, n);
    assert_int_equal(block->count, counts[n]);
    for (int64_t i = 0; i < n; ++i)
      assert_memory_equal(&block->segments[i], &before[i], sizeof before[i]);
    c->subject->block.destroy(c->subject, block);
    memcpy(segments, before, sizeof segments);
  }
  c->subject->block.destroy(c->subject, NULL);
}

static void check_refused(check *c) {
  static const struct {
    vane_segment segments[2];
    const char *because;
  } wrong[] = {
      {{{0, 16, VANE_SHARED, 1}, {15, 1, VANE_SHARED, 1}}, "segment 1 begins at 15, inside"},
      {{{16, 4, VANE_SHARED, 1}, {0, 4, VANE_SHARED, 1}}, "segment 1 begins at 0, before"},
      {{{-16, 4, VANE_SHARED, 1}, {0, 4, VANE_SHARED, 1}}, "segment 0 begins at -16"},
      {{{0, 4, VANE_SHARED, 1}, {16, -1, VANE_SHARED, 1}}, "segment 1 begins at 16 and has -1"},
      {{{0, 4, -1, 1}, {16, 4, VANE_SHARED, 1}}, "segment 0 belongs to no task"},
      {{{0, 4, VANE_SHARED, 1}, {16, 4, VANE_SHARED + 1, 1}}, "segment 1 belongs to no task"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
    vane_block *block = NULL;
    assert_int_equal(c->subject->block.plan(c->subject, wrong[i].segments, 2, &block),
                     VANE_ERR_ARGUMENT);
    assert_null(block);
    assert_non_null(strstr(vane_error_get()->message, wrong[i].because));
  }
}

int main(void) {
  const check_entry entries[] = {CHECK(check_plan), CHECK(check_refused)};
  return check_run("block", entries, sizeof entries / sizeof entries[0]);
}
