/* The command line as scripts see it: exit statuses, streams, JSON keys, files. */
#include <jansson.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "flow/small.h"

#include "base/file.h"
#include "data/source.h"
#include "format/png.h"

#define VANE VANE_BUILD_FOLDER "/vane"

#define DEGREES_PER_RADIAN 57.295779513082320876798154814105

/* What one call left behind. */
typedef struct outcome {
  int exit_status;
  char *out, *err; /* owned */
} outcome;

static char *slurp(scratch *area, const char *name) {
  unsigned char *text;
  size_t n_bytes;
  assert_ok(vane_file_read(scratch_path(area, name), &text, &n_bytes));
  return (char *)text;
}

/* Runs `vane ARGUMENTS` in the scratch folder. */
static outcome call(scratch *area, const char *arguments) {
  char command[2048];
  int length =
      snprintf(command, sizeof command, "cd %s && %s %s >out 2>err", area->folder, VANE, arguments);
  assert_true(length > 0 && (size_t)length < sizeof command);
  int result = system(command);
  assert_true(WIFEXITED(result));
  return (outcome){WEXITSTATUS(result), slurp(area, "out"), slurp(area, "err")};
}

static void release(outcome *done) {
  free(done->out);
  free(done->err);
}

static void expect(scratch *area, int exit_status, const char *arguments) {
  outcome done = call(area, arguments);
  if (done.exit_status != exit_status)
    fail_msg("vane %s: exit status %d, not %d: %s", arguments, done.exit_status, exit_status,
             done.err);
  release(&done);
}

/* A good call's standard output as JSON. */
static json_t *call_json(scratch *area, const char *arguments) {
  outcome done = call(area, arguments);
  if (done.exit_status != 0)
    fail_msg("vane %s: exit status %d: %s", arguments, done.exit_status, done.err);
  json_error_t error;
  json_t *object = json_loads(done.out, 0, &error);
  if (!object)
    fail_msg("vane %s: not JSON (%s): %s", arguments, error.text, done.out);
  release(&done);
  return object;
}

static void expect_all(const json_t *object, const char *const *keys) {
  for (; *keys; keys++)
    if (!json_object_get(object, *keys))
      fail_msg("no key %s", *keys);
}

#define expect_keys(object, ...) expect_all(object, (const char *const[]){__VA_ARGS__, NULL})

static double number_at(const json_t *object, const char *group, const char *key) {
  const json_t *inner = group ? json_object_get(object, group) : object;
  const json_t *value = json_object_get(inner, key);
  assert_true(json_is_number(value));
  return json_number_value(value);
}

static void put_config(scratch *area) {
  scratch_put(area, "small.yaml", small_config, strlen(small_config));
}

/* --- calls that never begin --- */

static void test_help(void **state) {
  static const char *const calls[] = {
      "--help",       "train --help",       "eval --help",       "predict --help",
      "data --help",  "data make --help",   "data check --help", "inspect --help",
      "bench --help", "doctor --help",      "bench step --help", "bench adam --help",
      "lab --help",   "lab haywire --help", "lab replay --help", "doctor epsilon --help"};
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    outcome done = call(*state, calls[i]);
    assert_int_equal(done.exit_status, 0);
    assert_non_null(strstr(done.out, "usage: vane"));
    if (i > 0)
      assert_non_null(strstr(done.out, "example: vane"));
    assert_string_equal(done.err, "");
    release(&done);
  }
}

static void test_wrong_calls(void **state) {
  static const char *const calls[] = {"",
                                      "fly",
                                      "train",
                                      "train a.yaml b.yaml",
                                      "train a.yaml --resume b",
                                      "eval",
                                      "eval --colour",
                                      "predict",
                                      "predict run",
                                      "predict run a.png --json --csv",
                                      "predict run a.png --limit none",
                                      "predict run a.png --limit",
                                      "data",
                                      "data bake",
                                      "data make small.yaml --out x",
                                      "data make small.yaml --split tests --out x",
                                      "data make small.yaml --split test",
                                      "data make small.yaml --split test --out x --count -1",
                                      "data make small.yaml --split test --out x --set seed=x",
                                      "data check",
                                      "data check small.yaml --set sed=1",
                                      "inspect",
                                      "inspect a b",
                                      "bench",
                                      "bench conveyor",
                                      "bench step",
                                      "bench step small.yaml --batches 3",
                                      "bench step small.yaml --device abacus",
                                      "bench adam small.yaml",
                                      "bench adam --tensors 0",
                                      "bench adam --parameters 10,,3",
                                      "bench adam --parameters 10 --largest 5",
                                      "bench adam --modes adam,eve",
                                      "bench adam --modes ada",
                                      "bench adam --caches hot",
                                      "bench adam --seconds 0",
                                      "bench adam --parameters 2 --tensors 3",
                                      "bench data small.yaml --csv",
                                      "bench data",
                                      "lab",
                                      "lab dance",
                                      "lab haywire now",
                                      "lab haywire --problem regresion",
                                      "lab haywire --remedy adam",
                                      "lab haywire --seeds 0",
                                      "lab haywire --seeds 1001",
                                      "lab haywire --set sed=1",
                                      "lab replay",
                                      "lab replay a b",
                                      "lab remedies",
                                      "lab remedies --out x --json",
                                      "lab remedies --out x --remedy amsgrat",
                                      "doctor who",
                                      "doctor epsilon",
                                      "doctor epsilon a b",
                                      "doctor epsilon --batches 0 a"};
  put_config(*state);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    outcome done = call(*state, calls[i]);
    if (done.exit_status != 2 || done.out[0] || !done.err[0])
      fail_msg("vane %s: exit status %d, out \"%s\", err \"%s\"", calls[i], done.exit_status,
               done.out, done.err);
    release(&done);
  }
}

static void test_failures(void **state) {
  put_config(*state);
  expect(*state, 1, "train none.yaml");
  expect(*state, 1, "eval none");
  expect(*state, 1, "predict none small.yaml");
  expect(*state, 1, "data check none");
  expect(*state, 1, "inspect none");
  expect(*state, 1, "inspect small.yaml");
  expect(*state, 1, "bench step none.yaml");
  expect(*state, 1, "lab replay none");
}

/* --- data --- */

static void test_data(void **state) {
  scratch *area = *state;
  put_config(area);
  expect(area, 0, "data make small.yaml --split train --count 1030 --out shards");
  json_t *good = call_json(area, "data check shards --json");
  expect_keys(good, "files", "records", "bytes", "images", "labels", "n_bad", "bad");
  assert_int_equal((int)number_at(good, NULL, "files"), 2);
  assert_int_equal((int)number_at(good, NULL, "records"), 1030);
  assert_int_equal((int)number_at(good, NULL, "n_bad"), 0);
  double present = number_at(good, "labels", "present");
  assert_true(present + number_at(good, "labels", "absent") == 1030);
  json_decref(good);

  /* One byte of the first record's data, one of the last record's framing lost. */
  const char *path = scratch_path(area, "shards/train-00001-of-00002.tfrecord");
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  assert_int_equal(fseek(file, 20, SEEK_SET), 0);
  int byte = fgetc(file);
  assert_int_equal(fseek(file, 20, SEEK_SET), 0);
  fputc(byte ^ 1, file);
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(truncate(path, size - 1), 0);

  outcome bad = call(area, "data check 'shards/*'");
  assert_int_equal(bad.exit_status, 1);
  assert_non_null(strstr(bad.out, "shards/train-00001-of-00002.tfrecord: record 0 at byte 0: "));
  assert_non_null(strstr(bad.out, "shards/train-00001-of-00002.tfrecord: record 29 at byte "));
  release(&bad);
}

/* --- a run: train, eval, predict, inspect --- */

/* Mean angle error and share of right presences of the predictions in `out`, one object a line, by
 * the labels of the test source. */
static void judge(const char *out, const vane_source *source, double *mae_deg, double *accuracy,
                  double *mae_px) {
  vane_source *readable = (vane_source *)(uintptr_t)source;
  uint8_t pixels[20 * 20];
  int64_t n = 0, n_angles = 0, n_right = 0;
  double angles = 0, distances = 0;
  for (const char *line = out; *line; line = strchr(line, '\n') + 1, n++) {
    json_t *answer = json_loadb(line, strcspn(line, "\n"), 0, NULL);
    assert_non_null(answer);
    expect_keys(answer, "image", "present", "angle_deg", "angle_std_deg", "magnitude", "position");
    vane_labels labels;
    assert_ok(vane_source_read(readable, (vane_origin){.index = n}, pixels, &labels));
    double present = number_at(answer, NULL, "present");
    n_right += (present >= 0.5) == (labels.present != 0.0f);
    if (labels.known & VANE_LABEL_ANGLE) {
      const json_t *position = json_object_get(answer, "position");
      double error =
          number_at(answer, NULL, "angle_deg") - (double)labels.angle * DEGREES_PER_RADIAN;
      angles += fabs(remainder(error, 360));
      distances += hypot(json_number_value(json_array_get(position, 0)) - (double)labels.x,
                         json_number_value(json_array_get(position, 1)) - (double)labels.y);
      n_angles++;
    }
    json_decref(answer);
  }
  assert_int_equal(n, vane_source_count(source));
  *mae_deg = angles / (double)n_angles;
  *mae_px = distances / (double)n_angles;
  *accuracy = (double)n_right / (double)n;
}

/* `eval` asks the trainer's network, `predict` a network of its own on images from record files:
 * the two must tell the same. */
static void test_predictions_are_those_evaluated(void **state) {
  scratch *area = *state;
  put_config(area);
  expect(area, 0, "train small.yaml --out run --set model.norm=batch");
  expect(area, 0, "data make small.yaml --split test --out shards");
  json_t *scores = call_json(area, "eval run --json");
  expect_keys(scores, "step", "images", "loss", "presence", "angle", "magnitude", "position");
  expect_keys(json_object_get(scores, "loss"), "presence", "angle", "magnitude", "position",
              "regularization");
  expect_keys(json_object_get(scores, "presence"), "auroc", "accuracy", "ece");
  expect_keys(json_object_get(scores, "angle"), "mae_deg", "median_deg", "rmse_deg", "acc5",
              "acc10", "acc30", "flip");
  outcome answers = call(area, "predict run shards --json");
  assert_int_equal(answers.exit_status, 0);

  vane_config config;
  vane_source *source;
  double mae_deg, accuracy, mae_px;
  small_configure(&config, NULL, 0);
  assert_ok(vane_source_open(&config, true, NULL, &source));
  judge(answers.out, source, &mae_deg, &accuracy, &mae_px);
  vane_source_close(source);
  assert_true(fabs(mae_deg - number_at(scores, "angle", "mae_deg")) < 1e-3);
  assert_true(fabs(mae_px - number_at(scores, "position", "mae_px")) < 1e-3);
  assert_true(fabs(accuracy - number_at(scores, "presence", "accuracy")) < 1e-6);
  release(&answers);
  json_decref(scores);
}

static void expect_png(scratch *area, const char *name, int64_t least_width) {
  unsigned char *png;
  size_t n_bytes;
  int64_t height, width, channels;
  assert_ok(vane_file_read(scratch_path(area, name), &png, &n_bytes));
  assert_ok(vane_png_size(png, n_bytes, &height, &width, &channels));
  assert_true(width >= least_width && channels == 3);
  free(png);
}

static void put_png(scratch *area, const char *name, int64_t height, int64_t width) {
  uint8_t pixels[64 * 64] = {0};
  unsigned char *png;
  size_t n_bytes;
  assert_ok(vane_png_encode(pixels, height, width, 1, &png, &n_bytes));
  scratch_put(area, name, png, n_bytes);
  free(png);
}

static void test_predict_images(void **state) {
  scratch *area = *state;
  put_config(area);
  expect(area, 0,
         "train small.yaml --out run --set train.steps=1 --set loss.weights.magnitude=0 --set "
         "model.heads.angle.kind=von_mises");
  put_png(area, "a,b.png", 20, 20);
  put_png(area, "wrong.png", 20, 24);

  json_t *answer = call_json(area, "predict run a,b.png --json --overlay drawn");
  assert_string_equal(json_string_value(json_object_get(answer, "image")), "a,b.png");
  assert_true(json_is_null(json_object_get(answer, "magnitude"))); /* never trained */
  assert_true(json_is_number(json_object_get(answer, "angle_std_deg")));
  json_decref(answer);
  expect_png(area, "drawn/0000-a,b.png", 400);
  expect_png(area, "drawn/overview.png", 200);

  outcome csv = call(area, "predict run a,b.png --csv");
  assert_int_equal(
      strncmp(csv.out, "image,present,angle_deg,angle_std_deg,magnitude,x,y\n\"a,b.png\",", 62), 0);
  release(&csv);
  outcome wrong = call(area, "predict run wrong.png");
  assert_int_equal(wrong.exit_status, 1);
  assert_non_null(strstr(wrong.err, "wrong.png"));
  assert_non_null(strstr(wrong.err, "20 x 24"));
  assert_non_null(strstr(wrong.err, "20 x 20"));
  release(&wrong);
}

static void test_inspect(void **state) {
  scratch *area = *state;
  put_config(area);
  expect(area, 0, "train small.yaml --out run --set train.steps=4");
  expect(area, 0, "data make small.yaml --split test --count 7 --out shards");

  json_t *checkpoint = call_json(area, "inspect run/checkpoints/last.safetensors --json");
  assert_string_equal(json_string_value(json_object_get(checkpoint, "kind")), "safetensors");
  assert_string_equal(
      json_string_value(json_object_get(json_object_get(checkpoint, "metadata"), "vane.step")),
      "4");
  const json_t *tensor = json_array_get(json_object_get(checkpoint, "tensors"), 0);
  expect_keys(tensor, "name", "dtype", "shape", "min", "max", "mean", "rms", "not_finite");
  assert_true(number_at(tensor, NULL, "min") < number_at(tensor, NULL, "max"));
  assert_true(number_at(tensor, NULL, "rms") > 0);
  json_decref(checkpoint);

  json_t *examples = call_json(area, "inspect shards/test-00000-of-00001.tfrecord --json");
  assert_string_equal(json_string_value(json_object_get(examples, "kind")), "examples");
  assert_int_equal((int)number_at(examples, NULL, "records"), 7);
  expect_keys(json_array_get(json_object_get(examples, "features"), 0), "name", "type", "length");
  json_decref(examples);

  json_t *events = call_json(area, "inspect run/events.out.tfevents.* --json");
  assert_string_equal(json_string_value(json_object_get(events, "kind")), "events");
  const json_t *tag = json_array_get(json_object_get(events, "tags"), 0);
  expect_keys(tag, "tag", "values", "first_step", "first", "last_step", "last");
  json_decref(events);
}

/* --- bench and doctor --- */

static void test_bench(void **state) {
  scratch *area = *state;
  put_config(area);
  json_t *step = call_json(area, "bench step small.yaml --steps 3 --json");
  expect_keys(step, "step_ms", "images_per_s", "fastest_ms", "parameters", "steps", "allocations");
  assert_true(number_at(step, NULL, "step_ms") > 0);
  const json_t *allocations = json_object_get(step, "allocations");
  if (!json_is_null(allocations)) /* a sanitizer's build does not count them */
    assert_int_equal(json_integer_value(allocations), 0);
  assert_true(json_is_null(json_object_get(step, "probe_ms")));
  json_decref(step);
  step = call_json(area, "bench step small.yaml --steps 3 --set optim.guard.mode=watch --json");
  assert_true(number_at(step, NULL, "probe_ms") > 0);
  json_decref(step);

  json_t *data = call_json(area, "bench data small.yaml --batches 3 --json");
  expect_keys(data, "images_per_s", "threads", "seconds", "waited_s");
  assert_int_equal((int)number_at(data, NULL, "batches"), 3);
  json_decref(data);
}

/* ---- bench adam ---- */

/* Answers every question with a figure and a null. */
#define PEER                                                                                       \
  "--peer \"while read -r question; do echo '{\\\"ours, 1\\\": 2.5, \\\"theirs\\\": null}'; "      \
  "done\""
#define FEW "--device cpu --seconds 0.001 "

static void test_bench_adam_json(void **state) {
  json_t *adam = call_json(*state, "bench adam " FEW "--parameters 1000,2 --tensors 1,3 --modes "
                                   "hat,amsgrad --json " PEER);
  expect_keys(adam, "device", "description", "lines");
  const json_t *lines = json_object_get(adam, "lines"), *line;
  size_t i;
  /* 1,000 parameters in 1 and 3 tensors, 2 in 1: two modes, warm and cold. */
  assert_int_equal(json_array_size(lines), 12);
  json_array_foreach(lines, i, line) {
    expect_keys(line, "parameters", "tensors", "mode", "cache", "ms", "fastest_ms", "model_bytes",
                "gb_per_s", "stream_gb_per_s", "stream_past_caches_gb_per_s", "share", "ulp",
                "launches", "rounds", "peers");
    expect_keys(json_object_get(line, "ulp"), "theta", "m", "v");
    assert_true(number_at(line, "ulp", "theta") <= 2);
    assert_true(number_at(line, NULL, "share") > 0);
    assert_true(json_is_null(json_object_get(line, "launches")));
    assert_true(number_at(line, "peers", "ours, 1") == 2.5);
  }
  line = json_array_get(lines, 7);
  assert_int_equal((int)number_at(line, NULL, "parameters"), 1000);
  assert_int_equal((int)number_at(line, NULL, "tensors"), 3);
  assert_int_equal((int)number_at(line, NULL, "model_bytes"), 36000);
  assert_string_equal(json_string_value(json_object_get(line, "mode")), "amsgrad");
  assert_string_equal(json_string_value(json_object_get(line, "cache")), "cold");
  json_decref(adam);
}

static int count_of(const char *text, char letter) {
  int n = 0;
  for (; *text; text++)
    n += *text == letter;
  return n;
}

static void test_bench_adam_csv(void **state) {
  outcome done = call(*state, "bench adam " FEW "--parameters 1000 --modes all --csv " PEER);
  assert_int_equal(done.exit_status, 0);
  assert_int_equal(count_of(done.out, '\n'), 1 + 7 * 2);
  char *rest = done.out, *line;
  int n = 0;
  while ((line = strtok_r(rest, "\n", &rest)) != NULL)
    /* The heading has a comma in a name, in quotes. */
    assert_int_equal(count_of(line, ','), n++ == 0 ? 18 : 17);
  assert_non_null(strstr(done.out, "parameters,tensors,mode,cache,ms,"));
  release(&done);
}

/* For people; whoever goes away is named. */
static void test_bench_adam_table(void **state) {
  outcome done = call(*state, "bench adam " FEW "--largest 1000 --caches warm " PEER);
  assert_int_equal(done.exit_status, 0);
  assert_int_equal(count_of(done.out, '\n'), 4); /* device, units, heading, 1,000 parameters */
  assert_non_null(strstr(done.out, "2.5000 ms"));
  assert_non_null(strstr(done.out, "ours, 1"));
  release(&done);
  done = call(*state, "bench adam " FEW "--parameters 1000 --peer true");
  assert_int_equal(done.exit_status, 1);
  assert_non_null(strstr(done.err, "true has ended"));
  release(&done);
  done = call(*state, "bench adam " FEW "--parameters 1000 --peer 'echo no; cat'");
  assert_int_equal(done.exit_status, 1);
  assert_non_null(strstr(done.err, "no JSON object: no"));
  release(&done);
}

static void test_bench_adam_plot(void **state) {
  scratch *area = *state;
  outcome none = call(area, "bench adam " FEW "--parameters 1000 --plot a.jpg");
  assert_int_equal(none.exit_status, 2);
  assert_non_null(strstr(none.err, ".png"));
  release(&none);
  none = call(area, "bench adam " FEW "--parameters 1000 --plot a.png --json >json; "
                    "PATH=/nowhere " VANE " bench adam --parameters 1000 --plot b.png");
  assert_int_equal(none.exit_status, 1);
  assert_non_null(strstr(none.err, "gnuplot-nox"));
  release(&none);
  if (system("command -v gnuplot >/dev/null") != 0) {
    print_message("SKIPPED: gnuplot is not installed\n");
    return;
  }
  expect(area, 0, "bench adam " FEW "--parameters 1000,10000 --plot \"it's.svg\" " PEER);
  expect(area, 0, "bench adam " FEW "--parameters 1000,10000 --plot a.png");
  char *svg = slurp(area, "it's.svg"), *png = slurp(area, "a.png");
  assert_non_null(strstr(svg, "<svg"));
  assert_non_null(strstr(svg, "vane, cold"));
  assert_non_null(strstr(svg, "ours, 1"));
  assert_memory_equal(png, "\x89PNG\r\n\x1a\n", 8);
  free(svg);
  free(png);
}

/* --- lab --- */

static void test_lab(void **state) {
  scratch *area = *state;
  json_t *shown = call_json(
      area, "lab haywire --problem regression --seeds 2 --set train.steps=80 --out lab --json");
  expect_keys(shown, "folder", "seconds", "runs");
  const json_t *runs = json_object_get(shown, "runs");
  assert_int_equal(json_array_size(runs), 2);
  expect_keys(json_array_get(runs, 1), "problem", "seed", "restarted_at", "epsilon", "steps",
              "best", "late", "late_worst", "setback", "spikes", "first_spike", "reached");
  assert_int_equal((int)number_at(json_array_get(runs, 1), NULL, "seed"), 2);
  assert_true(number_at(json_array_get(runs, 1), NULL, "best") > 0);
  json_decref(shown);
  assert_true(vane_file_exists(scratch_path(area, "lab/curves/regression-2.csv")));
  assert_true(vane_file_exists(scratch_path(area, "lab/haywire.gp")));

  static const char remedies[] =
      "lab remedies --problem regression --remedy adam --remedy amsgrad --seeds 1 --set "
      "train.steps=80 --out matrix";
  outcome first = call(area, remedies), again = call(area, remedies);
  assert_int_equal(first.exit_status, 0);
  assert_non_null(strstr(first.out, "| AMSGrad |"));
  assert_non_null(strstr(first.err, "2/2  regression"));
  assert_string_equal(first.out, again.out);
  assert_null(strstr(again.err, "2/2")); /* nothing was left to do */
  release(&first);
  release(&again);
  assert_true(vane_file_exists(scratch_path(area, "matrix/table.csv")));
  assert_true(vane_file_exists(scratch_path(area, "matrix/table.md")));

  outcome wrong = call(area, "lab haywire --problem regresion");
  assert_non_null(strstr(wrong.err, "did you mean regression?"));
  release(&wrong);
}

/* A run that a learning rate beyond reason has ended leaves a box of its last step. */
static void test_replay(void **state) {
  scratch *area = *state;
  put_config(area);
  outcome ended = call(area, "train small.yaml --out run --set optim.lr=1e6 --set train.steps=200");
  assert_int_equal(ended.exit_status, 1);
  const char *told = strstr(ended.err, "vane: step ");
  assert_non_null(told);
  char replay[100];
  snprintf(replay, sizeof replay, "lab replay run/boxes/step-%08ld",
           strtol(told + strlen("vane: step "), NULL, 10));
  release(&ended);
  outcome done = call(area, replay);
  assert_int_equal(done.exit_status, 0);
  assert_non_null(strstr(done.out, "the same bits"));
  assert_null(strstr(done.out, "OTHER BITS"));
  assert_non_null(strstr(done.out, "scene "));
  release(&done);
}

static void test_doctor(void **state) {
  json_t *facts = call_json(*state, "doctor --json");
  expect_keys(facts, "vane", "processor", "devices", "libraries", "data", "missing");
  expect_keys(json_object_get(facts, "devices"), "ref", "cpu", "cuda", "auto");
  const json_t *chosen = json_object_get(json_object_get(facts, "devices"), "auto");
  assert_true(json_is_true(json_object_get(chosen, "works")));
  expect_keys(chosen, "name", "description", "why");
  json_decref(facts);
}

static void test_doctor_epsilon(void **state) {
  scratch *area = *state;
  put_config(area);
  expect(area, 0, "train small.yaml --out run --set train.steps=8");
  json_t *advice = call_json(area, "doctor epsilon run --batches 2 --json");
  expect_keys(advice, "curvature", "adam_curvature", "margin", "lr_now", "lr_always",
              "epsilon_always");
  assert_int_equal((int)number_at(advice, NULL, "step"), 8);
  assert_int_equal((int)number_at(advice, NULL, "images"), 24);
  assert_true(number_at(advice, NULL, "curvature") > 0);
  json_decref(advice);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scratch_test(test_help),
      scratch_test(test_wrong_calls),
      scratch_test(test_failures),
      scratch_test(test_data),
      scratch_test(test_predictions_are_those_evaluated),
      scratch_test(test_predict_images),
      scratch_test(test_inspect),
      scratch_test(test_bench),
      scratch_test(test_bench_adam_json),
      scratch_test(test_bench_adam_csv),
      scratch_test(test_bench_adam_table),
      scratch_test(test_bench_adam_plot),
      scratch_test(test_lab),
      scratch_test(test_replay),
      scratch_test(test_doctor),
      scratch_test(test_doctor_epsilon),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
