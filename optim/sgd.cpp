#include "optim/sgd.h"

#include <cmath>

#include "optim/pieces.h"

namespace tapestry {

Sgd::Sgd(std::vector<NamedParameter> parameters, SgdOptions options)
    : Optimizer(std::move(parameters)), options_(options) {
  require(!options.nesterov || (options.momentum > 0 && options.dampening == 0),
          "nesterov needs a momentum above 0 and no dampening");
  if (options.momentum != 0) momentum_ = add_state("momentum");
}

void Sgd::update(const std::vector<size_t>& which, double learning_rate, const Tensor& gradient_scale) {
  const Tensor& first = parameters()[which.front()].parameter.value();
  for_float(first.dtype(), [&]<class T>(T) {
    std::vector<SgdBlock<T>> blocks;
    for (const size_t i : which) {
      Parameter parameter = parameters()[i].parameter;
      const double decay = decay_of(parameter, options_.weight_decay, options_.decay_vectors);
      blocks.push_back({{options_, decay, learning_rate * rate(i), steps()},
                        parameter.mutable_value().mutable_data<T>(),
                        parameter.gradient().data<T>(),
                        momentum_.empty() ? nullptr : momentum_[i].mutable_data<T>(),
                        parameter.shape().size()});
    }
    LAUNCH(first.device(), sgd_update<T>(blocks.data(), blocks.size(), gradient_scale.data<double>()));
  });
}

namespace cpu {

template <class T>
void sgd_update(const SgdBlock<T>* blocks, size_t count, const double* gradient_scale) {
  if (!std::isfinite(*gradient_scale)) return;
  const T scale = static_cast<T>(*gradient_scale);
  for_pieces(blocks, count, [scale](SgdBlock<T> to, int64_t begin, int64_t end) {
    if (to.buffer) {  // NOLINT(bugprone-branch-clone): it does not look behind the pragmas
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) to.element(to.p[i], scale * to.g[i], to.buffer[i]);
    } else {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) to.element(to.p[i], scale * to.g[i]);
    }
  });
}

}  // namespace cpu
}  // namespace tapestry
