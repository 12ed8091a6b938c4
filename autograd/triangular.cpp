#include "autograd/triangular.h"

#include <Eigen/Dense>

namespace tapestry::cpu {

template <class T>
void solve_unit_lower(bool transpose, int64_t n, int64_t columns, const T* a, T* x, int64_t ldx) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const Matrix> A(a, n, n);
  Eigen::Map<Matrix, 0, Eigen::OuterStride<>> X(x, n, columns, Eigen::OuterStride<>(ldx));
  if (transpose) {
    A.transpose().template triangularView<Eigen::UnitUpper>().solveInPlace(X);
  } else {
    A.template triangularView<Eigen::UnitLower>().solveInPlace(X);
  }
}

template void solve_unit_lower(bool, int64_t, int64_t, const float*, float*, int64_t);
template void solve_unit_lower(bool, int64_t, int64_t, const double*, double*, int64_t);

}  // namespace tapestry::cpu
