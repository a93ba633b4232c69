#include "format/png.h"

#include <inttypes.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Larger images are refused before anything is allocated: no network looks at one, so its header
 * is damaged. 2^14 pixels a side and RGB stay below a gigabyte. */
#define MAX_SIDE 16384

/* What libpng's callbacks see: where they read or write, and what went wrong. */
typedef struct png_stream {
  const unsigned char *next; /* reading */
  size_t left;
  unsigned char *written; /* writing: grows */
  size_t n_written, capacity;
  char message[160];
} png_stream;

typedef struct png_facts {
  int64_t height, width, channels;
} png_facts;

static PNG_FUNCTION(void, on_error, (png_structp png, png_const_charp text), PNG_NORETURN) {
  png_stream *stream = png_get_error_ptr(png);
  snprintf(stream->message, sizeof stream->message, "%s", text);
  png_longjmp(png, 1);
}

/* Warnings concern chunks that do not touch the pixels. */
static void on_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void read_bytes(png_structp png, png_bytep bytes, size_t n_bytes) {
  png_stream *stream = png_get_io_ptr(png);
  if (n_bytes > stream->left)
    png_error(png, "the file ends too early");
  memcpy(bytes, stream->next, n_bytes);
  stream->next += n_bytes;
  stream->left -= n_bytes;
}

static void write_bytes(png_structp png, png_bytep bytes, size_t n_bytes) {
  png_stream *stream = png_get_io_ptr(png);
  if (n_bytes > stream->capacity - stream->n_written) {
    size_t capacity = 2 * (stream->n_written + n_bytes);
    unsigned char *larger = realloc(stream->written, capacity);
    if (!larger)
      png_error(png, "no memory");
    stream->written = larger;
    stream->capacity = capacity;
  }
  memcpy(stream->written + stream->n_written, bytes, n_bytes);
  stream->n_written += n_bytes;
}

static void flush_nothing(png_structp png) {
  (void)png;
}

static vane_status fail_from(const png_stream *stream) {
  return vane_fail_foreign(VANE_ERR_FORMAT, 0, stream->message, "PNG image: %s", stream->message);
}

bool vane_png_detect(const void *bytes, size_t n_bytes) {
  static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  return n_bytes >= sizeof signature && memcmp(bytes, signature, sizeof signature) == 0;
}

static png_facts look_at(png_structp png, png_infop info) {
  bool colour = png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR;
  return (png_facts){.height = png_get_image_height(png, info),
                     .width = png_get_image_width(png, info),
                     .channels = colour ? 3 : 1};
}

static void ask_for_channels(png_structp png, png_infop info, int64_t channels) {
  png_set_expand(png); /* palette to RGB, fewer bits to 8, a transparent colour to alpha */
  png_set_scale_16(png);
  static const png_color_16 black = {0};
  if ((png_get_color_type(png, info) & PNG_COLOR_MASK_ALPHA) ||
      png_get_valid(png, info, PNG_INFO_tRNS))
    png_set_background(png, &black, PNG_BACKGROUND_GAMMA_SCREEN, 0, 1.0);
  bool colour = png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR;
  if (colour && channels == 1) /* luma of ITU-R BT.601 */
    png_set_rgb_to_gray(png, PNG_ERROR_ACTION_NONE, 0.299, 0.587);
  if (!colour && channels == 3)
    png_set_gray_to_rgb(png);
}

/* Everything between creation and destruction of the reader, in a function of its own, so that
 * libpng's long jump leaves no changed local behind. Without `pixels` only `found` is filled. */
static vane_status read_image(png_structp png, png_infop info, png_stream *stream,
                              const png_facts *expected, png_facts *found, uint8_t *pixels) {
  if (setjmp(png_jmpbuf(png)))
    return fail_from(stream);
  png_set_user_limits(png, MAX_SIDE, MAX_SIDE);
  png_set_read_fn(png, stream, read_bytes);
  png_read_info(png, info);
  *found = look_at(png, info);
  if (!pixels)
    return VANE_OK;
  if (found->height != expected->height || found->width != expected->width)
    return vane_fail(VANE_ERR_FORMAT,
                     "PNG image of %" PRId64 " x %" PRId64 " pixels (height x width), but %" PRId64
                     " x %" PRId64 " are expected",
                     found->height, found->width, expected->height, expected->width);
  ask_for_channels(png, info, expected->channels);
  int n_passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  size_t row_bytes = (size_t)(expected->width * expected->channels);
  if (png_get_rowbytes(png, info) != row_bytes)
    return vane_fail(VANE_ERR_FORMAT, "PNG image: %zu bytes a row instead of %zu",
                     png_get_rowbytes(png, info), row_bytes);
  /* libpng's default is to warn where the checksum of the compressed pixels is wrong. Only from
   * here on: colour profiles, which stand before, are often faulty and not used. */
  png_set_benign_errors(png, false);
  for (int pass = 0; pass < n_passes; pass++)
    for (int64_t row = 0; row < expected->height; row++)
      png_read_row(png, pixels + (size_t)row * row_bytes, NULL);
  png_read_end(png, NULL);
  return VANE_OK;
}

static vane_status read_from_memory(const void *bytes, size_t n_bytes, const png_facts *expected,
                                    png_facts *found, uint8_t *pixels) {
  if (!vane_png_detect(bytes, n_bytes))
    return vane_fail(VANE_ERR_FORMAT, "not a PNG image: its first eight bytes are others");
  png_stream stream = {.next = bytes, .left = n_bytes};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &stream, on_error, on_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  vane_status status = info ? read_image(png, info, &stream, expected, found, pixels)
                            : vane_fail(VANE_ERR_MEMORY, "no memory to read a PNG image");
  png_destroy_read_struct(&png, &info, NULL);
  return status;
}

vane_status vane_png_decode(const void *bytes, size_t n_bytes, int64_t height, int64_t width,
                            int64_t channels, uint8_t *pixels) {
  png_facts expected = {.height = height, .width = width, .channels = channels}, found;
  return read_from_memory(bytes, n_bytes, &expected, &found, pixels);
}

vane_status vane_png_size(const void *bytes, size_t n_bytes, int64_t *height, int64_t *width,
                          int64_t *channels) {
  png_facts found;
  VANE_TRY(read_from_memory(bytes, n_bytes, NULL, &found, NULL));
  *height = found.height;
  *width = found.width;
  *channels = found.channels;
  return VANE_OK;
}

static vane_status write_image(png_structp png, png_infop info, png_stream *stream,
                               const uint8_t *pixels, int64_t height, int64_t width,
                               int64_t channels) {
  if (setjmp(png_jmpbuf(png)))
    return fail_from(stream);
  png_set_write_fn(png, stream, write_bytes, flush_nothing);
  png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8,
               channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int64_t row = 0; row < height; row++)
    png_write_row(png, pixels + row * width * channels);
  png_write_end(png, info);
  return VANE_OK;
}

vane_status vane_png_encode(const uint8_t *pixels, int64_t height, int64_t width, int64_t channels,
                            unsigned char **bytes, size_t *n_bytes) {
  *bytes = NULL;
  *n_bytes = 0;
  if (height < 1 || width < 1 || height > MAX_SIDE || width > MAX_SIDE ||
      (channels != 1 && channels != 3))
    return vane_fail(VANE_ERR_ARGUMENT,
                     "an image of %" PRId64 " x %" PRId64 " x %" PRId64 " cannot be written as PNG",
                     height, width, channels);
  png_stream stream = {0};
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &stream, on_error, on_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  vane_status status = info ? write_image(png, info, &stream, pixels, height, width, channels)
                            : vane_fail(VANE_ERR_MEMORY, "no memory to write a PNG image");
  png_destroy_write_struct(&png, &info);
  if (status != VANE_OK) {
    free(stream.written);
    return status;
  }
  *bytes = stream.written;
  *n_bytes = stream.n_written;
  return VANE_OK;
}
