/* Why not libpng alone: it asks zlib for one row at a time, and rows as short as those of training
 * images (64 bytes) keep zlib's inflate out of its fast loop. ISA-L inflates the whole image at
 * once. Measured on one core of a Xeon, smooth but noisy 64 x 64 grey images: 50 us by libpng, 21
 * us here; RotFashion-4: 20 us and 11 us. */
#include "format/png_plain.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>

/* A chunk: length of its data (4 bytes, big-endian), type (4), data, CRC of type and data (4). */
typedef struct png_chunk {
  uint32_t type;
  const unsigned char *data;
  uint32_t n_bytes;
} png_chunk;

#define CHUNK_OVERHEAD 12
#define TYPE(a, b, c, d)                                                                           \
  ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define ANCILLARY 0x20000000u /* a small first letter: may be skipped */

static uint32_t get_big_endian(const unsigned char *bytes) {
  return TYPE(bytes[0], bytes[1], bytes[2], bytes[3]);
}

/* Takes the next chunk off `*next`; false if it is cut short or its CRC is wrong. */
static bool take_chunk(const unsigned char **next, const unsigned char *end, png_chunk *chunk) {
  size_t left = (size_t)(end - *next);
  if (left < CHUNK_OVERHEAD)
    return false;
  chunk->n_bytes = get_big_endian(*next);
  if (chunk->n_bytes > left - CHUNK_OVERHEAD)
    return false;
  chunk->type = get_big_endian(*next + 4);
  chunk->data = *next + 8;
  *next += CHUNK_OVERHEAD + chunk->n_bytes;
  return crc32_gzip_refl(0, chunk->data - 4, (uint64_t)chunk->n_bytes + 4) ==
         get_big_endian(*next - 4);
}

static bool is_plain(const png_chunk *header, int64_t height, int64_t width, int64_t channels) {
  if (header->type != TYPE('I', 'H', 'D', 'R') || header->n_bytes != 13)
    return false;
  const unsigned char *data = header->data;
  /* Bits per value, colour type (grey or RGB), and no other compression, filters or interlacing. */
  const unsigned char rest[5] = {8, channels == 3 ? 2 : 0, 0, 0, 0};
  return get_big_endian(data) == (uint64_t)width && get_big_endian(data + 4) == (uint64_t)height &&
         memcmp(data + 8, rest, sizeof rest) == 0;
}

/* Feeds one IDAT chunk to the stream. The image's last one must end it, exactly. */
static bool inflate_chunk(struct inflate_state *stream, const png_chunk *chunk) {
  if (stream->block_state == ISAL_BLOCK_FINISH)
    return false;
  /* ISA-L only reads, but its pointer is not const. */
  stream->next_in = (uint8_t *)(uintptr_t)chunk->data;
  stream->avail_in = chunk->n_bytes;
  return isal_inflate(stream) == ISAL_DECOMP_OK && stream->avail_in == 0;
}

/* Inflates all IDAT chunks into `filtered`, to the end of the file. */
static bool inflate_image(const unsigned char *next, const unsigned char *end, uint8_t *filtered,
                          uint32_t n_filtered) {
  struct inflate_state stream; /* 85 KiB: the stack is warmer than fresh memory */
  isal_inflate_init(&stream);
  stream.crc_flag = ISAL_ZLIB;
  stream.next_out = filtered;
  stream.avail_out = n_filtered;
  bool begun = false;
  png_chunk chunk;
  while (take_chunk(&next, end, &chunk)) {
    bool finished = stream.block_state == ISAL_BLOCK_FINISH;
    if (chunk.type == TYPE('I', 'D', 'A', 'T')) {
      if (!inflate_chunk(&stream, &chunk))
        return false;
      begun = true;
    } else if (chunk.type == TYPE('I', 'E', 'N', 'D')) {
      return finished && stream.avail_out == 0;
    } else if (!(chunk.type & ANCILLARY) || chunk.type == TYPE('t', 'R', 'N', 'S') ||
               begun != finished) {
      return false;
    }
  }
  return false;
}

/* The Paeth predictor: of a (left), b (above) and c (above left) the nearest to a + b - c, in this
 * order where they tie. With s = 3 c - a - b that is the smaller of a and b where s reaches the
 * larger, the larger where s falls to the smaller, else c. Two selections are a short way from the
 * pixel just decoded to the next; the second is spelt with a mask because gcc 12 makes a branch of
 * it otherwise, which noise mispredicts. */
static inline int paeth(int a, int b, int c) {
  int s = 3 * c - a - b;
  int low = a < b ? a : b;
  int high = a < b ? b : a;
  int nearest = s >= high ? low : c;
  return nearest ^ ((nearest ^ high) & -(s <= low));
}

/* The left pixel stays in registers: read back from `row` it would wait for the store. */
static inline void undo_paeth(uint8_t *row, const uint8_t *above, const uint8_t *filtered,
                              size_t n_bytes, size_t step) {
  uint8_t left[3] = {0}, above_left[3] = {0};
  for (size_t i = 0; i < n_bytes; i += step)
    for (size_t c = 0; c < step; c++) {
      left[c] = (uint8_t)(filtered[i + c] + paeth(left[c], above[i + c], above_left[c]));
      above_left[c] = above[i + c];
      row[i + c] = left[c];
    }
}

static inline void undo_average(uint8_t *row, const uint8_t *above, const uint8_t *filtered,
                                size_t n_bytes, size_t step) {
  for (size_t i = 0; i < step; i++)
    row[i] = (uint8_t)(filtered[i] + above[i] / 2);
  for (size_t i = step; i < n_bytes; i++)
    row[i] = (uint8_t)(filtered[i] + (row[i - step] + above[i]) / 2);
}

static inline void undo_sub(uint8_t *row, const uint8_t *filtered, size_t n_bytes, size_t step) {
  memcpy(row, filtered, step);
  for (size_t i = step; i < n_bytes; i++)
    row[i] = (uint8_t)(filtered[i] + row[i - step]);
}

static void undo_up(uint8_t *row, const uint8_t *above, const uint8_t *filtered, size_t n_bytes) {
  for (size_t i = 0; i < n_bytes; i++)
    row[i] = (uint8_t)(filtered[i] + above[i]);
}

/* `step` is the distance to the pixel on the left, in bytes. */
static inline bool undo_filter(uint8_t *restrict row, const uint8_t *restrict above,
                               const uint8_t *restrict filtered, size_t n_bytes, size_t step) {
  switch (filtered[0]) {
  case 0:
    memcpy(row, filtered + 1, n_bytes);
    return true;
  case 1:
    undo_sub(row, filtered + 1, n_bytes, step);
    return true;
  case 2:
    undo_up(row, above, filtered + 1, n_bytes);
    return true;
  case 3:
    undo_average(row, above, filtered + 1, n_bytes, step);
    return true;
  case 4:
    undo_paeth(row, above, filtered + 1, n_bytes, step);
    return true;
  default:
    return false;
  }
}

/* Every filtered row begins with its filter's number; `zeros` stands above the first. */
static bool undo_filters(uint8_t *pixels, const uint8_t *filtered, const uint8_t *zeros,
                         size_t n_rows, size_t row_bytes, int64_t channels) {
  const uint8_t *above = zeros;
  for (size_t y = 0; y < n_rows; y++) {
    uint8_t *row = pixels + y * row_bytes;
    const uint8_t *source = filtered + y * (row_bytes + 1);
    /* The step as a constant, so that the compiler keeps the left pixel in a register. */
    if (!(channels == 1 ? undo_filter(row, above, source, row_bytes, 1)
                        : undo_filter(row, above, source, row_bytes, 3)))
      return false;
    above = row;
  }
  return true;
}

bool vane_png_decode_plain(const void *bytes, size_t n_bytes, int64_t height, int64_t width,
                           int64_t channels, uint8_t *pixels) {
  const unsigned char *next = (const unsigned char *)bytes + 8; /* behind the signature */
  const unsigned char *end = (const unsigned char *)bytes + n_bytes;
  png_chunk header;
  if (!take_chunk(&next, end, &header) || !is_plain(&header, height, width, channels))
    return false;
  size_t row_bytes = (size_t)(width * channels);
  size_t n_filtered = (size_t)height * (row_bytes + 1);
  if (n_filtered > UINT32_MAX)
    return false;
  uint8_t *filtered = malloc(n_filtered + row_bytes);
  if (!filtered)
    return false;
  uint8_t *zeros = filtered + n_filtered;
  memset(zeros, 0, row_bytes);
  bool done = inflate_image(next, end, filtered, (uint32_t)n_filtered) &&
              undo_filters(pixels, filtered, zeros, (size_t)height, row_bytes, channels);
  free(filtered);
  return done;
}
