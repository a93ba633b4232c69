/* Black boxes in a run's folder, and what going back to an older checkpoint leaves of a run. */
#include "scratch.h"

#include "base/file.h"
#include "store/boxes.h"
#include "store/run.h"

static vane_run *create(const scratch *area, int64_t keep) {
  char folder[100];
  vane_run *run;
  snprintf(folder, sizeof folder, "%s/run", area->folder);
  assert_ok(vane_run_create(folder, "seed: 1\n", keep, &run));
  return run;
}

static void save(vane_run *run, int64_t step, bool best) {
  float value = (float)step;
  vane_safetensor tensor = {
      .name = "w", .n_dims = 1, .dims = {1}, .dtype = "F32", .data = &value, .bytes = sizeof value};
  vane_metric metric = {"loss/total", (double)step};
  assert_ok(vane_run_log(run, step, &metric, 1));
  assert_ok(vane_run_save(run, step, best, &tensor, 1, NULL, 0));
}

static void assert_text(scratch *area, const char *name, const char *expected) {
  unsigned char *text;
  size_t n_bytes;
  assert_ok(vane_file_read(scratch_path(area, name), &text, &n_bytes));
  assert_string_equal((const char *)text, expected);
  free(text);
}

static ino_t inode_of(scratch *area, const char *name) {
  struct stat facts;
  assert_int_equal(stat(scratch_path(area, name), &facts), 0);
  return facts.st_ino;
}

static void a_box_holds_its_facts_and_the_checkpoint(void **state) {
  scratch *area = *state;
  vane_run *run = create(area, 1);
  save(run, 10, false);
  assert_ok(vane_run_write_box(run, "step-00000011", 10, "{\"a\": 1}", 3));
  assert_int_equal(inode_of(area, "run/boxes/step-00000011/" VANE_BOX_CHECKPOINT),
                   inode_of(area, "run/checkpoints/step-00000010.safetensors"));
  save(run, 20, false); /* the numbered one goes, the box's stays */
  assert_false(vane_file_exists(scratch_path(area, "run/checkpoints/step-00000010.safetensors")));
  assert_true(vane_file_exists(scratch_path(area, "run/boxes/step-00000011/before.safetensors")));
  /* Written again, as after a resume. */
  assert_ok(vane_run_write_box(run, "step-00000011", 20, "{\"a\": 2}", 3));
  assert_text(area, "run/boxes/step-00000011/box.json", "{\"a\": 2}");
  assert_int_equal(inode_of(area, "run/boxes/step-00000011/" VANE_BOX_CHECKPOINT),
                   inode_of(area, "run/checkpoints/step-00000020.safetensors"));
  /* Without a checkpoint none is left from before. */
  assert_ok(vane_run_write_box(run, "step-00000011", -1, "{}", 3));
  assert_false(vane_file_exists(scratch_path(area, "run/boxes/step-00000011/before.safetensors")));
  assert_int_equal(vane_run_write_box(run, "step-00000012", 11, "{}", 3), VANE_ERR_IO);
  vane_run_close(run);
}

static void the_newest_boxes_stay(void **state) {
  scratch *area = *state;
  char folder[100];
  snprintf(folder, sizeof folder, "%s/boxes", area->folder);
  assert_ok(vane_boxes_write(folder, "step-00000030", NULL, "{}", 2));
  assert_ok(vane_boxes_write(folder, "step-00000040", NULL, "{}", 2));
  scratch_put(area, "boxes/notes.txt", "mine", 4);
  assert_ok(vane_boxes_write(folder, "step-00000050", NULL, "{}", 2));
  assert_false(vane_folder_exists(scratch_path(area, "boxes/step-00000030")));
  assert_true(vane_folder_exists(scratch_path(area, "boxes/step-00000040")));
  /* The one just written stays, also where a rollback made its step a lower one. */
  assert_ok(vane_boxes_write(folder, "step-00000020-r1", NULL, "{}", 2));
  assert_false(vane_folder_exists(scratch_path(area, "boxes/step-00000040")));
  assert_true(vane_folder_exists(scratch_path(area, "boxes/step-00000020-r1")));
  assert_true(vane_folder_exists(scratch_path(area, "boxes/step-00000050")));
  assert_ok(vane_boxes_write(folder, "step-00000060", NULL, "{}", 1));
  assert_false(vane_folder_exists(scratch_path(area, "boxes/step-00000050")));
  assert_true(vane_file_exists(scratch_path(area, "boxes/notes.txt")));
}

static void going_back_leaves_what_was_there(void **state) {
  scratch *area = *state;
  static const char *const lines = "{\"step\": 0, \"loss\": {\"total\": 0.0}}\n"
                                   "{\"step\": 10, \"loss\": {\"total\": 10.0}}\n";
  vane_run *run = create(area, 99);
  char *path;
  int64_t found;
  for (int64_t step = 0; step <= 40; step += 10)
    save(run, step, step == 10 || step == 30);
  assert_ok(vane_run_find_step(run, 19, &found));
  assert_int_equal(found, 10);
  assert_ok(vane_run_find_step(run, 10, &found));
  assert_int_equal(found, 10);
  assert_ok(vane_run_find_step(run, -1, &found));
  assert_int_equal(found, -1);
  assert_ok(vane_run_step_path(run, 20, &path));
  assert_string_equal(path, scratch_path(area, "run/checkpoints/step-00000020.safetensors"));
  free(path);
  save(run, 20, false); /* `last` points there, as a rollback begins */
  assert_ok(vane_run_roll_back(run, 20, 10));
  assert_true(vane_file_exists(scratch_path(area, "run/checkpoints/step-00000020.safetensors")));
  assert_false(vane_file_exists(scratch_path(area, "run/checkpoints/step-00000030.safetensors")));
  assert_false(vane_file_exists(scratch_path(area, "run/checkpoints/step-00000040.safetensors")));
  assert_int_equal(inode_of(area, "run/checkpoints/best.safetensors"),
                   inode_of(area, "run/checkpoints/step-00000010.safetensors"));
  assert_int_equal(inode_of(area, "run/checkpoints/last.safetensors"),
                   inode_of(area, "run/checkpoints/step-00000020.safetensors"));
  /* Without a best one there is none any more; and the metrics go on behind the cut. */
  assert_ok(vane_run_roll_back(run, 10, 0));
  assert_false(vane_file_exists(scratch_path(area, "run/checkpoints/best.safetensors")));
  assert_text(area, "run/metrics.jsonl", lines);
  vane_metric metric = {"loss/total", 0.5};
  assert_ok(vane_run_log(run, 20, &metric, 1));
  vane_run_close(run);
  char longer[200];
  snprintf(longer, sizeof longer, "%s{\"step\": 20, \"loss\": {\"total\": 0.5}}\n", lines);
  assert_text(area, "run/metrics.jsonl", longer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scratch_test(a_box_holds_its_facts_and_the_checkpoint),
      scratch_test(the_newest_boxes_stay),
      scratch_test(going_back_leaves_what_was_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
