#include "autograd/gemm.h"

#include <Eigen/Core>
#include <algorithm>

#ifdef TAPESTRY_ONEDNN
#include <dnnl.h>
#endif

#include "autograd/gemm_bf16.h"
#include "autograd/storage.h"
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

void product(const Gemm& g, const BFloat16* a, const BFloat16* b, float* c) { bf16_product(g, a, b, c); }
void product(const Gemm& g, const double* a, const double* b, double* c) { eigen_gemm(g, a, b, c); }

/// An operand rounded to bfloat16, its rows dense.
class Rounded {
 public:
  Rounded(const float* x, int64_t rows, int64_t n, int64_t ld)
      : memory_(Device::cpu(), rows * n * sizeof(BFloat16)) {
    round_matrix(x, rows, n, ld, static_cast<BFloat16*>(memory_.mutable_data()));
  }
  const BFloat16* data() const { return static_cast<const BFloat16*>(memory_.data()); }

 private:
  Storage memory_;
};

/// Rounding costs about as much as is won where both C and the sums are small (measured: equal at 64 x 128 x
/// 64, a third slower at 32 x 128 x 64).
bool worth_rounding(const Gemm& g) { return std::min(g.m, g.n) >= 32 && g.m * g.n * g.k >= 1 << 19; }

void rounded_product(Gemm g, const float* a, const float* b, float* c) {
  const Rounded a16(a, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k, g.row_a());
  const Rounded b16(b, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, g.row_b());
  g.lda = g.ldb = 0;
  bf16_product(g, a16.data(), b16.data(), c);
}

void product(const Gemm& g, const float* a, const float* b, float* c) {
  if (multiplies_bf16_in(g.precision) && worth_rounding(g)) return rounded_product(g, a, b, c);
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

void round_matrix(const float* x, int64_t rows, int64_t n, int64_t ld, BFloat16* to) {
  parallel_for(rows, std::max<int64_t>(1, (1 << 14) / n), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* from = x + row * ld;
      BFloat16* out = to + row * n;
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) out[i].bits = BFloat16::nearest(from[i]);
    }
  });
}

template <class In, class T>
void gemm(const Gemm& g, const In* a, const In* b, T* c) {
  if (g.m == 0 || g.n == 0) return;
  const auto &x = g.batch[0], &y = g.batch[1], &z = g.batch[2];
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
template void gemm(const Gemm&, const BFloat16*, const BFloat16*, float*);

}  // namespace tapestry::cpu
