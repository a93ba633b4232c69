/* What memory can do, with Adam's traffic: four arrays read, three of them written. Since they are
 * read before they are written, an ordinary store fetches nothing more, and stores past the caches
 * save nothing: on Zen 4, 32 Mi reals, they take a fifth to a third longer.
 */
#include <omp.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "device/cpu/cpu.h"
#include "device/cpu/cpu_share.h"

typedef struct stream_arrays {
  float *a, *b, *c;
  const float *from;
  float scale;
} stream_arrays;

static void stream_plainly(stream_arrays at, int64_t begin, int64_t end) {
  float *restrict a = at.a, *restrict b = at.b, *restrict c = at.c;
  const float *restrict from = at.from;
#pragma omp simd
  for (int64_t i = begin; i < end; i++) {
    a[i] += at.scale * from[i];
    b[i] += at.scale * from[i];
    c[i] += at.scale * from[i];
  }
}

#ifdef __SSE2__
static inline void stream_four(float *to, __m128 more) {
  _mm_stream_ps(to, _mm_add_ps(_mm_load_ps(to), more));
}

/* A line of each array at a time: the processor writes it as a whole. */
static void stream_past_caches(stream_arrays at, int64_t begin, int64_t end) {
  const __m128 scale = _mm_set1_ps(at.scale);
  const int64_t whole = begin + (end - begin) / 16 * 16;
  for (int64_t line = begin; line < whole; line += 16) {
    __m128 more[4];
    for (int i = 0; i < 4; i++)
      more[i] = _mm_mul_ps(scale, _mm_load_ps(at.from + line + 4 * i));
    for (int i = 0; i < 4; i++)
      stream_four(at.a + line + 4 * i, more[i]);
    for (int i = 0; i < 4; i++)
      stream_four(at.b + line + 4 * i, more[i]);
    for (int i = 0; i < 4; i++)
      stream_four(at.c + line + 4 * i, more[i]);
  }
  stream_plainly(at, whole, end);
  _mm_sfence(); /* other threads, which read them next, see these stores */
}
#else
#define stream_past_caches stream_plainly
#endif

vane_status vane_cpu_stream(vane_device *base, void *const to[3], const void *from, double scale,
                            int64_t count, bool past_caches) {
  const stream_arrays at = {to[0], to[1], to[2], from, (float)scale};
#pragma omp parallel num_threads(((const cpu_device *)base)->n_threads)
  {
    cpu_share share = cpu_share_of(count, omp_get_thread_num(), omp_get_num_threads());
    if (past_caches)
      stream_past_caches(at, share.begin, share.end);
    else
      stream_plainly(at, share.begin, share.end);
  }
  return VANE_OK;
}
