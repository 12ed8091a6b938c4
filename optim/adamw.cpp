#include "optim/adamw.h"

#include "optim/pieces.h"

namespace tapestry {

AdamW::AdamW(std::vector<NamedParameter> parameters, AdamWOptions options)
    : Optimizer(std::move(parameters)), options_(options), m_(add_state("m")), v_(add_state("v")) {}

void AdamW::update(const std::vector<size_t>& which, double learning_rate, const Tensor& gradient_scale) {
  const Tensor& first = parameters()[which.front()].parameter.value();
  for_float(first.dtype(), [&]<class T>(T) {
    std::vector<AdamWBlock<T>> blocks;
    for (const size_t i : which) {
      Parameter parameter = parameters()[i].parameter;
      const double decay = decay_of(parameter, options_.weight_decay, options_.decay_vectors);
      blocks.push_back({{options_, decay, learning_rate * rate(i), steps()},
                        parameter.mutable_value().mutable_data<T>(),
                        parameter.gradient().data<T>(),
                        m_[i].mutable_data<T>(),
                        v_[i].mutable_data<T>(),
                        parameter.shape().size()});
    }
    LAUNCH(first.device(), adamw_update<T>(blocks.data(), blocks.size(), gradient_scale.data<double>()));
  });
}

namespace cpu {

template <class T>
void adamw_update(const AdamWBlock<T>* blocks, size_t count, const double* gradient_scale) {
  if (!std::isfinite(*gradient_scale)) return;
  const T scale = static_cast<T>(*gradient_scale);
  for_pieces(blocks, count, [scale](AdamWBlock<T> to, int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) to.element(to.p[i], scale * to.g[i], to.m[i], to.v[i]);
  });
}

}  // namespace cpu
}  // namespace tapestry
