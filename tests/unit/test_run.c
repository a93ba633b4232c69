/* A run's folder: what is in it after every call, and after a kill between any two steps of one. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "format/events.h"
#include "format/tfrecord.h"
#include "store/run.h"

#define PATH_BYTES 256

typedef struct scratch {
  char root[32];   /* removed at the end */
  char folder[64]; /* of the run, not there at first */
} scratch;

static int make_scratch(void **state) {
  scratch *made = test_malloc(sizeof *made);
  snprintf(made->root, sizeof made->root, "/tmp/vane-run-XXXXXX");
  assert_non_null(mkdtemp(made->root));
  snprintf(made->folder, sizeof made->folder, "%s/a/b[1]", made->root);
  *state = made;
  return 0;
}

/* A run has files and one level of folders; `root` two more. */
static void remove_folder(const char *path) {
  vane_path_list list = {0};
  if (vane_path_list_match(path, &list) == VANE_OK)
    for (size_t i = 0; i < list.n_paths; i++)
      unlink(list.paths[i]);
  vane_path_list_finish(&list);
  rmdir(path);
}

static int remove_scratch(void **state) {
  scratch *made = *state;
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/checkpoints", made->folder);
  remove_folder(path);
  remove_folder(made->folder);
  snprintf(path, sizeof path, "%s/a", made->root);
  remove_folder(path);
  remove_folder(made->root);
  test_free(made);
  return 0;
}

static const char *in_run(const scratch *made, const char *name) {
  static char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%.190s", made->folder, name);
  return path;
}

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void append_file(const char *path, const char *text) {
  FILE *file = fopen(path, "ab");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void assert_contents(const char *path, const char *expected) {
  unsigned char *text = NULL;
  size_t n_bytes = 0;
  assert_int_equal(vane_file_read(path, &text, &n_bytes), VANE_OK);
  assert_string_equal((const char *)text, expected);
  free(text);
}

static vane_run *create(const scratch *made, int64_t keep) {
  vane_run *run = NULL;
  if (vane_run_create(made->folder, "seed: 1\n", keep, &run) != VANE_OK)
    fail_msg("%s", vane_error_get()->message);
  return run;
}

/* A checkpoint whose only number is its step. */
static void save(vane_run *run, int64_t step, bool best) {
  float value = (float)step;
  vane_safetensor tensor = {
      .name = "w", .n_dims = 1, .dims = {1}, .dtype = "F32", .data = &value, .bytes = sizeof value};
  vane_safetensors_text text = {"kind", "test"};
  if (vane_run_save(run, step, best, &tensor, 1, &text, 1) != VANE_OK)
    fail_msg("%s", vane_error_get()->message);
}

static int64_t step_in(const scratch *made, const char *name) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "checkpoints/%s.safetensors", name);
  vane_safetensors_file *file = NULL;
  assert_int_equal(vane_safetensors_open(in_run(made, path), &file), VANE_OK);
  const vane_safetensor *tensor = vane_safetensors_find(file, "w");
  assert_non_null(tensor);
  float value;
  memcpy(&value, tensor->data, sizeof value);
  assert_string_equal(vane_safetensors_text_of(file, "kind"), "test");
  vane_safetensors_close(file);
  return (int64_t)value;
}

static void assert_checkpoint(const scratch *made, const char *name, int64_t step) {
  assert_int_equal(step_in(made, name), step);
}

/* `names` in order, separated by spaces, without ".safetensors". */
static void assert_checkpoints(const scratch *made, const char *names) {
  vane_path_list list = {0};
  assert_int_equal(vane_path_list_match(in_run(made, "checkpoints"), &list), VANE_OK);
  char found[512] = "";
  for (size_t i = 0; i < list.n_paths; i++) {
    const char *name = strrchr(list.paths[i], '/') + 1;
    const char *end = strstr(name, ".safetensors");
    assert_non_null(end);
    size_t used = strlen(found);
    snprintf(found + used, sizeof found - used, "%s%.*s%s", i > 0 ? " " : "", (int)(end - name),
             name, end[strlen(".safetensors")] ? "+" : "");
  }
  assert_string_equal(found, names);
  vane_path_list_finish(&list);
}

static ino_t inode_of(const scratch *made, const char *name) {
  struct stat facts;
  assert_int_equal(stat(in_run(made, name), &facts), 0);
  return facts.st_ino;
}

static void a_run_is_created_once(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 3), *second = NULL;
  assert_string_equal(vane_run_folder(run), made->folder);
  assert_contents(in_run(made, "config.yaml"), "seed: 1\n");
  assert_contents(in_run(made, "metrics.jsonl"), "");
  assert_int_equal(vane_run_create(made->folder, "seed: 2\n", 3, &second), VANE_ERR_ARGUMENT);
  assert_non_null(strstr(vane_error_get()->message, "ended before its first checkpoint"));
  save(run, 0, false);
  vane_run_close(run);
  assert_int_equal(vane_run_create(made->folder, "seed: 2\n", 3, &second), VANE_ERR_ARGUMENT);
  assert_non_null(strstr(vane_error_get()->message, "--resume"));
  assert_non_null(strstr(vane_error_get()->message, made->folder));
  assert_null(second);
  assert_contents(in_run(made, "config.yaml"), "seed: 1\n");
  vane_run_close(NULL);
}

static void a_folder_that_is_no_run_cannot_be_resumed(void **state) {
  const scratch *made = *state;
  vane_run *run = NULL;
  assert_int_equal(vane_run_resume(made->folder, 0, 3, &run), VANE_ERR_ARGUMENT);
  assert_null(run);
  vane_run_close(create(made, 3)); /* no checkpoint yet */
  assert_int_equal(vane_run_resume(made->folder, 0, 3, &run), VANE_ERR_ARGUMENT);
  assert_null(run);
}

/* A kill between making the folders and writing config.yaml leaves no run: the same command works
 * again. */
static void a_create_that_was_killed_can_be_repeated(void **state) {
  const scratch *made = *state;
  assert_int_equal(vane_folder_create(in_run(made, "checkpoints")), VANE_OK);
  write_file(in_run(made, "metrics.jsonl"), "{\"step\": 3}\n");
  write_file(in_run(made, "config.yaml.tmp-1"), "see");
  vane_run_close(create(made, 3));
  assert_contents(in_run(made, "config.yaml"), "seed: 1\n");
  assert_contents(in_run(made, "metrics.jsonl"), "");
}

static void metrics_become_one_nested_line(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 3);
  const vane_metric metrics[] = {{"lr", 1e-3},          {"loss/angle", 0.1},
                                 {"loss/presence", 2},  {"norm/shared/angle", 0},
                                 {"images_per_s", 1e9}, {"bad", (double)INFINITY}};
  assert_int_equal(vane_run_log(run, 50, metrics, 6), VANE_OK);
  assert_int_equal(vane_run_log(run, 9007199254740993, metrics, 1), VANE_OK);
  assert_int_equal(vane_run_log(run, 60, NULL, 0), VANE_OK);
  assert_contents(in_run(made, "metrics.jsonl"),
                  "{\"step\": 50, \"lr\": 0.001, \"loss\": {\"angle\": 0.10000000000000001, "
                  "\"presence\": 2.0}, \"norm\": {\"shared\": {\"angle\": 0.0}}, "
                  "\"images_per_s\": 1000000000.0, \"bad\": null}\n"
                  "{\"step\": 9007199254740993, \"lr\": 0.001}\n"
                  "{\"step\": 60}\n");
  vane_run_close(run);
}

static void tags_that_collide_are_refused(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 3);
  const vane_metric twice[] = {{"a/b", 1}, {"a/b", 2}};
  const vane_metric inside[] = {{"a", 1}, {"a/b", 2}};
  const vane_metric above[] = {{"a/b", 1}, {"a", 2}};
  const vane_metric step[] = {{"step", 1}};
  assert_int_equal(vane_run_log(run, 1, twice, 2), VANE_ERR_ARGUMENT);
  assert_int_equal(vane_run_log(run, 1, inside, 2), VANE_ERR_ARGUMENT);
  assert_int_equal(vane_run_log(run, 1, above, 2), VANE_ERR_ARGUMENT);
  assert_int_equal(vane_run_log(run, 1, step, 1), VANE_ERR_ARGUMENT);
  assert_contents(in_run(made, "metrics.jsonl"), "");
  vane_run_close(run);
}

static void doubles_come_back_with_all_their_bits(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 3);
  const double values[] = {1.0 / 3, 5e-324, 1.7976931348623157e308, -0.1, 123456789.123456789};
  for (size_t i = 0; i < 5; i++)
    assert_int_equal(vane_run_log(run, (int64_t)i, &(vane_metric){"x", values[i]}, 1), VANE_OK);
  vane_run_close(run);
  FILE *file = fopen(in_run(made, "metrics.jsonl"), "rb");
  assert_non_null(file);
  for (size_t i = 0; i < 5; i++) {
    json_t *line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(line);
    double read = json_real_value(json_object_get(line, "x"));
    assert_memory_equal(&read, &values[i], sizeof read);
    json_decref(line);
  }
  fclose(file);
}

/* All scalars of a run's event files as "STEP TAG VALUE; ...". */
static void collect_scalar(void *user, int64_t step, const char *tag, float value) {
  char *text = user;
  size_t used = strlen(text);
  snprintf(text + used, 512 - used, "%lld %s %g; ", (long long)step, tag, (double)value);
}

static void read_events(const scratch *made, char text[512]) {
  vane_path_list list = {0};
  assert_int_equal(vane_path_list_match(made->folder, &list), VANE_OK);
  text[0] = '\0';
  for (size_t i = 0; i < list.n_paths; i++) {
    if (!strstr(list.paths[i], "/events.out.tfevents."))
      continue;
    vane_record_span *spans = NULL;
    int64_t n_spans = 0;
    assert_int_equal(vane_tfrecord_index(list.paths[i], &spans, &n_spans), VANE_OK);
    unsigned char *bytes = NULL;
    size_t n_bytes = 0;
    assert_int_equal(vane_file_read(list.paths[i], &bytes, &n_bytes), VANE_OK);
    for (int64_t r = 0; r < n_spans; r++)
      assert_int_equal(vane_events_parse(bytes + spans[r].offset + VANE_TFRECORD_HEADER_BYTES,
                                         (size_t)spans[r].bytes, collect_scalar, text),
                       VANE_OK);
    free(bytes);
    free(spans);
  }
  vane_path_list_finish(&list);
}

static void log_one(vane_run *run, int64_t step, double value) {
  assert_int_equal(vane_run_log(run, step, &(vane_metric){"a/b", value}, 1), VANE_OK);
}

static void resume_cuts_what_came_after_the_checkpoint(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 3);
  for (int64_t step = 1; step <= 4; step++) {
    log_one(run, step, (double)step);
    if (step == 2)
      save(run, 2, false);
  }
  vane_run_close(run);
  char events[512];
  read_events(made, events);
  assert_string_equal(events, "1 a/b 1; 2 a/b 2; 3 a/b 3; 4 a/b 4; ");
  /* Killed within a line, and within a checkpoint. */
  append_file(in_run(made, "metrics.jsonl"), "{\"step\": 2, \"a\"");
  write_file(in_run(made, "checkpoints/step-00000004.safetensors.tmp-1"), "half");
  write_file(in_run(made, "checkpoints/last.safetensors.tmp-1"), "half");
  assert_int_equal(vane_run_resume(made->folder, 2, 3, &run), VANE_OK);
  assert_checkpoints(made, "last step-00000002");
  assert_contents(in_run(made, "metrics.jsonl"),
                  "{\"step\": 1, \"a\": {\"b\": 1.0}}\n{\"step\": 2, \"a\": {\"b\": 2.0}}\n");
  log_one(run, 3, 30);
  vane_run_close(run);
  assert_contents(in_run(made, "metrics.jsonl"),
                  "{\"step\": 1, \"a\": {\"b\": 1.0}}\n{\"step\": 2, \"a\": {\"b\": 2.0}}\n"
                  "{\"step\": 3, \"a\": {\"b\": 30.0}}\n");
  read_events(made, events);
  assert_string_equal(events, "1 a/b 1; 2 a/b 2; 3 a/b 30; ");
}

static void resume_drops_lines_that_are_no_metrics(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 3);
  log_one(run, 1, 1);
  save(run, 9, false);
  vane_run_close(run);
  append_file(in_run(made, "metrics.jsonl"),
              "\n[1]\n{\"step\": \"2\"}\n{\"x\": 2}\nzzz\n{\"step\": 9}\n{\"step\": 10}\n");
  assert_int_equal(vane_run_resume(made->folder, 9, 3, &run), VANE_OK);
  vane_run_close(run);
  assert_contents(in_run(made, "metrics.jsonl"),
                  "{\"step\": 1, \"a\": {\"b\": 1.0}}\n{\"step\": 9}\n");
}

static void resume_takes_a_torn_event_file(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 3);
  log_one(run, 1, 1);
  save(run, 1, false);
  vane_run_close(run);
  vane_path_list list = {0};
  assert_int_equal(vane_path_list_match(made->folder, &list), VANE_OK);
  for (size_t i = 0; i < list.n_paths; i++)
    if (strstr(list.paths[i], "/events.out.tfevents."))
      append_file(list.paths[i], "torn");
  vane_path_list_finish(&list);
  assert_int_equal(vane_run_resume(made->folder, 1, 3, &run), VANE_OK);
  vane_run_close(run);
}

static void the_newest_checkpoints_and_the_best_stay(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 2);
  save(run, 0, false);
  assert_checkpoints(made, "last step-00000000");
  save(run, 100, true);
  assert_true(inode_of(made, "checkpoints/last.safetensors") ==
              inode_of(made, "checkpoints/step-00000100.safetensors"));
  assert_true(inode_of(made, "checkpoints/best.safetensors") ==
              inode_of(made, "checkpoints/step-00000100.safetensors"));
  save(run, 200, false);
  assert_checkpoints(made, "best last step-00000100 step-00000200");
  save(run, 300, false);
  save(run, 134217728, false);
  assert_checkpoints(made, "best last step-00000300 step-134217728");
  assert_checkpoint(made, "best", 100);
  assert_checkpoint(made, "last", 134217728);
  assert_checkpoint(made, "step-00000300", 300);
  vane_run_close(run);
}

static void best_moves_to_a_written_checkpoint(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 2);
  save(run, 1, true);
  save(run, 2, false);
  assert_int_equal(vane_run_mark_best(run, 2), VANE_OK);
  assert_checkpoint(made, "best", 2);
  assert_int_equal(vane_run_mark_best(run, 2), VANE_OK); /* a link to itself */
  assert_checkpoint(made, "best", 2);
  assert_checkpoints(made, "best last step-00000001 step-00000002");
  assert_int_equal(vane_run_mark_best(run, 3), VANE_ERR_IO);
  assert_checkpoint(made, "best", 2);
  assert_checkpoints(made, "best last step-00000001 step-00000002");
  save(run, 2, true); /* the same step anew: a new file under all three names */
  assert_checkpoints(made, "best last step-00000001 step-00000002");
  assert_true(inode_of(made, "checkpoints/last.safetensors") ==
              inode_of(made, "checkpoints/step-00000002.safetensors"));
  vane_run_close(run);
}

/* Killed after the numbered file, before `last`: the leftover lies ahead of the resumed run. It
 * must neither push the resumed run's own files out nor stay once the run has passed it. */
static void a_leftover_ahead_does_no_harm(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 1);
  save(run, 300, false);
  save(run, 100, false); /* last is 100, 300 lies ahead */
  vane_run_close(run);
  assert_checkpoints(made, "last step-00000100 step-00000300");
  assert_int_equal(vane_run_resume(made->folder, 100, 1, &run), VANE_OK);
  save(run, 200, false);
  assert_checkpoints(made, "last step-00000200 step-00000300");
  assert_checkpoint(made, "last", 200);
  save(run, 300, false);
  save(run, 400, false);
  assert_checkpoints(made, "last step-00000400");
  vane_run_close(run);
}

/* Killed between link and rename: the link's own name is there when the same process number comes
 * back. */
static void a_leftover_link_does_no_harm(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 3);
  save(run, 1, false);
  char name[64];
  snprintf(name, sizeof name, "checkpoints/last.safetensors.tmp-%ld", (long)getpid());
  write_file(in_run(made, name), "half");
  save(run, 2, false);
  assert_checkpoint(made, "last", 2);
  assert_checkpoints(made, "last step-00000001 step-00000002");
  vane_run_close(run);
}

static void other_files_among_the_checkpoints_stay(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 1);
  write_file(in_run(made, "checkpoints/step-0000000x.safetensors"), "mine");
  write_file(in_run(made, "checkpoints/step-.safetensors"), "mine");
  write_file(in_run(made, "checkpoints/astep-00000001.safetensors"), "mine");
  save(run, 1, false);
  save(run, 2, false);
  vane_run_close(run);
  assert_int_equal(vane_run_resume(made->folder, 2, 1, &run), VANE_OK);
  assert_checkpoints(made, "astep-00000001 last step- step-00000002 step-0000000x");
  vane_run_close(run);
}

/* A save that fails halfway (here: its file cannot be put in place) leaves `last` as it was. */
static void a_failed_save_leaves_last_alone(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 3);
  save(run, 1, true);
  char blocked[PATH_BYTES];
  snprintf(blocked, sizeof blocked, "%s", in_run(made, "checkpoints/step-00000002.safetensors"));
  assert_int_equal(mkdir(blocked, 0777), 0);
  float value = 2;
  vane_safetensor tensor = {
      .name = "w", .n_dims = 1, .dims = {1}, .dtype = "F32", .data = &value, .bytes = 4};
  assert_int_equal(vane_run_save(run, 2, true, &tensor, 1, NULL, 0), VANE_ERR_IO);
  assert_int_equal(rmdir(blocked), 0);
  assert_checkpoint(made, "last", 1);
  assert_checkpoint(made, "best", 1);
  assert_checkpoints(made, "best last step-00000001");
  vane_run_close(run);
}

/* Logs and saves until it is killed. Says through the pipe that it has begun. */
static void save_without_end(vane_run *run, int64_t step, int started) {
  static const char byte = 0;
  for (;; step++) {
    log_one(run, step, 0);
    save(run, step, true);
    if (write(started, &byte, 1) != 1)
      _exit(1);
  }
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void kill_while_saving(vane_run *run, int64_t step, uint64_t round) {
  int started[2];
  char byte;
  assert_int_equal(pipe(started), 0);
  int64_t begin_ns = now_ns();
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0)
    save_without_end(run, step, started[1]);
  assert_int_equal(read(started[0], &byte, 1), 1);
  /* Up to twice as long as the first save took, so that any part of the next ones is hit. */
  int64_t save_ns = now_ns() - begin_ns;
  int64_t wait_ns = (int64_t)(2 * (double)save_ns * vane_random_uniform(1, 0, round, 0));
  nanosleep(&(struct timespec){wait_ns / 1000000000, wait_ns % 1000000000}, NULL);
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
  close(started[0]);
  close(started[1]);
}

static void a_kill_at_any_moment_leaves_a_run_to_resume(void **state) {
  const scratch *made = *state;
  vane_run *run = create(made, 2);
  save(run, 0, true);
  for (uint64_t round = 0; round < 40; round++) {
    int64_t before = step_in(made, "last");
    kill_while_saving(run, before + 1, round);
    vane_run_close(run);
    int64_t last = step_in(made, "last");
    assert_true(last > before);
    /* Every save was a best one, and `best` is never behind what would be resumed. */
    assert_in_range(step_in(made, "best"), last, last + 1);
    assert_int_equal(vane_run_resume(made->folder, last, 2, &run), VANE_OK);
  }
  int64_t last = step_in(made, "last");
  save(run, last + 1, true);
  save(run, last + 2, true);
  char names[PATH_BYTES];
  snprintf(names, sizeof names, "best last step-%08lld step-%08lld", (long long)last + 1,
           (long long)last + 2);
  assert_checkpoints(made, names);
  vane_run_close(run);
  FILE *file = fopen(in_run(made, "metrics.jsonl"), "rb");
  assert_non_null(file);
  for (int64_t step = 1; step <= last; step++) {
    json_t *line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL);
    assert_int_equal(json_integer_value(json_object_get(line, "step")), step);
    json_decref(line);
  }
  fclose(file);
}

static void a_checkpoint_is_found_by_its_run_or_by_itself(void **state) {
  const scratch *made = *state;
  char found[PATH_BYTES], expected[PATH_BYTES];
  assert_int_equal(vane_run_find_checkpoint(made->folder, true, found, sizeof found), VANE_ERR_IO);
  vane_run *run = create(made, 1);
  assert_int_equal(vane_run_find_checkpoint(made->folder, true, found, sizeof found), VANE_ERR_IO);
  save(run, 1, false);
  snprintf(expected, sizeof expected, "%s", in_run(made, "checkpoints/last.safetensors"));
  assert_int_equal(vane_run_find_checkpoint(made->folder, true, found, sizeof found), VANE_OK);
  assert_string_equal(found, expected);
  assert_int_equal(vane_run_find_checkpoint(expected, true, found, sizeof found), VANE_OK);
  assert_string_equal(found, expected);
  assert_int_equal(vane_run_mark_best(run, 1), VANE_OK);
  assert_int_equal(vane_run_find_checkpoint(made->folder, false, found, sizeof found), VANE_OK);
  assert_string_equal(found, expected);
  snprintf(expected, sizeof expected, "%s", in_run(made, "checkpoints/best.safetensors"));
  assert_int_equal(vane_run_find_checkpoint(made->folder, true, found, sizeof found), VANE_OK);
  assert_string_equal(found, expected);
  size_t n_bytes = strlen(expected) + 1;
  assert_int_equal(vane_run_find_checkpoint(made->folder, true, found, n_bytes), VANE_OK);
  assert_int_equal(vane_run_find_checkpoint(made->folder, true, found, n_bytes - 1),
                   VANE_ERR_ARGUMENT);
  vane_run_close(run);
}

int main(void) {
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
  const struct CMUnitTest tests[] = {
      RUN_TEST(a_run_is_created_once),
      RUN_TEST(a_folder_that_is_no_run_cannot_be_resumed),
      RUN_TEST(a_create_that_was_killed_can_be_repeated),
      RUN_TEST(metrics_become_one_nested_line),
      RUN_TEST(tags_that_collide_are_refused),
      RUN_TEST(doubles_come_back_with_all_their_bits),
      RUN_TEST(resume_cuts_what_came_after_the_checkpoint),
      RUN_TEST(resume_drops_lines_that_are_no_metrics),
      RUN_TEST(resume_takes_a_torn_event_file),
      RUN_TEST(the_newest_checkpoints_and_the_best_stay),
      RUN_TEST(best_moves_to_a_written_checkpoint),
      RUN_TEST(a_leftover_ahead_does_no_harm),
      RUN_TEST(a_leftover_link_does_no_harm),
      RUN_TEST(other_files_among_the_checkpoints_stay),
      RUN_TEST(a_failed_save_leaves_last_alone),
      RUN_TEST(a_kill_at_any_moment_leaves_a_run_to_resume),
      RUN_TEST(a_checkpoint_is_found_by_its_run_or_by_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
