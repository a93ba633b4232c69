#include "data/source_kind.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"

vane_status vane_source_lay_out(const vane_source_request *request, const int64_t *file_first,
                                int64_t n_files, vane_source *source) {
  int64_t count = file_first[n_files];
  if (request->count > 0 && request->count < count)
    count = request->count;
  source->file_first = malloc((size_t)(n_files + 1) * sizeof *file_first);
  if (!source->file_first)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the places of %" PRId64 " files", n_files);
  for (int64_t f = 0; f <= n_files; f++)
    source->file_first[f] = file_first[f] < count ? file_first[f] : count;
  source->n_files = n_files;
  source->count = count;
  return VANE_OK;
}

vane_labels vane_source_upright_labels(int64_t height, int64_t width) {
  return (vane_labels){
      .present = 1.0f,
      .magnitude = 1.0f,
      .x = 0.5f * (float)(width - 1),
      .y = 0.5f * (float)(height - 1),
      .known = VANE_LABEL_PRESENT | VANE_LABEL_ANGLE | VANE_LABEL_MAGNITUDE | VANE_LABEL_POSITION,
  };
}

void vane_source_spread_grey(uint8_t *pixels, int64_t n_pixels, int64_t channels) {
  if (channels == 1)
    return;
  /* From the end, so that no value is overwritten before it was read. */
  for (int64_t i = n_pixels - 1; i >= 0; i--) {
    uint8_t value = pixels[i];
    for (int64_t c = 0; c < channels; c++)
      pixels[i * channels + c] = value;
  }
}
