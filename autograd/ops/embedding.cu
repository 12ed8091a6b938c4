#include "autograd/cuda/kernel.cuh"
#include "autograd/cuda/sort.h"
#include "autograd/memory.h"
#include "autograd/ops/embedding.h"

namespace tapestry::cuda {

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
  for_each_block("embedding_backward", vocab, row_threads(c), 0, [=] __device__(int64_t token) {
    const int32_t begin = start[token], end = start[token + 1];
    if (begin == end && accumulate) return;
    block_for(c, [=](int64_t i) {
      T sum = 0;
      for (int32_t at = begin; at < end; ++at) sum += dy[order[at] * c + i];
      put(dw[token * c + i], sum, accumulate);
    });
  });
}

#define INSTANTIATE(T)                                                             \
  template void embedding_forward(const int32_t*, const T*, T*, int64_t, int64_t); \
  template void embedding_backward(const int32_t*, const T*, T*, int64_t, int64_t, int64_t, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
