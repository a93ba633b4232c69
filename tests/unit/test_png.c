/* format/png.h: images from and to memory, by both ways through a PNG file. */
#include "scratch.h"

#include <png.h>

#include "format/png.h"

/* A PNG file as libpng writes it, with the settings that vane's own encoder never uses. */
typedef struct sample {
  int colour_type, depth, interlace, filters;
  const png_color *palette; /* 4 colours */
  const png_color_16 *transparent;
  const png_byte *palette_alpha; /* 4 */
  unsigned char bytes[65536];
  size_t n_bytes;
} sample;

static void append_to_sample(png_structp png, png_bytep bytes, size_t n_bytes) {
  sample *file = png_get_io_ptr(png);
  assert_true(n_bytes <= sizeof file->bytes - file->n_bytes);
  memcpy(file->bytes + file->n_bytes, bytes, n_bytes);
  file->n_bytes += n_bytes;
}

static void flush_sample(png_structp png) {
  (void)png;
}

/* `rows` in PNG's own packing, [height, row_bytes]. */
static void write_sample(sample *file, int height, int width, const unsigned char *rows,
                         size_t row_bytes) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  file->n_bytes = 0;
  png_set_write_fn(png, file, append_to_sample, flush_sample);
  png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, file->depth, file->colour_type,
               file->interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (file->filters)
    png_set_filter(png, PNG_FILTER_TYPE_DEFAULT, file->filters);
  if (file->palette)
    png_set_PLTE(png, info, file->palette, 4);
  if (file->transparent || file->palette_alpha)
    png_set_tRNS(png, info, file->palette_alpha, 4, file->transparent);
  png_write_info(png, info);
  int n_passes = png_set_interlace_handling(png);
  for (int pass = 0; pass < n_passes; pass++)
    for (int y = 0; y < height; y++)
      png_write_row(png, rows + (size_t)y * row_bytes);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
}

/* Smooth with some noise: every filter has its rows. A fixed linear congruential generator. */
static void paint(uint8_t *pixels, int64_t height, int64_t width, int64_t channels) {
  uint32_t random = 12345;
  for (int64_t y = 0; y < height; y++)
    for (int64_t x = 0; x < width; x++)
      for (int64_t c = 0; c < channels; c++) {
        random = random * 1664525u + 1013904223u;
        *pixels++ = (uint8_t)(3 * x + 5 * y * (c + 1) + (random >> 24) % 9);
      }
}

static void assert_decodes(const void *bytes, size_t n_bytes, int64_t height, int64_t width,
                           int64_t channels, const uint8_t *expected) {
  size_t n_pixels = (size_t)(height * width * channels);
  uint8_t *pixels = malloc(n_pixels);
  assert_ok(vane_png_decode(bytes, n_bytes, height, width, channels, pixels));
  assert_memory_equal(pixels, expected, n_pixels);
  free(pixels);
}

static void decodes_what_it_encodes(void **state) {
  (void)state;
  const int64_t sizes[][2] = {{1, 1}, {1, 7}, {9, 1}, {5, 3}, {64, 64}, {40, 300}};
  static uint8_t pixels[40 * 300 * 3];
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (int64_t channels = 1; channels <= 3; channels += 2) {
      int64_t height = sizes[i][0], width = sizes[i][1];
      paint(pixels, height, width, channels);
      unsigned char *bytes;
      size_t n_bytes;
      assert_ok(vane_png_encode(pixels, height, width, channels, &bytes, &n_bytes));
      assert_true(vane_png_detect(bytes, n_bytes));
      assert_decodes(bytes, n_bytes, height, width, channels, pixels);
      int64_t found[3];
      assert_ok(vane_png_size(bytes, n_bytes, &found[0], &found[1], &found[2]));
      assert_true(found[0] == height && found[1] == width && found[2] == channels);
      free(bytes);
    }
}

static void undoes_every_filter(void **state) {
  (void)state;
  const int filters[] = {PNG_FILTER_NONE, PNG_FILTER_SUB, PNG_FILTER_UP, PNG_FILTER_AVG,
                         PNG_FILTER_PAETH};
  static sample file;
  static uint8_t pixels[48 * 50 * 3];
  for (size_t f = 0; f < 5; f++)
    for (int64_t channels = 1; channels <= 3; channels += 2)
      for (int noise = 0; noise < 2; noise++) {
        paint(pixels, 48, 50, channels);
        for (size_t i = 0; noise && i < sizeof pixels; i++)
          pixels[i] = (uint8_t)(pixels[i] * 151 ^ (pixels[i] >> 3) * 29);
        file = (sample){.colour_type = channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
                        .depth = 8,
                        .filters = filters[f]};
        write_sample(&file, 48, 50, pixels, (size_t)(50 * channels));
        assert_decodes(file.bytes, file.n_bytes, 48, 50, channels, pixels);
      }
}

static void large_images_come_in_several_chunks(void **state) {
  (void)state;
  static sample file;
  static uint8_t pixels[100 * 150 * 3];
  paint(pixels, 100, 150, 3);
  for (size_t i = 0; i < sizeof pixels; i++)
    pixels[i] = (uint8_t)(pixels[i] * 151 ^ (pixels[i] >> 3) * 29);
  file = (sample){.colour_type = PNG_COLOR_TYPE_RGB, .depth = 8};
  write_sample(&file, 100, 150, pixels, 450);
  int n_chunks = 0;
  for (size_t i = 0; i + 4 <= file.n_bytes; i++)
    n_chunks += memcmp(file.bytes + i, "IDAT", 4) == 0;
  assert_true(n_chunks > 1);
  assert_decodes(file.bytes, file.n_bytes, 100, 150, 3, pixels);
}

static void interlaced_images_are_decoded(void **state) {
  (void)state;
  static sample file;
  static uint8_t pixels[33 * 21 * 3];
  for (int64_t channels = 1; channels <= 3; channels += 2) {
    paint(pixels, 33, 21, channels);
    file = (sample){.colour_type = channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
                    .depth = 8,
                    .interlace = PNG_INTERLACE_ADAM7};
    write_sample(&file, 33, 21, pixels, (size_t)(21 * channels));
    assert_decodes(file.bytes, file.n_bytes, 33, 21, channels, pixels);
  }
}

static void assert_converts(sample *file, int width, const unsigned char *row, size_t row_bytes,
                            int64_t channels, const uint8_t *expected) {
  write_sample(file, 1, width, row, row_bytes);
  assert_decodes(file->bytes, file->n_bytes, 1, width, channels, expected);
}

static void grey_of_any_depth_becomes_bytes(void **state) {
  (void)state;
  static sample file;
  file = (sample){.colour_type = PNG_COLOR_TYPE_GRAY, .depth = 1};
  assert_converts(&file, 3, (const unsigned char[]){0xa0}, 1, 1, (const uint8_t[]){255, 0, 255});
  file.depth = 2;
  assert_converts(&file, 4, (const unsigned char[]){0x1b}, 1, 1,
                  (const uint8_t[]){0, 85, 170, 255});
  file.depth = 4;
  assert_converts(&file, 2, (const unsigned char[]){0x1f}, 1, 1, (const uint8_t[]){17, 255});
  file.depth = 16; /* 257 steps of 16 bits make one of 8; the nearest counts */
  assert_converts(&file, 4, (const unsigned char[]){0, 0x80, 0, 0x81, 1, 1, 0xff, 0xff}, 8, 1,
                  (const uint8_t[]){0, 1, 1, 255});
  file.depth = 8;
  assert_converts(&file, 2, (const unsigned char[]){7, 9}, 2, 3,
                  (const uint8_t[]){7, 7, 7, 9, 9, 9});
}

static void colour_becomes_grey_by_luma(void **state) {
  (void)state;
  static sample file;
  file = (sample){.colour_type = PNG_COLOR_TYPE_RGB, .depth = 8};
  const unsigned char row[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9};
  write_sample(&file, 1, 4, row, sizeof row);
  uint8_t pixels[4];
  assert_ok(vane_png_decode(file.bytes, file.n_bytes, 1, 4, 1, pixels));
  assert_in_range(pixels[0], 75, 77);   /* 0.299 */
  assert_in_range(pixels[1], 149, 151); /* 0.587 */
  assert_in_range(pixels[2], 28, 30);   /* 0.114 */
  assert_int_equal(pixels[3], 9);
}

static void palettes_are_looked_up(void **state) {
  (void)state;
  static const png_color palette[4] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {200, 100, 50}};
  static const png_byte alpha[4] = {255, 0, 255, 128};
  static sample file;
  file = (sample){.colour_type = PNG_COLOR_TYPE_PALETTE, .depth = 2, .palette = palette};
  assert_converts(&file, 4, (const unsigned char[]){0x1b}, 1, 3,
                  (const uint8_t[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 200, 100, 50});
  int64_t height, width, channels;
  assert_ok(vane_png_size(file.bytes, file.n_bytes, &height, &width, &channels));
  assert_true(height == 1 && width == 4 && channels == 3);
  file.palette_alpha = alpha;
  assert_converts(&file, 4, (const unsigned char[]){0x1b}, 1, 3,
                  (const uint8_t[]){1, 2, 3, 0, 0, 0, 7, 8, 9, 100, 50, 25});
}

static void transparency_is_laid_over_black(void **state) {
  (void)state;
  static sample file;
  file = (sample){.colour_type = PNG_COLOR_TYPE_GRAY_ALPHA, .depth = 8};
  assert_converts(&file, 3, (const unsigned char[]){200, 255, 200, 0, 200, 128}, 6, 1,
                  (const uint8_t[]){200, 0, 100});
  assert_converts(&file, 1, (const unsigned char[]){200, 128}, 2, 3,
                  (const uint8_t[]){100, 100, 100});
  file.colour_type = PNG_COLOR_TYPE_RGB_ALPHA;
  assert_converts(&file, 2, (const unsigned char[]){10, 20, 30, 255, 90, 60, 30, 85}, 8, 3,
                  (const uint8_t[]){10, 20, 30, 30, 20, 10});
  static const png_color_16 one_grey = {.gray = 7}, one_colour = {.red = 1, .green = 2, .blue = 3};
  file = (sample){.colour_type = PNG_COLOR_TYPE_GRAY, .depth = 8, .transparent = &one_grey};
  assert_converts(&file, 2, (const unsigned char[]){7, 8}, 2, 1, (const uint8_t[]){0, 8});
  file = (sample){.colour_type = PNG_COLOR_TYPE_RGB, .depth = 8, .transparent = &one_colour};
  assert_converts(&file, 2, (const unsigned char[]){1, 2, 3, 1, 2, 4}, 6, 3,
                  (const uint8_t[]){0, 0, 0, 1, 2, 4});
}

static void another_size_is_told(void **state) {
  (void)state;
  uint8_t pixels[6 * 4] = {0};
  unsigned char *bytes;
  size_t n_bytes;
  assert_ok(vane_png_encode(pixels, 6, 4, 1, &bytes, &n_bytes));
  assert_fails(vane_png_decode(bytes, n_bytes, 4, 6, 1, pixels), VANE_ERR_FORMAT,
               "6 x 4 pixels (height x width), but 4 x 6 are expected");
  free(bytes);
}

static void what_is_no_png_is_told(void **state) {
  (void)state;
  uint8_t pixel;
  int64_t n;
  assert_false(vane_png_detect("\x89PNG\r\n\x1a", 7));
  assert_false(vane_png_detect("GIF89a..", 8));
  assert_fails(vane_png_decode("GIF89a..", 8, 1, 1, 1, &pixel), VANE_ERR_FORMAT, "not a PNG image");
  assert_fails(vane_png_size("", 0, &n, &n, &n), VANE_ERR_FORMAT, "not a PNG image");
}

static void assert_damaged(const unsigned char *bytes, size_t n_bytes) {
  uint8_t pixels[12 * 12 * 3];
  unsigned char *exact = malloc(n_bytes); /* so that an overrun is seen */
  memcpy(exact, bytes, n_bytes);
  assert_int_equal(vane_png_decode(exact, n_bytes, 12, 12, 3, pixels), VANE_ERR_FORMAT);
  assert_message_contains("PNG image");
  free(exact);
}

static void cuts_and_flipped_bits_are_noticed(void **state) {
  (void)state;
  static sample file;
  uint8_t pixels[12 * 12 * 3];
  paint(pixels, 12, 12, 3);
  for (int interlace = 0; interlace < 2; interlace++) { /* both ways through the file */
    file = (sample){.colour_type = PNG_COLOR_TYPE_RGB, .depth = 8, .interlace = interlace};
    write_sample(&file, 12, 12, pixels, 36);
    assert_decodes(file.bytes, file.n_bytes, 12, 12, 3, pixels);
    for (size_t cut = 1; cut < file.n_bytes; cut++)
      assert_damaged(file.bytes, cut);
    for (size_t bit = 0; bit < 8 * file.n_bytes; bit++) {
      file.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
      assert_damaged(file.bytes, file.n_bytes);
      file.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
  }
}

/* Puts the chunk's CRC in order after a change. zlib's CRC is the one that PNG uses. */
static void seal_chunk(unsigned char *chunk) {
  size_t n = (size_t)chunk[2] << 8 | chunk[3];
  uint32_t crc = 0xffffffffu;
  for (size_t i = 4; i < 8 + n; i++) {
    crc ^= chunk[i];
    for (int k = 0; k < 8; k++)
      crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
  }
  crc ^= 0xffffffffu;
  for (int i = 0; i < 4; i++)
    chunk[8 + n + (size_t)i] = (unsigned char)(crc >> (24 - 8 * i));
}

/* With good CRCs the damage has to be noticed by what the bytes mean; above all, nothing of the
 * announced size may be allocated or written. */
static void damage_with_good_crcs_does_no_harm(void **state) {
  (void)state;
  static sample file;
  uint8_t pixels[12 * 12], decoded[12 * 12];
  paint(pixels, 12, 12, 1);
  for (int interlace = 0; interlace < 2; interlace++) { /* both ways through the file */
    file = (sample){.colour_type = PNG_COLOR_TYPE_GRAY, .depth = 8, .interlace = interlace};
    write_sample(&file, 12, 12, pixels, 12);
    unsigned char *header = file.bytes + 8, *data = header + 25;
    assert_memory_equal(data + 4, "IDAT", 4);
    size_t n_data = (size_t)data[2] << 8 | data[3];
    for (size_t bit = 8 * 8; bit < 8 * (8 + 13 + 12 + 8 + n_data); bit++) {
      if (bit == 8 * (8 + 13))
        bit = 8 * (8 + 13 + 12 + 8); /* from the header's fields to the pixels' stream */
      unsigned char *chunk = header + bit / 8 < data ? header : data;
      header[bit / 8] ^= (unsigned char)(1 << bit % 8);
      seal_chunk(chunk);
      vane_status status = vane_png_decode(file.bytes, file.n_bytes, 12, 12, 1, decoded);
      assert_true(status == VANE_ERR_FORMAT || memcmp(decoded, pixels, sizeof pixels) == 0);
      header[bit / 8] ^= (unsigned char)(1 << bit % 8);
      seal_chunk(chunk);
    }
  }
}

/* Checksums all right, but a row is missing: memory that was never written must not become pixels.
 */
static void a_stream_with_too_few_rows_is_refused(void **state) {
  (void)state;
  static sample file;
  uint8_t pixels[12 * 12], decoded[12 * 12];
  paint(pixels, 12, 12, 1);
  file = (sample){.colour_type = PNG_COLOR_TYPE_GRAY, .depth = 8};
  write_sample(&file, 11, 12, pixels, 12);
  file.bytes[8 + 8 + 7] = 12; /* the header's height */
  seal_chunk(file.bytes + 8);
  assert_fails(vane_png_decode(file.bytes, file.n_bytes, 12, 12, 1, decoded), VANE_ERR_FORMAT,
               "Not enough image data");
}

static void huge_images_are_refused(void **state) {
  (void)state;
  static sample file;
  uint8_t pixel = 0;
  file = (sample){.colour_type = PNG_COLOR_TYPE_GRAY, .depth = 8};
  write_sample(&file, 1, 1, &pixel, 1);
  memcpy(file.bytes + 16, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8);
  seal_chunk(file.bytes + 8);
  int64_t n;
  assert_fails(vane_png_size(file.bytes, file.n_bytes, &n, &n, &n), VANE_ERR_FORMAT,
               "Invalid IHDR data");
  assert_int_equal(vane_png_decode(file.bytes, file.n_bytes, 0x7fffffff, 0x7fffffff, 1, &pixel),
                   VANE_ERR_FORMAT);
  unsigned char *bytes;
  size_t n_bytes;
  assert_fails(vane_png_encode(&pixel, 0, 1, 1, &bytes, &n_bytes), VANE_ERR_ARGUMENT, "0 x 1 x 1");
  assert_fails(vane_png_encode(&pixel, 1, 20000, 1, &bytes, &n_bytes), VANE_ERR_ARGUMENT, "PNG");
  assert_fails(vane_png_encode(&pixel, 1, 1, 2, &bytes, &n_bytes), VANE_ERR_ARGUMENT, "PNG");
}

/* A chunk that libpng warns about: an ancillary one with a wrong CRC. */
static void warnings_are_not_printed(void **state) {
  scratch *area = *state;
  static sample file;
  uint8_t pixel = 99, decoded = 0;
  file = (sample){.colour_type = PNG_COLOR_TYPE_GRAY, .depth = 8};
  write_sample(&file, 1, 1, &pixel, 1);
  static const unsigned char chunk[] = {0, 0, 0, 4, 'g', 'A', 'M', 'A', 0, 0, 1, 0, 1, 2, 3, 4};
  memmove(file.bytes + 33 + sizeof chunk, file.bytes + 33, file.n_bytes - 33);
  memcpy(file.bytes + 33, chunk, sizeof chunk);
  file.n_bytes += sizeof chunk;
  fflush(stderr);
  int kept = dup(STDERR_FILENO);
  const char *path = scratch_path(area, "stderr");
  assert_non_null(freopen(path, "w", stderr));
  vane_status status = vane_png_decode(file.bytes, file.n_bytes, 1, 1, 1, &decoded);
  fflush(stderr);
  dup2(kept, STDERR_FILENO);
  close(kept);
  assert_int_equal(status, VANE_OK);
  assert_int_equal(decoded, 99);
  struct stat facts;
  assert_int_equal(stat(path, &facts), 0);
  assert_int_equal(facts.st_size, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decodes_what_it_encodes),
      cmocka_unit_test(undoes_every_filter),
      cmocka_unit_test(large_images_come_in_several_chunks),
      cmocka_unit_test(interlaced_images_are_decoded),
      cmocka_unit_test(grey_of_any_depth_becomes_bytes),
      cmocka_unit_test(colour_becomes_grey_by_luma),
      cmocka_unit_test(palettes_are_looked_up),
      cmocka_unit_test(transparency_is_laid_over_black),
      cmocka_unit_test(another_size_is_told),
      cmocka_unit_test(what_is_no_png_is_told),
      cmocka_unit_test(cuts_and_flipped_bits_are_noticed),
      cmocka_unit_test(damage_with_good_crcs_does_no_harm),
      cmocka_unit_test(a_stream_with_too_few_rows_is_refused),
      cmocka_unit_test(huge_images_are_refused),
      scratch_test(warnings_are_not_printed),
  };
  return cmocka_run_group_tests_name("png", tests, NULL, NULL);
}
