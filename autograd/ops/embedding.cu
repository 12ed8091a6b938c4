#include "autograd/cuda/kernel.cuh"
#include "autograd/cuda/sort.h"
#include "autograd/memory.h"
#include "autograd/ops/embedding.h"

namespace tapestry::cuda {
namespace {

/// The most rows that are added one after the other; those of a more frequent token are shared out.
constexpr int64_t kLongRun = 128;

/// The gradient of the tokens that come more than kLongRun times. In sorted order the run of each holds a
/// place that is a multiple of kLongRun, and the blocks of its first one add it up, a warp of columns each.
template <class T>
void add_long_runs(const int32_t* tokens, const int32_t* order, const int32_t* start, const T* dy, T* dw,
                   int64_t count, int64_t c, bool accumulate) {
  constexpr int warps = kThreads / kWarp;
  const int64_t strips = ceil_div(c, kWarp);
  for_each_block("embedding_backward runs", ceil_div(count, kLongRun) * strips, kThreads, 0,
                 [=] __device__(int64_t block) {
                   SHARED_ARRAY(T, partial, kThreads);
                   const int64_t place = block / strips * kLongRun, token = tokens[order[place]];
                   const int64_t begin = start[token], end = start[token + 1];
                   if (end - begin <= kLongRun || place - begin >= kLongRun) return;
                   const int64_t warp = threadIdx.x / kWarp, i = block % strips * kWarp + threadIdx.x % kWarp;
                   T sum = 0;
                   for (int64_t at = begin + warp; i < c && at < end; at += warps)
                     sum += dy[order[at] * c + i];
                   partial[threadIdx.x] = sum;
                   __syncthreads();
                   if (warp > 0 || i >= c) return;
                   for (int other = 1; other < warps; ++other) sum += partial[other * kWarp + threadIdx.x];
                   put(dw[token * c + i], sum, accumulate);
                 });
}

}  // namespace

void find_bad_token(const int32_t* tokens, int64_t count, int64_t lowest, int64_t vocab, int64_t* position) {
  DeviceArray<int64_t> first_array(1);
  int64_t* first = first_array.data();
  for_each_block("find_bad_token", 1, kMaxThreads, 0, [=] __device__(int64_t) {
    int64_t bad = count;
    for (int64_t i = threadIdx.x; i < count && bad == count; i += blockDim.x) {
      if (tokens[i] < lowest || tokens[i] >= vocab) bad = i;
    }
    bad = -block_reduce(-bad, Max{});
    if (threadIdx.x == 0) *first = bad;
  });
  copy_bytes(Device::cpu(), position, Device::cuda(), first, sizeof *position);
  if (*position == count) *position = -1;
}

template <class T>
void embedding_forward(const int32_t* tokens, const T* w, T* y, int64_t count, int64_t c) {
  for_each_index("embedding_forward", count * c,
                 [=] __device__(int64_t i) { y[i] = w[tokens[i / c] * c + i % c]; });
}

template <class T>
void embedding_backward(const int32_t* tokens, const T* dy, T* dw, int64_t count, int64_t vocab, int64_t c,
                        bool accumulate) {
  DeviceArray<int32_t> order_array(count), start_array(vocab + 1);
  int32_t *order = order_array.data(), *start = start_array.data();
  sort_places(tokens, count, vocab, order, start);
  for_each_row("embedding_backward", vocab, c, [=] __device__(int64_t token) {
    const int32_t begin = start[token], end = start[token + 1];
    if ((begin == end && accumulate) || end - begin > kLongRun) return;
    block_for(c, [=](int64_t i) {
      T sum = 0;
      for (int32_t at = begin; at < end; ++at) sum += dy[order[at] * c + i];
      put(dw[token * c + i], sum, accumulate);
    });
  });
  add_long_runs(tokens, order, start, dy, dw, count, c, accumulate);
}

#define INSTANTIATE(T)                                                             \
  template void embedding_forward(const int32_t*, const T*, T*, int64_t, int64_t); \
  template void embedding_backward(const int32_t*, const T*, T*, int64_t, int64_t, int64_t, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
