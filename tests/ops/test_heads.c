/* The heads on each device, joined as they are, beside the same layers one by one on the oracle. */
#include "net/heads.h"

#include <stdlib.h>

#include "net/losses.h"
#include "ops/side.h"

enum { N = 6, F = 80, SEED = 3, MAX_LAYERS = VANE_HEAD_MAX_LAYERS };

typedef struct heads_case {
  const char *name;
  const char *settings[4]; /* NULL: as the configuration has it */
  int n_joined;
} heads_case;

static const heads_case cases[] = {
    {.name = "all joined",
     .settings = {"model.heads.presence.hidden=[16]", "model.heads.angle.hidden=[32]",
                  "model.heads.magnitude.hidden=[16]", "model.heads.position.hidden=[48]"},
     .n_joined = 4},
    {.name = "a width that leaves a gap",
     .settings = {"model.heads.presence.hidden=[16]", "model.heads.angle.hidden=[24]",
                  "model.heads.magnitude.hidden=[16]", "model.heads.position.hidden=[32]"},
     .n_joined = 3},
    {.name = "a loss that is switched off",
     .settings = {"model.heads.presence.hidden=[16]", "loss.weights.presence=0",
                  "model.heads.magnitude.hidden=[32]", "model.heads.position.hidden=[16]"},
     .n_joined = 3},
    {.name = "several hidden layers",
     .settings = {"model.heads.presence.hidden=[16, 24, 5]", "model.heads.angle.hidden=[7, 16]",
                  "model.heads.magnitude.hidden=[]", "model.heads.position.hidden=[32, 32]"},
     .n_joined = 2},
    {.name = "one alone",
     .settings = {"model.heads.presence.hidden=[16]", "model.heads.angle.hidden=[]",
                  "model.heads.magnitude.hidden=[7, 8]", "model.heads.position.hidden=[]"},
     .n_joined = 0},
};

static void configure(const heads_case *test, vane_config *config) {
  vane_config_init(config);
  check_ok(vane_config_set(config, "model.heads.angle.hidden=[16]"));
  for (int i = 0; i < 4; ++i)
    if (test->settings[i])
      check_ok(vane_config_set(config, test->settings[i]));
}

/* What a head's layer began with, was given and made. */
typedef struct layer_values {
  int64_t f_in, f_out;
  double *weights, *bias, *dweights, *dbias;
} layer_values;

typedef struct head_values {
  int n_layers;
  layer_values layers[MAX_LAYERS];
  double *seed, *output, *dfeatures;
} head_values;

static double *read_parameter(check *c, const vane_parameters *parameters, vane_device *device,
                              const void *block, int64_t i) {
  int64_t count = parameters->items[i].count;
  double *values = check_array(c, count);
  float *floats = malloc((size_t)count * sizeof *floats);
  assert_non_null(floats);
  check_ok(vane_parameters_get(parameters, device, block, i, floats));
  for (int64_t j = 0; j < count; ++j)
    values[j] = (double)floats[j];
  free(floats);
  return values;
}

/* Names, numbers of the initial draws (as if nothing were joined) and places. */
static void check_parameters(const vane_heads *heads, const vane_parameters *parameters,
                             int n_joined) {
  int64_t draw = 0, width = 0;
  int n = 0;
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    const vane_head *head = &heads->head[k];
    for (int j = 0; j < head->n_layers; ++j) {
      char name[64];
      const vane_head_layer *layer = &head->layers[j];
      snprintf(name, sizeof name, "heads.%s.%d.weight", vane_loss_names[k], j);
      assert_string_equal(parameters->items[layer->weights].name, name);
      assert_int_equal(parameters->items[layer->weights].draw, draw++);
      snprintf(name, sizeof name, "heads.%s.%d.bias", vane_loss_names[k], j);
      assert_string_equal(parameters->items[layer->biases].name, name);
      assert_int_equal(parameters->items[layer->biases].draw, draw++);
    }
    if (!head->joined)
      continue;
    const vane_segment *s = parameters->segments;
    assert_int_equal(s[head->layers[0].weights].offset,
                     s[heads->joint.weights].offset + width * heads->features);
    assert_int_equal(s[head->layers[0].biases].offset, s[heads->joint.biases].offset + width);
    assert_int_equal(head->column, width);
    width += head->layers[0].f_out;
    ++n;
  }
  assert_int_equal(n, n_joined);
  assert_int_equal(heads->joint.f_out, width);
}

static void put_reals(side *s, void *to, const double *values, int64_t count) {
  float *floats = malloc((size_t)count * sizeof *floats);
  assert_non_null(floats);
  for (int64_t i = 0; i < count; ++i)
    floats[i] = (float)values[i];
  check_ok(s->device->memory.put(s->device, to, floats, count));
  free(floats);
}

/* Parameters and results of one head, as the device has them. */
static void read_head(check *c, const vane_heads *heads, int k, const vane_parameters *parameters,
                      const void *weights, const void *gradients, bool active, head_values *v) {
  const vane_head *head = &heads->head[k];
  v->n_layers = head->n_layers;
  for (int j = 0; j < head->n_layers; ++j) {
    const vane_head_layer *from = &head->layers[j];
    layer_values *to = &v->layers[j];
    to->f_in = from->f_in;
    to->f_out = from->f_out;
    to->weights = read_parameter(c, parameters, heads->device, weights, from->weights);
    to->bias = read_parameter(c, parameters, heads->device, weights, from->biases);
    to->dweights = read_parameter(c, parameters, heads->device, gradients, from->weights);
    to->dbias = read_parameter(c, parameters, heads->device, gradients, from->biases);
    for (int64_t i = 0; i < to->f_out && !active; ++i)
      assert_true(isnan(to->dbias[i])); /* nobody wrote there */
  }
}

static void run_heads(check *c, const heads_case *test, const vane_config *config,
                      const double *features, head_values values[VANE_N_HEADS]) {
  vane_device *device = c->subject;
  side s = side_begin(device);
  vane_heads heads = {0};
  vane_parameters parameters;
  vane_arena arena;
  vane_parameters_init(&parameters);
  vane_arena_init(&arena, "heads");
  check_ok(vane_heads_init(&heads, device, config, N, F, true, &parameters));
  check_parameters(&heads, &parameters, test->n_joined);
  check_ok(vane_heads_reserve(&heads, &arena));
  vane_arena_seal(&arena, side_bytes(&s, arena.total_bytes));
  vane_heads_bind(&heads, &arena);
  side_bind_workspace(&s, heads.workspace_bytes);

  void *weights = side_reals(&s, parameters.total), *gradients = side_reals(&s, parameters.total);
  void *x = side_put(&s, features, N * F), *dfeatures[VANE_N_HEADS] = {0};
  check_ok(vane_parameters_draw(&parameters, device, SEED, VANE_INIT_HE, weights));
  check_ok(vane_heads_forward(&heads, &parameters, weights, x));
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    put_reals(&s, vane_heads_seed(&heads, k), values[k].seed, N * heads.head[k].n_outputs);
    if (vane_loss_active(config, k))
      dfeatures[k] = side_reals(&s, N * F);
  }
  check_ok(vane_heads_backward(&heads, &parameters, weights, x, dfeatures, gradients));
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    read_head(c, &heads, k, &parameters, weights, gradients, dfeatures[k] != NULL, &values[k]);
    side_read(&s, vane_heads_output(&heads, k), values[k].output, N * heads.head[k].n_outputs);
    if (dfeatures[k])
      side_read(&s, dfeatures[k], values[k].dfeatures, N * F);
  }
  vane_heads_finish(&heads);
  vane_arena_finish(&arena);
  vane_parameters_finish(&parameters);
  side_end(&s);
}

/* y = act(x w^T + b), and back from dz to dw, db and dx, the gradient behind the ReLU of x. */
static void layer_forward(const layer_values *l, const double *x, bool relu, double *y) {
  for (int64_t n = 0; n < N; ++n)
    for (int64_t o = 0; o < l->f_out; ++o) {
      double sum = l->bias[o];
      for (int64_t i = 0; i < l->f_in; ++i)
        sum += x[n * l->f_in + i] * l->weights[o * l->f_in + i];
      y[n * l->f_out + o] = relu && sum < 0.0 ? 0.0 : sum;
    }
}

static void layer_backward(const layer_values *l, const double *x, const double *dz, bool x_relu,
                           double *dw, double *db, double *dx) {
  for (int64_t n = 0; n < N; ++n)
    for (int64_t o = 0; o < l->f_out; ++o) {
      double d = dz[n * l->f_out + o];
      db[o] += d;
      for (int64_t i = 0; i < l->f_in; ++i) {
        dw[o * l->f_in + i] += d * x[n * l->f_in + i];
        if (!x_relu || x[n * l->f_in + i] > 0.0)
          dx[n * l->f_in + i] += d * l->weights[o * l->f_in + i];
      }
    }
}

static void check_head(check *c, const head_values *v, const double *features, bool active) {
  const double *x[MAX_LAYERS + 1] = {features};
  int last = v->n_layers - 1;
  for (int j = 0; j <= last; ++j) {
    double *y = check_array(c, N * v->layers[j].f_out);
    layer_forward(&v->layers[j], x[j], j < last, y);
    x[j + 1] = y;
  }
  check_compare(c, "dense_forward", "output", v->output, x[last + 1], NULL,
                N * v->layers[last].f_out);
  const double *dz = v->seed;
  for (int j = last; j >= 0 && active; --j) {
    const layer_values *l = &v->layers[j];
    double *dw = check_array(c, l->f_out * l->f_in), *db = check_array(c, l->f_out);
    double *dx = check_array(c, N * l->f_in);
    layer_backward(l, x[j], dz, j > 0, dw, db, dx);
    check_compare(c, "dense_backward", "dweights", l->dweights, dw, NULL, l->f_out * l->f_in);
    check_compare(c, "dense_backward", "dbias", l->dbias, db, NULL, l->f_out);
    dz = dx;
  }
  if (active)
    check_compare(c, "dense_backward", "dfeatures", v->dfeatures, dz, NULL, N * F);
}

static void check_heads(check *c) {
  if (c->precision == VANE_PRECISION_TF32)
    return; /* whether a ReLU opens would be a matter of rounding; test_dense.c has tf32 */
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    static const int64_t n_outputs[VANE_N_HEADS] = {1, 2, 1, 2};
    vane_config config;
    head_values values[VANE_N_HEADS] = {0};
    const double *features = check_normal(c, N * F);
    configure(&cases[i], &config);
    for (int k = 0; k < VANE_N_HEADS; ++k) {
      values[k].seed = check_normal(c, N * n_outputs[k]);
      values[k].output = check_array(c, N * n_outputs[k]);
      values[k].dfeatures = check_array(c, N * F);
    }
    run_heads(c, &cases[i], &config, features, values);
    for (int k = 0; k < VANE_N_HEADS; ++k) {
      check_label(c, "%s: %s", cases[i].name, vane_loss_names[k]);
      check_head(c, &values[k], features, vane_loss_active(&config, k));
    }
  }
}

/* A network that only answers has no gradients, and its parameters lie where those of training do.
 */
static void check_inference(check *c) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    vane_config config;
    vane_heads heads[2] = {0};
    vane_parameters parameters[2];
    configure(&cases[i], &config);
    for (int training = 0; training <= 1; ++training) {
      vane_parameters_init(&parameters[training]);
      check_ok(vane_heads_init(&heads[training], c->subject, &config, N, F, training,
                               &parameters[training]));
    }
    assert_int_equal(parameters[0].total, parameters[1].total);
    for (int64_t j = 0; j < parameters[0].n; ++j) {
      assert_string_equal(parameters[0].items[j].name, parameters[1].items[j].name);
      assert_int_equal(parameters[0].segments[j].offset, parameters[1].segments[j].offset);
    }
    for (int training = 0; training <= 1; ++training) {
      vane_heads_finish(&heads[training]);
      vane_parameters_finish(&parameters[training]);
    }
  }
}

int main(void) {
  const check_entry entries[] = {CHECK(check_heads), CHECK(check_inference)};
  return check_run("heads", entries, sizeof entries / sizeof entries[0]);
}
