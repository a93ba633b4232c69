/* Records that poison a step, found in the stream twice, far apart: what skipping and rolling back
 * leave in the weights, the metrics, the log and the black boxes, also across a resume. */
#include <dirent.h>
#include <jansson.h>

#include "flow/small.h"

#include "base/file.h"
#include "data/record.h"
#include "data/source.h"
#include "format/tfrecord.h"
#include "store/files.h"
#include "train/loop.h"
#include "train/replay.h"

/* An epoch later the same records come again. */
enum {
  BATCH = 4,
  FIRST_BAD = 11, /* step: then 13, 15 */
#ifdef VANE_SIMULATED
  LONG_EPOCH = 20, /* steps; each takes its time there */
#else
  LONG_EPOCH = 500,
#endif
  SHORT_EPOCH = 20
};

static int64_t steps_of(int64_t epoch) {
  return FIRST_BAD + epoch + 9;
}

/* --- data --- */

/* The labels of record `index`, where it is one of three: a magnitude of which there is no
 * logarithm (its loss is a NaN), a position whose square is infinite as a float, and one whose loss
 * is about 1e12. */
static void poison(int64_t index, vane_labels *labels) {
  int64_t step = index / BATCH + 1;
  if (index % BATCH != 2 || step < FIRST_BAD || step > FIRST_BAD + 4 || (step - FIRST_BAD) % 2)
    return;
  labels->present = 1;
  labels->known =
      VANE_LABEL_PRESENT | VANE_LABEL_ANGLE | VANE_LABEL_MAGNITUDE | VANE_LABEL_POSITION;
  labels->magnitude = step == FIRST_BAD ? -1 : 1;
  if (step > FIRST_BAD)
    labels->x = step == FIRST_BAD + 2 ? 1e30f : 1e7f;
}

static void write_records(const scratch *area, int64_t epoch) {
  static const char *const count[] = {"data.train.count=4000"};
  char path[128];
  vane_config config;
  vane_source *source;
  vane_atomic_file *file;
  small_configure(&config, count, 1);
  snprintf(path, sizeof path, "%s/train.tfrecord", area->folder);
  assert_ok(vane_source_open(&config, false, NULL, &source));
  assert_ok(vane_atomic_file_open(path, &file));
  for (int64_t i = 0; i < epoch * BATCH; i++) {
    uint8_t pixels[20 * 20];
    vane_labels labels;
    unsigned char *bytes;
    size_t n_bytes;
    vane_origin origin = {.index = i, .draw = (uint64_t)i};
    assert_ok(vane_source_read(source, origin, pixels, &labels));
    poison(i, &labels);
    assert_ok(vane_record_print(&config, pixels, &labels, &bytes, &n_bytes));
    assert_ok(vane_tfrecord_write(file, bytes, n_bytes));
    free(bytes);
  }
  assert_ok(vane_atomic_file_commit(file));
  vane_source_close(source);
}

/* --- runs --- */

/* What a run said. */
typedef struct said {
  char text[20000];
  size_t used;
} said;

static void listen(void *user, vane_log_level level, const char *text) {
  said *heard = user;
  (void)level;
  heard->used +=
      (size_t)snprintf(heard->text + heard->used, sizeof heard->text - heard->used, "%s\n", text);
  assert_true(heard->used < sizeof heard->text);
}

static void configure(const scratch *area, const char *const *settings, int64_t epoch,
                      vane_config *config) {
  char path[200];
  static const char *const all[] = {"data.train.source=tfrecord",
                                    "data.train.count=0",
                                    "data.shuffle=false",
                                    "data.test.source=none",
                                    "model.heads.magnitude.log=true",
                                    "train.batch=4",
                                    "device.threads=1",
                                    "train.log_every=5",
                                    "train.save_every=10",
                                    "train.keep=99",
                                    "train.spike.window=8",
                                    "train.spike.rollback_steps=1"};
  small_configure(config, all, sizeof all / sizeof *all);
  snprintf(path, sizeof path, "data.train.path=%s/train.tfrecord", area->folder);
  assert_ok(vane_config_set(config, path));
  config->train_steps = steps_of(epoch);
  for (int i = 0; i < 2; i++)
    assert_ok(vane_config_set(config, settings[i]));
}

/* Trains in a fresh folder, or goes on with the run that is there, with the settings of its
 * checkpoint. */
static vane_status train(const vane_config *config, const char *folder, said *heard) {
  char path[300];
  vane_trainer *trainer;
  vane_run *run;
  vane_best best = {0};
  vane_log log = {listen, heard};
  if (vane_folder_exists(folder)) {
    vane_checkpoint *checkpoint;
    assert_ok(vane_run_find_checkpoint(folder, false, path, sizeof path));
    assert_ok(vane_checkpoint_open(path, &checkpoint));
    assert_ok(vane_trainer_create(vane_checkpoint_config(checkpoint),
                                  vane_checkpoint_choices(checkpoint), &trainer));
    assert_ok(vane_checkpoint_restore(checkpoint, trainer));
    assert_ok(vane_run_resume(folder, trainer->step, config->train_keep, &run));
    best = vane_checkpoint_best(checkpoint);
    vane_checkpoint_close(checkpoint);
  } else {
    assert_ok(vane_trainer_create(config, NULL, &trainer));
    assert_ok(vane_network_draw(trainer->network));
    assert_ok(vane_run_create(folder, "seed: 1\n", config->train_keep, &run));
  }
  vane_status status = vane_train(trainer, run, best, &log, NULL);
  vane_run_close(run);
  vane_trainer_destroy(trainer);
  return status;
}

/* The run of `folder` goes on from its checkpoint of `step`, as after a kill. */
static void set_back(const char *folder, int64_t step) {
  char from[300], last[300];
  snprintf(from, sizeof from, "%s/checkpoints/step-%08lld.safetensors", folder, (long long)step);
  snprintf(last, sizeof last, "%s/checkpoints/last.safetensors", folder);
  assert_int_equal(unlink(last), 0);
  assert_int_equal(link(from, last), 0);
}

static void assert_same_end(const char *folder_a, const char *folder_b, int64_t epoch) {
  char path_a[300], path_b[300];
  snprintf(path_a, sizeof path_a, "%s/checkpoints/step-%08lld.safetensors", folder_a,
           (long long)steps_of(epoch));
  snprintf(path_b, sizeof path_b, "%s/checkpoints/step-%08lld.safetensors", folder_b,
           (long long)steps_of(epoch));
  small_same_tensors(path_a, path_b);
}

/* metrics.jsonl without what the clock says. */
static char *metrics_of(const char *folder) {
  char path[300], line[8192];
  char *text = calloc(1, 400000);
  snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  assert_non_null(text);
  size_t used = 0;
  while (fgets(line, sizeof line, file)) {
    json_t *object = json_loads(line, 0, NULL);
    assert_non_null(object);
    assert_int_equal(json_object_del(object, "speed"), 0);
    char *left = json_dumps(object, JSON_REAL_PRECISION(17) | JSON_SORT_KEYS);
    used += (size_t)sprintf(text + used, "%s\n", left);
    assert_true(used < 390000);
    free(left);
    json_decref(object);
  }
  fclose(file);
  return text;
}

static void assert_same_metrics(const char *folder_a, const char *folder_b) {
  char *a = metrics_of(folder_a), *b = metrics_of(folder_b);
  assert_string_equal(a, b);
  free(a);
  free(b);
}

/* --- skipping --- */

static const char *const skipping[] = {"train.on_nonfinite=skip", "train.spike.mode=skip"};

static void box_path(char *path, size_t n_bytes, const char *folder, int64_t step) {
  snprintf(path, n_bytes, "%s/boxes/step-%08lld", folder, (long long)step);
}

static void assert_same_box(const char *folder_a, const char *folder_b, int64_t step) {
  char path[400], box[300];
  unsigned char *a, *b;
  size_t n_a, n_b;
  box_path(box, sizeof box, folder_a, step);
  snprintf(path, sizeof path, "%s/box.json", box);
  assert_ok(vane_file_read(path, &a, &n_a));
  box_path(box, sizeof box, folder_b, step);
  snprintf(path, sizeof path, "%s/box.json", box);
  assert_ok(vane_file_read(path, &b, &n_b));
  assert_int_equal(n_a, n_b);
  assert_memory_equal(a, b, n_a);
  free(a);
  free(b);
}

/* Each of the three, an epoch apart, is told of by step, loss, file and record. */
static void assert_all_named(const char *log) {
  for (int turn = 0; turn < 2; turn++)
    for (int i = 0; i < 3; i++) {
      int step = FIRST_BAD + 2 * i + turn * LONG_EPOCH;
      char words[200];
      snprintf(words, sizeof words, i < 2 ? "step %d: %s is not finite" : "step %d: the loss leaps",
               step, i ? "position" : "magnitude");
      const char *line = strstr(log, words);
      if (!line)
        fail_msg("\"%s\" is not in the log:\n%s", words, log);
      snprintf(words, sizeof words, "record %d ", (FIRST_BAD + 2 * i - 1) * BATCH + 2);
      const char *end = strchr(line, '\n'), *named = strstr(line, words);
      if (!named || named > end)
        fail_msg("\"%s\" is not in the line of step %d:\n%s", words, step, log);
    }
}

static void poisoned_steps_are_skipped_and_named_across_a_resume(void **state) {
  const scratch *area = *state;
  static said whole_said, parts_said, resumed_said;
  char whole[128], parts[128];
  vane_config config;
  write_records(area, LONG_EPOCH);
  configure(area, skipping, LONG_EPOCH, &config);
  snprintf(whole, sizeof whole, "%s/whole", area->folder);
  snprintf(parts, sizeof parts, "%s/parts", area->folder);
  whole_said.used = parts_said.used = 0;
  assert_ok(train(&config, whole, &whole_said));
  assert_ok(train(&config, parts, &parts_said));
  assert_all_named(whole_said.text);
  assert_string_equal(whole_said.text, parts_said.text);
  /* Between the two epochs, and so shortly before the second one's that the checkpoint must know of
   * the steps before it. */
  static const int64_t resumed_from[] = {20, 10 + LONG_EPOCH};
  for (int i = 0; i < 2; i++) {
    resumed_said.used = 0;
    set_back(parts, resumed_from[i]);
    assert_ok(train(&config, parts, &resumed_said));
    assert_same_end(whole, parts, LONG_EPOCH);
    assert_same_metrics(whole, parts);
    /* What the resumed session says ends what the whole run said. */
    assert_true(resumed_said.used > 0 && resumed_said.used < whole_said.used);
    assert_string_equal(whole_said.text + whole_said.used - resumed_said.used, resumed_said.text);
  }
  for (int turn = 0; turn < 2; turn++)
    for (int i = 0; i < 3; i++)
      assert_same_box(whole, parts, FIRST_BAD + 2 * i + turn * LONG_EPOCH);
}

/* The bits of weights and moments before and behind each poisoned step. */
static void a_skipped_step_writes_nothing(void **state) {
  const scratch *area = *state;
  vane_config config;
  vane_trainer *trainer;
  write_records(area, SHORT_EPOCH);
  configure(area, skipping, SHORT_EPOCH, &config);
  assert_ok(vane_trainer_create(&config, NULL, &trainer));
  assert_ok(vane_network_draw(trainer->network));
  small_train(trainer, FIRST_BAD - 1);
  for (int i = 0; i < 5; i++) {
    int64_t count;
    void *blocks[] = {trainer->network->weights, trainer->m, trainer->v};
    float *before[3];
    for (int b = 0; b < 3; b++)
      before[b] = small_read(trainer, blocks[b], &count);
    small_train(trainer, 1);
    assert_int_equal(small_record(trainer).skip, i % 2 == 0);
    for (int b = 0; b < 3; b++) {
      float *after = small_read(trainer, blocks[b], &count);
      int moved = memcmp(before[b], after, (size_t)count * sizeof *after) != 0;
      assert_int_equal(moved, i % 2);
      free(before[b]);
      free(after);
    }
  }
  vane_trainer_destroy(trainer);
}

/* --- black boxes --- */

static void boxes_give_the_same_bits_again(void **state) {
  const scratch *area = *state;
  static said heard;
  char folder[128], box[300], path[400], words[100];
  vane_config config;
  write_records(area, SHORT_EPOCH);
  configure(area, skipping, SHORT_EPOCH, &config);
  config.train_steps = FIRST_BAD + 9;
  snprintf(folder, sizeof folder, "%s/run", area->folder);
  heard.used = 0;
  assert_ok(train(&config, folder, &heard));
  for (int i = 0; i < 3; i++) {
    vane_replay replay;
    int step = FIRST_BAD + 2 * i;
    box_path(box, sizeof box, folder, step);
    assert_ok(vane_replay_box(box, NULL, &replay));
    assert_int_equal(replay.from, 10);
    assert_int_equal(replay.step, step);
    assert_true(replay.all_same);
    assert_true(isnan(replay.total) == (i == 0));
    snprintf(words, sizeof words, "record %d ", (step - 1) * BATCH + 2);
    assert_non_null(strstr(replay.examples[0].text, words));
    assert_int_equal(replay.n_examples, BATCH);
    if (i == 2)
      assert_true(replay.examples[0].contribution > 0.99 * replay.total);
  }
  /* A box that says something else is found out. */
  unsigned char *facts;
  size_t n_bytes;
  vane_replay replay;
  snprintf(path, sizeof path, "%s/box.json", box);
  assert_ok(vane_file_read(path, &facts, &n_bytes));
  char *digit = strstr(strstr((char *)facts, "loss_bits"), "0x") + 17;
  *digit = *digit == '0' ? '1' : '0';
  assert_ok(vane_file_replace(path, facts, n_bytes));
  free(facts);
  assert_ok(vane_replay_box(box, NULL, &replay));
  assert_false(replay.all_same);
  assert_int_equal(remove(path), 0);
  assert_int_equal(vane_replay_box(box, NULL, &replay), VANE_ERR_FORMAT);
}

/* --- rolling back --- */

static const char *const rolling_back[] = {"train.on_nonfinite=rollback",
                                           "train.spike.mode=rollback"};

static void read_config(const char *folder, vane_config *config) {
  char path[300];
  vane_checkpoint *checkpoint;
  assert_ok(vane_run_find_checkpoint(folder, false, path, sizeof path));
  assert_ok(vane_checkpoint_open(path, &checkpoint));
  *config = *vane_checkpoint_config(checkpoint);
  vane_checkpoint_close(checkpoint);
}

/* The bad batches are passed over one after the other, in both epochs; the run ends in the bits of
 * one that was told from the start; so does one that was set back before the first of them, and
 * between. */
static void a_rolled_back_run_never_saw_those_records(void **state) {
  const scratch *area = *state;
  static said heard, told_heard;
  static const int64_t resumed_from[] = {0, 10, 20};
  char back[128], told[128];
  vane_config config, end;
  write_records(area, SHORT_EPOCH);
  configure(area, rolling_back, SHORT_EPOCH, &config);
  snprintf(back, sizeof back, "%s/back", area->folder);
  snprintf(told, sizeof told, "%s/told", area->folder);
  heard.used = told_heard.used = 0;
  assert_ok(train(&config, back, &heard));
  read_config(back, &end);
  /* In the second epoch batches lie across the first ones' places. */
  assert_int_equal(end.n_data_train_passed_over, 12);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(end.data_train_passed_over[2 * i], (FIRST_BAD + 2 * i - 1) * BATCH);
    assert_int_equal(end.data_train_passed_over[2 * i + 1], BATCH);
    assert_int_equal(end.data_train_passed_over[6 + 2 * i],
                     SHORT_EPOCH * BATCH + (FIRST_BAD + 2 * i - 1) * BATCH);
  }
  assert_non_null(strstr(heard.text, "rolled back to step 10 (1 of at most 10), past 4 records "
                                     "from place 40 of the stream on"));
  memcpy(config.data_train_passed_over, end.data_train_passed_over,
         sizeof end.data_train_passed_over);
  config.n_data_train_passed_over = end.n_data_train_passed_over;
  assert_ok(train(&config, told, &told_heard));
  assert_int_equal(told_heard.used, 0);
  assert_same_end(back, told, SHORT_EPOCH);
  assert_same_metrics(back, told);
  for (int i = 0; i < 3; i++) {
    heard.used = 0;
    set_back(back, resumed_from[i]);
    assert_ok(train(&config, back, &heard));
    assert_same_end(back, told, SHORT_EPOCH);
    assert_same_metrics(back, told);
  }
}

#ifndef VANE_SIMULATED /* the host's affair alone */

/* More records than the batch: up to the bad one, but none that the checkpoint has seen. */
static void more_records_are_passed_over(void **state) {
  const scratch *area = *state;
  static said heard;
  static const char *const counts[] = {"train.spike.skip_records=10",
                                       "train.spike.skip_records=1000"};
  static const int64_t first[] = {15 * BATCH - 10, 10 * BATCH};
  write_records(area, SHORT_EPOCH);
  for (int i = 0; i < 2; i++) {
    char folder[128];
    vane_config config, end;
    configure(area, rolling_back, SHORT_EPOCH, &config);
    assert_ok(vane_config_set(&config, counts[i]));
    assert_ok(vane_config_set(&config, "train.on_nonfinite=skip"));
    config.train_steps = 22;
    snprintf(folder, sizeof folder, "%s/run-%d", area->folder, i);
    heard.used = 0;
    assert_ok(train(&config, folder, &heard));
    read_config(folder, &end);
    assert_int_equal(end.n_data_train_passed_over, 2);
    assert_int_equal(end.data_train_passed_over[0], first[i]);
    assert_int_equal(end.data_train_passed_over[0] + end.data_train_passed_over[1], 15 * BATCH);
  }
}

static void rollbacks_end(void **state) {
  const scratch *area = *state;
  static said heard;
  char folder[128], path[300];
  vane_config config;
  write_records(area, SHORT_EPOCH);
  configure(area, rolling_back, SHORT_EPOCH, &config);
  config.train_spike_max_rollbacks = 2;
  snprintf(folder, sizeof folder, "%s/few", area->folder);
  heard.used = 0;
  assert_fails(train(&config, folder, &heard), VANE_ERR_NUMERIC, "train.spike.max_rollbacks");
  assert_message_contains("the loss leaps");
  assert_message_contains("record");
  snprintf(path, sizeof path, "%s/boxes/step-%08d-r2/box.json", folder, FIRST_BAD + 2);
  assert_true(vane_file_exists(path)); /* two batches before it are gone, so it came two earlier */
  /* The only checkpoint is too young. */
  configure(area, rolling_back, SHORT_EPOCH, &config);
  config.train_keep = 1;
  config.train_spike_rollback_steps = 5;
  snprintf(folder, sizeof folder, "%s/young", area->folder);
  heard.used = 0;
  assert_fails(train(&config, folder, &heard), VANE_ERR_NUMERIC, "train.keep");
}

static int count_boxes(const char *folder) {
  char path[300];
  int n = 0;
  snprintf(path, sizeof path, "%s/boxes", folder);
  DIR *entries = opendir(path);
  while (entries && readdir(entries))
    n++;
  if (entries)
    closedir(entries);
  return n - (entries ? 2 : 0);
}

static void boxes_are_bounded(void **state) {
  const scratch *area = *state;
  static said heard;
  vane_config config;
  write_records(area, SHORT_EPOCH);
  configure(area, skipping, SHORT_EPOCH, &config);
  config.train_steps = FIRST_BAD + 9;
  for (int keep = 0; keep < 4; keep++) {
    char folder[128], box[300];
    snprintf(folder, sizeof folder, "%s/keep-%d", area->folder, keep);
    config.train_spike_boxes = keep;
    heard.used = 0;
    assert_ok(train(&config, folder, &heard));
    assert_int_equal(count_boxes(folder), keep);
    box_path(box, sizeof box, folder, FIRST_BAD + 4);
    assert_int_equal(vane_folder_exists(box), keep > 0); /* the newest stay */
  }
}

#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      scratch_test(poisoned_steps_are_skipped_and_named_across_a_resume),
      scratch_test(a_skipped_step_writes_nothing),
      scratch_test(boxes_give_the_same_bits_again),
      scratch_test(a_rolled_back_run_never_saw_those_records),
#ifndef VANE_SIMULATED /* the host's affair alone */
      scratch_test(boxes_are_bounded),
      scratch_test(more_records_are_passed_over),
      scratch_test(rollbacks_end),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
