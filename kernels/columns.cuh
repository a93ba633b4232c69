// Sums over the rows of a matrix [n_rows, c] for each of its columns: batch norm over the positions
// of a channel, a bias over those of its gradient.
//
// The matrix is cut into tiles of columns and chunks of rows, a block each. Its threads form
// `width` columns of V neighbours each and `height` rows that walk down the chunk together, so that
// a warp reads whole lines. Each thread sums runs of RUN values in float and the runs in double:
// half an operation in double per value, which GPUs with a 64th of the rate can hide behind memory.
// The threads of a column are added in shared memory, the chunks by the block that arrives last.
#ifndef VANE_KERNELS_COLUMNS_CUH
#define VANE_KERNELS_COLUMNS_CUH

#include "common.cuh"

enum {
  COLUMN_LINE = 128,    // bytes of one access by a tile's row: what a GPU fetches at once
  COLUMN_PER_SM = 3,    // blocks: 85 registers a thread, with 64 the loads in flight spill
  COLUMN_BLOCKS = 320,  // fit at once into 108 SMs (A100) and more; the same on all GPUs, so that
                        // sums do not depend on their size
  COLUMN_RUN = 16,      // rows summed in float
  COLUMN_AT_ONCE = 4,   // of which loads are in flight together
  COLUMN_MIN_HEIGHT = 8 // rows per thread: fewer are not worth a block
};

// Who sums what; the same for all blocks.
typedef struct column_grid {
  int64_t n_rows, c;
  int64_t n_chunks, chunk_rows;
  unsigned n_tiles;
  int width, height; // threads
} column_grid;

// `most_width`: threads side by side; `chunk_height`: rows per thread that are worth a block of
// their own.
static inline column_grid column_grid_of(int64_t n_rows, int64_t c, int v, int64_t most_width,
                                         int64_t chunk_height, int64_t most_blocks,
                                         int64_t most_chunks) {
  column_grid grid = {};
  int64_t n_vectors = c / v;
  grid.n_rows = n_rows;
  grid.c = c;
  grid.n_tiles = (unsigned)((n_vectors + most_width - 1) / most_width);
  grid.width = (int)((n_vectors + grid.n_tiles - 1) / grid.n_tiles);
  grid.height = BLOCK / grid.width;
  int64_t chunks = most_blocks / grid.n_tiles, enough = n_rows / (grid.height * chunk_height);
  chunks = chunks < most_chunks ? chunks : most_chunks;
  chunks = chunks < enough ? chunks : enough;
  chunks = chunks > 1 ? chunks : 1;
  grid.chunk_rows = (n_rows + chunks - 1) / chunks;
  grid.n_chunks = chunks == 1 ? 1 : (n_rows + grid.chunk_rows - 1) / grid.chunk_rows;
  return grid;
}

// For sums of `n_sums` kinds over elements of `element_bytes`.
static inline column_grid column_grid_of_sums(int64_t n_rows, int64_t c, int v, int element_bytes,
                                              int n_sums) {
  return column_grid_of(n_rows, c, v, COLUMN_LINE / (v * element_bytes), COLUMN_MIN_HEIGHT,
                        COLUMN_BLOCKS, VANE_SCRATCH_PARTS / (n_sums * c));
}

static inline unsigned column_blocks(const column_grid &grid) {
  return (unsigned)(grid.n_tiles * grid.n_chunks);
}

// Where a thread of the grid works.
struct column_place {
  int across, down;          // among the block's threads
  int64_t column;            // its first
  int64_t chunk, begin, end; // rows
  bool idle;
};

static inline __device__ column_place column_place_of(const column_grid &grid, int v) {
  column_place at;
  at.across = (int)threadIdx.x % grid.width;
  at.down = (int)threadIdx.x / grid.width;
  at.column = ((int64_t)(blockIdx.x % grid.n_tiles) * grid.width + at.across) * v;
  at.chunk = blockIdx.x / grid.n_tiles;
  at.begin = at.chunk * grid.chunk_rows + at.down;
  at.end = (at.chunk + 1) * grid.chunk_rows;
  at.end = at.end < grid.n_rows ? at.end : grid.n_rows;
  at.idle = at.down >= grid.height || at.column >= grid.c;
  return at;
}

// Adds the rows of threads, K values each: row 0 of `shared` then holds the sums. All threads of
// the block take part; those beyond the height are not counted.
template <int K>
static inline __device__ void add_rows(double (&shared)[K][BLOCK], int width, int height) {
  for (int left = height; left > 1;) {
    int half = (left + 1) / 2, t = (int)threadIdx.x;
    __syncthreads();
    if (t < (left - half) * width)
      for (int k = 0; k < K; ++k)
        shared[k][t] += shared[k][t + half * width];
    left = half;
  }
  __syncthreads();
}

// The sums of one thread over n rows, the first one at `offset`.
template <int V, typename Terms>
static inline __device__ void sum_rows(Terms &terms, int64_t offset, int64_t step, int64_t n,
                                       double (&sums)[Terms::N_SUMS][V]) {
  while (n > 0) {
    float run[Terms::N_SUMS][V] = {};
    int left = n < COLUMN_RUN ? (int)n : COLUMN_RUN;
    n -= left;
#pragma unroll 1
    for (; left >= COLUMN_AT_ONCE; left -= COLUMN_AT_ONCE) {
#pragma unroll
      for (int i = 0; i < COLUMN_AT_ONCE; ++i)
        terms.add(offset + i * step, run);
      offset += COLUMN_AT_ONCE * step;
    }
#pragma unroll 1
    for (; left > 0; --left, offset += step)
      terms.add(offset, run);
#pragma unroll
    for (int k = 0; k < Terms::N_SUMS; ++k)
#pragma unroll
      for (int v = 0; v < V; ++v)
        sums[k][v] += (double)run[k][v];
  }
}

// What the last block does: adds the chunks' parts [n_chunks, c, N_SUMS].
template <typename Terms>
static inline __device__ void sum_chunks(const Terms &terms, const column_grid &grid,
                                         const double *parts, double (&shared)[1][BLOCK]) {
  constexpr int N_SUMS = Terms::N_SUMS;
  int64_t n_values = grid.c * N_SUMS;
  for (int64_t base = 0; base < n_values; base += BLOCK) {
    int width = (int)(n_values - base < BLOCK ? n_values - base : BLOCK);
    int height = BLOCK / width, t = (int)threadIdx.x;
    double sum = 0.0;
    if (t < width * height) {
      const double *from = parts + base + t % width;
#pragma unroll 8
      for (int64_t chunk = t / width; chunk < grid.n_chunks; chunk += height)
        sum += from[chunk * n_values];
    }
    shared[0][t] = sum;
    add_rows<1>(shared, width, height);
    if (t < width / N_SUMS) {
      double total[N_SUMS];
      for (int k = 0; k < N_SUMS; ++k)
        total[k] = shared[0][t * N_SUMS + k];
      terms.finish(base / N_SUMS + t, total);
    }
    __syncthreads(); // before the next columns overwrite what is read here
  }
}

// Calls terms.finish(column, sums) once per column. `Terms` has N_SUMS kinds of sums and
//   begin(offset, column)   before the first row, at `offset` in the matrix;
//   add(offset, run)        adds V values at `offset` to `run`;
//   end(n, sums)            after n rows;
//   finish(column, sums)    what becomes of the whole.
template <int V, typename Terms>
static inline __device__ void sum_columns(Terms terms, const column_grid &grid,
                                          vane_scratch scratch) {
  constexpr int N_SUMS = Terms::N_SUMS, K = N_SUMS * V;
  __shared__ double shared[K][BLOCK];
  __shared__ double last_shared[1][BLOCK];
  column_place at = column_place_of(grid, V);
  double sums[N_SUMS][V] = {};
  if (!at.idle && at.begin < at.end) {
    int64_t offset = at.begin * grid.c + at.column;
    int64_t n = (at.end - at.begin + grid.height - 1) / grid.height;
    terms.begin(offset, at.column);
    sum_rows<V>(terms, offset, grid.height * grid.c, n, sums);
    terms.end(n, at.column, sums);
  }
#pragma unroll
  for (int k = 0; k < N_SUMS; ++k)
#pragma unroll
    for (int v = 0; v < V; ++v)
      shared[v * N_SUMS + k][threadIdx.x] = sums[k][v];
  add_rows<K>(shared, grid.width, grid.height);
  bool writes = !at.idle && at.down == 0;
  if (grid.n_chunks == 1) {
    for (int v = 0; writes && v < V; ++v) {
      double total[N_SUMS];
      for (int k = 0; k < N_SUMS; ++k)
        total[k] = shared[v * N_SUMS + k][threadIdx.x];
      terms.finish(at.column + v, total);
    }
    return;
  }
  double *part = scratch.parts + (at.chunk * grid.c + at.column) * N_SUMS;
  for (int k = 0; writes && k < K; ++k)
    part[k] = shared[k][threadIdx.x];
  if (arrive_last(scratch))
    sum_chunks(terms, grid, scratch.parts, last_shared);
}

#endif
