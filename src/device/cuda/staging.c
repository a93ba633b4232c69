#include "device/cuda/staging.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

/* Half a staging: the uploads of a step of R64, or a part of a larger one. */
#define HALF_BYTES ((size_t)4 << 20)

/* A step record many times over; what is larger takes the slow way. */
#define MAILBOX_BYTES ((size_t)64 << 10)
enum { MAX_LETTERS = 8 };

typedef struct half {
  unsigned char *pinned, *landing;
  size_t used;
  cudaEvent_t crossed; /* on the copy stream: its last bytes are on the GPU */
  cudaEvent_t fetched; /* on the compute stream: they have left the landing place */
} half;

typedef struct letter {
  void *to_host;
  size_t offset, bytes;
} letter;

struct cuda_staging {
  unsigned char *pinned, *landing, *mailbox;
  half halves[2];
  int current;
  letter letters[MAX_LETTERS]; /* in the mailbox, not handed out yet */
  int n_letters;
  size_t mailbox_used;
};

static size_t aligned(size_t bytes) {
  return (bytes + VANE_ARENA_ALIGNMENT - 1) / VANE_ARENA_ALIGNMENT * VANE_ARENA_ALIGNMENT;
}

static vane_status fill(cuda_staging *s) {
  CUDA_TRY(cudaHostAlloc((void **)&s->pinned, 2 * HALF_BYTES, cudaHostAllocDefault));
  CUDA_TRY(cudaHostAlloc((void **)&s->mailbox, MAILBOX_BYTES, cudaHostAllocDefault));
  CUDA_TRY(cudaMalloc((void **)&s->landing, 2 * HALF_BYTES));
  for (int i = 0; i < 2; i++) {
    half *h = &s->halves[i];
    h->pinned = s->pinned + (size_t)i * HALF_BYTES;
    h->landing = s->landing + (size_t)i * HALF_BYTES;
    CUDA_TRY(cudaEventCreateWithFlags(&h->crossed, cudaEventDisableTiming));
    CUDA_TRY(cudaEventCreateWithFlags(&h->fetched, cudaEventDisableTiming));
  }
  return VANE_OK;
}

vane_status vane_cuda_staging_create(cuda_staging **staging) {
  *staging = NULL;
  cuda_staging *made = calloc(1, sizeof *made);
  if (!made)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the staging of uploads");
  vane_status status = fill(made);
  if (status != VANE_OK) {
    vane_cuda_staging_destroy(made);
    return status;
  }
  *staging = made;
  return VANE_OK;
}

void vane_cuda_staging_destroy(cuda_staging *staging) {
  if (!staging)
    return;
  for (int i = 0; i < 2; i++) {
    if (staging->halves[i].crossed)
      cudaEventDestroy(staging->halves[i].crossed);
    if (staging->halves[i].fetched)
      cudaEventDestroy(staging->halves[i].fetched);
  }
  if (staging->landing)
    cudaFree(staging->landing);
  if (staging->mailbox)
    cudaFreeHost(staging->mailbox);
  if (staging->pinned)
    cudaFreeHost(staging->pinned);
  free(staging);
}

/* The half that has room for `bytes`, which is at most a whole one. */
static vane_status make_room(cuda_device *device, size_t bytes, half **room) {
  cuda_staging *s = device->staging;
  half *h = &s->halves[s->current];
  if (h->used + bytes > HALF_BYTES) {
    s->current = 1 - s->current;
    h = &s->halves[s->current];
    CUDA_TRY(cudaEventSynchronize(h->crossed));
    CUDA_TRY(cudaStreamWaitEvent(device->copy, h->fetched, 0));
    h->used = 0;
  }
  *room = h;
  return VANE_OK;
}

static vane_status upload_part(cuda_device *device, unsigned char *to, const unsigned char *from,
                               size_t bytes) {
  half *h = NULL; /* gcc does not see that a failure returns */
  VANE_TRY(make_room(device, aligned(bytes), &h));
  unsigned char *pinned = h->pinned + h->used, *landing = h->landing + h->used;
  h->used += aligned(bytes);
  memcpy(pinned, from, bytes);
  CUDA_TRY(cudaMemcpyAsync(landing, pinned, bytes, cudaMemcpyHostToDevice, device->copy));
  CUDA_TRY(cudaEventRecord(h->crossed, device->copy));
  CUDA_TRY(cudaStreamWaitEvent(device->compute, h->crossed, 0));
  CUDA_TRY(cudaMemcpyAsync(to, landing, bytes, cudaMemcpyDeviceToDevice, device->compute));
  CUDA_TRY(cudaEventRecord(h->fetched, device->compute));
  return VANE_OK;
}

vane_status vane_cuda_upload(vane_device *base, void *to, const void *from_host, size_t bytes) {
  for (size_t done = 0; done < bytes; done += HALF_BYTES) {
    size_t part = bytes - done < HALF_BYTES ? bytes - done : HALF_BYTES;
    VANE_TRY(upload_part(vane_cuda_of(base), (unsigned char *)to + done,
                         (const unsigned char *)from_host + done, part));
  }
  return VANE_OK;
}

vane_status vane_cuda_download(vane_device *base, void *to_host, const void *from, size_t bytes) {
  cuda_device *device = vane_cuda_of(base);
  cuda_staging *s = device->staging;
  if (bytes == 0)
    return VANE_OK;
  if (s->n_letters == MAX_LETTERS || s->mailbox_used + bytes > MAILBOX_BYTES) {
    /* To memory that is not pinned: CUDA waits for the stream by itself. */
    CUDA_TRY(cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDeviceToHost, device->compute));
    return VANE_OK;
  }
  unsigned char *pinned = s->mailbox + s->mailbox_used;
  CUDA_TRY(cudaMemcpyAsync(pinned, from, bytes, cudaMemcpyDeviceToHost, device->compute));
  s->letters[s->n_letters++] = (letter){to_host, s->mailbox_used, bytes};
  s->mailbox_used += aligned(bytes);
  return VANE_OK;
}

vane_status vane_cuda_synchronize(vane_device *base) {
  cuda_device *device = vane_cuda_of(base);
  cuda_staging *s = device->staging;
  CUDA_TRY(cudaStreamSynchronize(device->compute));
  for (int i = 0; i < s->n_letters; i++)
    memcpy(s->letters[i].to_host, s->mailbox + s->letters[i].offset, s->letters[i].bytes);
  s->n_letters = 0;
  s->mailbox_used = 0;
  return VANE_OK;
}
