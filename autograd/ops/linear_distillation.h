#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// How far a student follows its teacher.
struct DistillationOptions {
  double weight = 0.5;     // of the teacher, from 0 to 1; the data have the rest
  double temperature = 1;  // both predictions are softened by it
};

struct DistilledLoss {
  Tensor loss;     // a scalar
  double nll = 0;  // mean -log softmax(logits)[target]
  double kl = 0;   // mean KL(softmax(teacher / temperature) || softmax(student / temperature))
};

/// Output projection, cross entropy and distillation in one (Hinton, Vinyals and Dean 2015):
///   loss = (1 - weight) nll + weight temperature^2 kl
/// over the counted targets. The student's logits are x W^T, x [..., C], W [V, C]; the teacher's are those of
/// its own final hidden states [..., D] and output weight [V, D], constants both. Targets are int32 [...]; a
/// negative one is not counted in either mean, one of V or more is an Error(input). Logits exist for one
/// block of rows at a time; where a gradient is wanted, those of x and W for a loss gradient of 1 are what is
/// saved. Waits for the device, since nll and kl are numbers.
DistilledLoss linear_distillation(const Tensor& x, const Tensor& weight, const Tensor& teacher_x,
                                  const Tensor& teacher_weight, const Tensor& targets,
                                  const DistillationOptions& options);

/// Rows of one model: hidden states [rows, width] and the output weight [v, width].
template <class T>
struct ProjectedRows {
  const T* x;
  const T* weight;
  int64_t width;
};

namespace cpu {
/// nll and kl [rows], 0 where the target is negative; dx and dw, unless null, receive the gradients of `unit`
/// times the sum of (1 - weight) nll + weight temperature^2 kl.
template <class T>
void distillation(const ProjectedRows<T>& student, const ProjectedRows<T>& teacher, const int32_t* targets,
                  double* nll, double* kl, T* dx, T* dw, double unit, const DistillationOptions& options,
                  int64_t rows, int64_t v);
}  // namespace cpu
namespace cuda {
template <class T>
void distillation(const ProjectedRows<T>& student, const ProjectedRows<T>& teacher, const int32_t* targets,
                  double* nll, double* kl, T* dx, T* dw, double unit, const DistillationOptions& options,
                  int64_t rows, int64_t v);
}  // namespace cuda

}  // namespace tapestry
