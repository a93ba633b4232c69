/* A trunk is built on a ref device whose convolutions are written down before they are planned. */
#include "plan/trunk_graphs.h"

#include <glob.h>

#include "scratch.h"

#include "base/error.h"
#include "net/trunk.h"

static trunk_convolutions *list; /* the table's functions are given no place for it */
static char preset[64];
static vane_conv_ops ref_conv;

static bool same(const vane_conv_desc *a, const vane_conv_desc *b) {
  return a->n == b->n && a->h == b->h && a->w == b->w && a->c_in == b->c_in &&
         a->c_out == b->c_out && a->kernel == b->kernel && a->stride == b->stride &&
         a->padding == b->padding && a->bias == b->bias && a->residual == b->residual &&
         a->relu == b->relu && a->data_gradient == b->data_gradient && a->training == b->training;
}

static void name_preset(trunk_convolution *item) {
  size_t length = strlen(item->presets);
  if (strstr(item->presets, preset))
    return;
  snprintf(item->presets + length, sizeof item->presets - length, "%s%s", length ? ", " : "",
           preset);
}

static void write_down(const vane_conv_plan *plan) {
  for (int i = 0; i < list->n; i++)
    if (same(&list->items[i].shape.desc, &plan->desc)) {
      name_preset(&list->items[i]);
      return;
    }
  assert_true(list->n < (int)(sizeof list->items / sizeof list->items[0]));
  trunk_convolution *item = &list->items[list->n++];
  *item = (trunk_convolution){.shape = *plan};
  name_preset(item);
}

static vane_status record(vane_device *device, const vane_conv_desc *desc, const char *choice,
                          vane_conv_plan **plan) {
  vane_status status = ref_conv.plan(device, desc, choice, plan);
  if (status == VANE_OK)
    write_down(*plan);
  return status;
}

static void read_preset(const char *path, vane_config *config) {
  vane_config_init(config);
  if (vane_config_read(config, path) != VANE_OK || vane_config_check(config) != VANE_OK)
    fail_msg("%s", vane_error_get()->message);
  snprintf(preset, sizeof preset, "%s", strrchr(path, '/') + 1);
  *strrchr(preset, '.') = '\0';
}

void trunk_convolutions_collect(int64_t batch, trunk_convolutions *all) {
  vane_device *device;
  glob_t files;
  assert_ok(vane_ref_open(false, &device));
  ref_conv = device->conv;
  device->conv.plan = record;
  list = all;
  all->n = 0;
  assert_int_equal(glob(VANE_SOURCE_FOLDER "/presets/*.yaml", 0, NULL, &files), 0);
  for (size_t i = 0; i < files.gl_pathc; i++) {
    static vane_config config;
    vane_parameters parameters;
    vane_trunk *trunk;
    read_preset(files.gl_pathv[i], &config);
    vane_parameters_init(&parameters);
    assert_ok(vane_trunk_create(device, &config, batch, true, NULL, &parameters, &trunk));
    vane_trunk_destroy(trunk);
    vane_parameters_finish(&parameters);
  }
  globfree(&files);
  vane_device_close(device);
}
