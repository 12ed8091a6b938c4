#include "autograd/ops/linear_cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/gemm.h"
#include "autograd/math.h"
#include "autograd/ops/binary.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/logits.h"
#include "autograd/rows.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

void check_projection(const char* op, const Tensor& x, const Tensor& weight) {
  require(weight.rank() == 2 && x.rank() >= 1 && x.dim(-1) == weight.dim(1), op, ": x ", x.shape(),
          " against W ", weight.shape());
}

void check_targets(const char* op, const Tensor& x, const Tensor& weight, const Tensor& targets) {
  check_projection(op, x, weight);
  require(targets.shape().append(x.dim(-1)) == x.shape(), op, ": x ", x.shape(), " against targets ",
          targets.shape());
  check_tokens(op, targets, weight.dim(0), true);
}

/// dx and dw, where they are defined, receive the gradients of `unit` times the sum of the result.
Tensor cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& targets, Tensor& dx, Tensor& dw,
                     double unit) {
  Tensor nll = Tensor::empty(targets.shape(), DType::float64, x.device());
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(),
           cross_entropy<T>(x.data<T>(), weight.data<T>(), targets.data<int32_t>(),
                            nll.mutable_data<double>(), dx.defined() ? dx.mutable_data<T>() : nullptr,
                            dw.defined() ? dw.mutable_data<T>() : nullptr, unit, targets.size(), x.dim(-1),
                            weight.dim(0)));
  });
  return nll;
}

void logits_backward(BackwardStep& step) {
  const Tensor &x = step.saved(0), &w = step.saved(1), &dy = step.gradient();
  const int64_t rows = x.shape().rows(), v = w.dim(0), c = w.dim(1);
  for_float(x.dtype(), [&]<class T>(T) {
    if (step.needs(0)) {
      Destination dx = step.into(0);
      const Gemm product{.m = rows, .n = c, .k = v, .beta = dx.beta()};
      LAUNCH(x.device(), gemm<T>(product, dy.data<T>(), w.data<T>(), dx.data<T>()));
    }
    if (step.needs(1)) {
      Destination dw = step.into(1);
      const Gemm product{.m = v, .n = c, .k = rows, .transpose_a = true, .beta = dw.beta()};
      LAUNCH(x.device(), gemm<T>(product, dy.data<T>(), x.data<T>(), dw.data<T>()));
    }
  });
}

}  // namespace

void hand_over_scaled(BackwardStep& step) {
  const Tensor& factor = step.gradient();
  for (size_t i = 0; i < 2; ++i) {
    if (!step.needs(i)) continue;
    Tensor gradient = step.saved(i);
    for_float(gradient.dtype(), [&]<class T>(T) {
      LAUNCH(gradient.device(), scale_by<T>(factor.data<T>(), gradient.mutable_data<T>(), gradient.size()));
    });
    step.add(i, gradient);
  }
}

int64_t count_targets(const char* op, const Tensor& targets) {
  const std::vector<int32_t> values = targets.values<int32_t>();
  const auto counted =
      std::count_if(values.begin(), values.end(), [](int32_t target) { return target >= 0; });
  check(counted > 0, Exit::input, op, ": none of the ", targets.size(),
        " targets is counted, all are negative");
  return counted;
}

Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& targets) {
  check_targets("linear_cross_entropy", x, weight, targets);
  const int64_t counted = count_targets("linear_cross_entropy", targets);
  Tensor dx = Tape::needs_gradient(x) ? Tensor::empty_like(x) : Tensor();
  Tensor dw = Tape::needs_gradient(weight) ? Tensor::empty_like(weight) : Tensor();
  const Tensor nll = cross_entropy(x, weight, targets.to(x.device()), dx, dw, 1.0 / counted);
  Tensor loss = Tensor::empty({}, x.dtype(), x.device());
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), mean_nll<T>(nll.data<double>(), nll.size(), counted, loss.mutable_data<T>()));
  });
  record("linear_cross_entropy", {x, weight}, loss, {dx, dw}, hand_over_scaled);
  return loss;
}

Tensor token_nll(const Tensor& x, const Tensor& weight, const Tensor& targets) {
  check_targets("token_nll", x, weight, targets);
  Tensor none;
  return cross_entropy(x, weight, targets.to(x.device()), none, none, 1);
}

Tensor output_logits(const Tensor& x, const Tensor& weight) {
  check_projection("output_logits", x, weight);
  const int64_t rows = x.shape().rows(), v = weight.dim(0), c = weight.dim(1);
  Tensor y = Tensor::empty(x.shape().with_last(v), x.dtype(), x.device());
  for_float(x.dtype(), [&]<class T>(T) {
    const Gemm product{.m = rows, .n = v, .k = c, .transpose_b = true};
    LAUNCH(x.device(), gemm<T>(product, x.data<T>(), weight.data<T>(), y.mutable_data<T>()));
  });
  record("output_logits", {x, weight}, y, {x, weight}, logits_backward);
  return y;
}

namespace cpu {
namespace {

/// The row's NLL; turns its logits into unit (softmax - one at the target) if `gradient`.
template <class T>
double softmax_row(T* row, int32_t target, int64_t n, bool gradient, double unit) {
  if (target < 0) {
    if (gradient) std::fill(row, row + n, T(0));
    return 0;
  }
  const T largest = row_max(row, n);
  const double at_target = row[target] - largest;
  const double sum = sum_of_row<T>(n, [=](int64_t i) { return row[i] = fast_exp(row[i] - largest); });
  if (gradient) {
    const T factor = static_cast<T>(unit / sum);
    write(row, 0, n, false, [=](int64_t i) { return factor * row[i]; });
    row[target] -= static_cast<T>(unit);
  }
  return std::log(sum) - at_target;
}

}  // namespace

template <class T>
void scale_by(const T* factor, T* x, int64_t n) {
  if (*factor != 1) scale<T>(x, *factor, x, n, false);
}

template <class T>
void mean_nll(const double* nll, int64_t n, int64_t counted, T* mean) {
  *mean = static_cast<T>(std::accumulate(nll, nll + n, 0.0) / counted);
}

template <class T>
void cross_entropy(const T* x, const T* w, const int32_t* targets, double* nll, T* dx, T* dw, double unit,
                   int64_t rows, int64_t c, int64_t v) {
  const int64_t block = logit_rows<T>(Device::cpu(), rows, v);
  const bool gradient = dx != nullptr || dw != nullptr;
  Storage memory(Device::cpu(), block * v * sizeof(T));
  T* logits = static_cast<T*>(memory.mutable_data());
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    const T* x_block = x + first * c;
    gemm<T>({.m = count, .n = v, .k = c, .transpose_b = true}, x_block, w, logits);
    parallel_for(count, std::max<int64_t>(1, kPieceSize / v), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        nll[first + row] = softmax_row(logits + row * v, targets[first + row], v, gradient, unit);
    });
    if (dx != nullptr) gemm<T>({.m = count, .n = c, .k = v}, logits, w, dx + first * c);
    if (dw != nullptr) {
      const Gemm product{.m = v, .n = c, .k = count, .transpose_a = true, .beta = first > 0 ? 1.0 : 0.0};
      gemm<T>(product, logits, x_block, dw);
    }
  }
}

}  // namespace cpu
}  // namespace tapestry
