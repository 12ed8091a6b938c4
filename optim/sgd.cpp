#include "optim/sgd.h"

#include "optim/pieces.h"

namespace tapestry {

Sgd::Sgd(std::vector<NamedParameter> parameters, SgdOptions options)
    : Optimizer(std::move(parameters)), options_(options) {
  require(!options.nesterov || (options.momentum > 0 && options.dampening == 0),
          "nesterov needs a momentum above 0 and no dampening");
  if (options.momentum != 0) momentum_ = add_state("momentum");
}

void Sgd::update(const std::vector<size_t>& which, double learning_rate, double gradient_scale) {
  const Tensor& first = parameters()[which.front()].parameter.value();
  for_float(first.dtype(), [&]<class T>(T) {
    std::vector<SgdBlock<T>> blocks;
    for (const size_t i : which) {
      Parameter parameter = parameters()[i].parameter;
      const double decay = decay_of(parameter, options_.weight_decay, options_.decay_vectors);
      blocks.push_back({{options_, decay, learning_rate * rate(i), gradient_scale, steps()},
                        parameter.mutable_value().mutable_data<T>(),
                        parameter.gradient().data<T>(),
                        momentum_.empty() ? nullptr : momentum_[i].mutable_data<T>(),
                        parameter.shape().size()});
    }
    LAUNCH(first.device(), sgd_update<T>(blocks.data(), blocks.size()));
  });
}

namespace cpu {

template <class T>
void sgd_update(const SgdBlock<T>* blocks, size_t count) {
  for_pieces(blocks, count, [](SgdBlock<T> to, int64_t begin, int64_t end) {
    if (to.buffer) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) to.element(to.p[i], to.g[i], to.buffer[i]);
    } else {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) to.element(to.p[i], to.g[i]);
    }
  });
}

}  // namespace cpu
}  // namespace tapestry
