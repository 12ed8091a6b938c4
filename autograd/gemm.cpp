#include "autograd/gemm.h"

#include <Eigen/Core>

#ifdef TAPESTRY_ONEDNN
#include <dnnl.h>
#endif

#include "base/error.h"
#include "base/parallel.h"

namespace tapestry::cpu {
namespace {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using ConstMap = Eigen::Map<const Matrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using Map = Eigen::Map<Matrix<T>, 0, Eigen::OuterStride<>>;

template <class T>
void eigen_gemm(const Gemm& g, const T* a, const T* b, T* c) {
  const ConstMap<T> A(a, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k,
                      Eigen::OuterStride<>(g.row_a()));
  const ConstMap<T> B(b, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n,
                      Eigen::OuterStride<>(g.row_b()));
  Map<T> C(c, g.m, g.n, Eigen::OuterStride<>(g.row_c()));
  if (g.beta == 0) {
    C.setZero();
  } else if (g.beta != 1) {
    C *= static_cast<T>(g.beta);
  }
  const T alpha = static_cast<T>(g.alpha);
  if (g.transpose_a && g.transpose_b) {
    C.noalias() += alpha * A.transpose() * B.transpose();
  } else if (g.transpose_a) {
    C.noalias() += alpha * A.transpose() * B;
  } else if (g.transpose_b) {
    C.noalias() += alpha * A * B.transpose();
  } else {
    C.noalias() += alpha * A * B;
  }
}

void product(const Gemm& g, const double* a, const double* b, double* c) { eigen_gemm(g, a, b, c); }

void product(const Gemm& g, const float* a, const float* b, float* c) {
#ifdef TAPESTRY_ONEDNN
  if (g.k == 0) return eigen_gemm(g, a, b, c);  // oneDNN refuses an empty sum
  const auto status = dnnl_sgemm(g.transpose_a ? 'T' : 'N', g.transpose_b ? 'T' : 'N', g.m, g.n, g.k,
                                 static_cast<float>(g.alpha), a, g.row_a(), b, g.row_b(),
                                 static_cast<float>(g.beta), c, g.row_c());
  check(status == dnnl_success, Exit::memory, "oneDNN failed on a product [", g.m, ", ", g.k, "] x [", g.k,
        ", ", g.n, "]: status ", static_cast<int>(status));
#else
  eigen_gemm(g, a, b, c);
#endif
}

}  // namespace

template <class T>
void gemm(const Gemm& g, const T* a, const T* b, T* c) {
  if (g.m == 0 || g.n == 0) return;
  const auto& [x, y, z] = g.batch;
  const int64_t count = g.batch_size();
  if (count == 1) return product(g, a, b, c);
  const auto one = [&](int64_t i) {
    const int64_t iz = i % z.count, iy = i / z.count % y.count, ix = i / z.count / y.count;
    product(g, a + ix * x.a + iy * y.a + iz * z.a, b + ix * x.b + iy * y.b + iz * z.b,
            c + ix * x.c + iy * y.c + iz * z.c);
  };
  // A large product fills all threads by itself, and a few large ones would leave threads idle at the end.
  const bool large = 2.0 * g.m * g.n * g.k > 1e8;
  if (large) {
    for (int64_t i = 0; i < count; ++i) one(i);
  } else {
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) one(i);
    });
  }
}

template void gemm(const Gemm&, const float*, const float*, float*);
template void gemm(const Gemm&, const double*, const double*, double*);

}  // namespace tapestry::cpu
