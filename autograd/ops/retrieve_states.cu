#include "autograd/cuda/pick.cuh"
#include "autograd/math.h"
#include "autograd/ops/chunks.h"
#include "autograd/ops/retrieve_states.h"

namespace tapestry::cuda {

template <class T>
void retrieval_weights(const ScoreBlock& b, T* scores, int64_t topk) {
  const int64_t columns = b.columns, rows = b.rows, first = b.first;
  for_each_block("retrieval_weights", b.heads * rows, row_threads(columns), set_bytes_of(columns),
                 [=] __device__(int64_t i) {
                   T* s = scores + i * columns;
                   uint32_t* set = dynamic_shared<uint32_t>();
                   const int64_t readable = first + i % rows + 1;
                   const auto key = [=](int64_t j) {
                     const double value = double(s[j]) + kTieBreak * double(j);
                     return value == value ? value : std::numeric_limits<double>::infinity();  // NaN stays
                   };
                   pick_largest(columns, 0, readable, topk, key, set);
                   const T hidden = -std::numeric_limits<T>::infinity();
                   const T largest = block_reduce_row(
                       readable, hidden, [=](int64_t j) { return contains(set, j) ? s[j] : hidden; }, Max{});
                   const T sum = block_sum<T>(readable, [=](int64_t j) {
                     return contains(set, j) ? fast_exp(s[j] - largest) : T(0);
                   });
                   block_for(columns, [=](int64_t j) {
                     s[j] = contains(set, j) ? fast_exp(s[j] - largest) / sum : T(0);
                   });
                 });
}

#define INSTANTIATE(T) template void retrieval_weights(const ScoreBlock&, T*, int64_t);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
