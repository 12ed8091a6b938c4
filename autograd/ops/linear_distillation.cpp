#include "autograd/ops/linear_distillation.h"

#include <numeric>

#include "autograd/gemm.h"
#include "autograd/ops/distilled_row.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/ops/logits.h"
#include "autograd/rows.h"

namespace tapestry {
namespace {

void check_shapes(const Tensor& x, const Tensor& weight, const Tensor& teacher_x,
                  const Tensor& teacher_weight, const Tensor& targets) {
  const auto fits = [&](const Tensor& hidden, const Tensor& w) {
    return w.rank() == 2 && hidden.rank() >= 1 && targets.shape().append(w.dim(1)) == hidden.shape();
  };
  require(fits(x, weight) && fits(teacher_x, teacher_weight) && weight.dim(0) == teacher_weight.dim(0),
          "linear_distillation: x ", x.shape(), " and W ", weight.shape(), ", the teacher's ",
          teacher_x.shape(), " and ", teacher_weight.shape(), ", against targets ", targets.shape());
  check_tokens("linear_distillation", targets, weight.dim(0), true);
}

double sum_of(const Tensor& x) {
  const std::vector<double> values = x.values<double>();
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

DistilledLoss linear_distillation(const Tensor& x, const Tensor& weight, const Tensor& teacher_x,
                                  const Tensor& teacher_weight, const Tensor& targets,
                                  const DistillationOptions& options) {
  check_shapes(x, weight, teacher_x, teacher_weight, targets);
  require(options.weight >= 0 && options.weight <= 1 && options.temperature > 0,
          "linear_distillation: weight ", options.weight, " and temperature ", options.temperature);
  const auto counted = static_cast<double>(count_targets("linear_distillation", targets));
  const Tensor here = targets.to(x.device());
  Tensor dx = Tape::needs_gradient(x) ? Tensor::empty_like(x) : Tensor();
  Tensor dw = Tape::needs_gradient(weight) ? Tensor::empty_like(weight) : Tensor();
  Tensor nll = Tensor::empty(targets.shape(), DType::float64, x.device()), kl = Tensor::empty_like(nll);
  for_float(x.dtype(), [&]<class T>(T) {
    const ProjectedRows<T> student{x.data<T>(), weight.data<T>(), x.dim(-1)};
    const ProjectedRows<T> teacher{teacher_x.data<T>(), teacher_weight.data<T>(), teacher_x.dim(-1)};
    LAUNCH(x.device(),
           distillation<T>(student, teacher, here.data<int32_t>(), nll.mutable_data<double>(),
                           kl.mutable_data<double>(), dx.defined() ? dx.mutable_data<T>() : nullptr,
                           dw.defined() ? dw.mutable_data<T>() : nullptr, 1 / counted, options,
                           targets.size(), weight.dim(0)));
  });
  DistilledLoss result{{}, sum_of(nll) / counted, sum_of(kl) / counted};
  const double softened = options.temperature * options.temperature * result.kl;
  result.loss =
      Tensor::full({}, (1 - options.weight) * result.nll + options.weight * softened, x.dtype(), x.device());
  record("linear_distillation", {x, weight}, result.loss, {dx, dw}, hand_over_scaled);
  return result;
}

namespace cpu {
namespace {

template <class T>
SoftmaxRow<T> softmax_row(const T* z, int64_t n, double sharpness) {
  SoftmaxRow<T> row{z, row_max(z, n), static_cast<T>(sharpness), 0};
  row.sum = sum_of_row<T>(n, [&](int64_t i) { return row.weight(i); });
  return row;
}

/// The row's losses; with `gradient`, the student's logits become the gradient of `unit` times their mix.
template <class T>
void distill_row(T* student, const T* teacher, int32_t target, int64_t n, double* nll, double* kl,
                 bool gradient, double unit, const DistillationOptions& options) {
  const double sharpness = 1 / options.temperature;
  const DistilledRow<T> row{softmax_row<T>(student, n, 1), softmax_row<T>(student, n, sharpness),
                            softmax_row<T>(teacher, n, sharpness)};
  *nll = -row.plain.log(target);
  *kl = row.divergence(sum_of_row<T>(n, [&](int64_t i) { return row.divergence_term(i); }));
  if (!gradient) return;
  const DistilledSlope<T> slope(row, unit, options);
  write(student, 0, n, false, [=](int64_t i) { return slope(i); });
  student[target] -= slope.target;
}

}  // namespace

template <class T>
void distillation(const ProjectedRows<T>& student, const ProjectedRows<T>& teacher, const int32_t* targets,
                  double* nll, double* kl, T* dx, T* dw, double unit, const DistillationOptions& options,
                  int64_t rows, int64_t v) {
  const int64_t block = logit_rows<T>(Device::cpu(), rows, v), c = student.width;
  const bool gradient = dx != nullptr || dw != nullptr;
  Storage memory(Device::cpu(), 2 * block * v * sizeof(T));
  T* ours = static_cast<T*>(memory.mutable_data());
  T* theirs = ours + block * v;
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    const auto project = [&](const ProjectedRows<T>& from, T* to) {
      gemm<T>({.m = count, .n = v, .k = from.width, .transpose_b = true}, from.x + first * from.width,
              from.weight, to);
    };
    project(student, ours);
    project(teacher, theirs);
    parallel_for(count, std::max<int64_t>(1, kPieceSize / v), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = first + i;
        if (targets[row] < 0) {
          nll[row] = kl[row] = 0;
          std::fill_n(ours + i * v, v, T(0));
          continue;
        }
        distill_row(ours + i * v, theirs + i * v, targets[row], v, nll + row, kl + row, gradient, unit,
                    options);
      }
    });
    if (dx != nullptr) gemm<T>({.m = count, .n = c, .k = v}, ours, student.weight, dx + first * c);
    if (dw != nullptr) {
      const Gemm product{.m = v, .n = c, .k = count, .transpose_a = true, .beta = first > 0 ? 1.0 : 0.0};
      gemm<T>(product, ours, student.x + first * c, dw);
    }
  }
}

}  // namespace cpu
}  // namespace tapestry
