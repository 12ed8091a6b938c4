#include "autograd/gemm.h"

#include <limits>

#include "autograd/cuda/blas_operands.cuh"
#include "autograd/cuda/gemm_at.h"

namespace tapestry::cuda {
namespace {

/// In one call. Some versions of cuBLAS went wrong above 65535 (pytorch/pytorch#45724).
constexpr int64_t kMostProducts = 63 << 10;

/// cuBLAS is column-major: it sees each row-major matrix transposed, so C^T = op(B)^T op(A)^T.
struct BlasProduct {
  cublasOperation_t op_b, op_a;
  int n, m, k, ldb, lda, ldc;

  explicit BlasProduct(const Gemm& g)
      : op_b(g.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N),
        op_a(g.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N),
        n(narrow(g.n)),
        m(narrow(g.m)),
        k(narrow(g.k)),
        ldb(narrow(g.row_b())),
        lda(narrow(g.row_a())),
        ldc(narrow(g.row_c())) {}

 private:
  static int narrow(int64_t size) {
    check(size <= std::numeric_limits<int>::max(), Exit::memory, "cuBLAS: a product with a side of ", size,
          " is too large");
    return static_cast<int>(size);
  }
};

/// The batch axes with more than one product, neighbours joined where they are one regular sequence.
std::array<Gemm::Batch, 3> joined_axes(const Gemm& g) {
  std::array<Gemm::Batch, 3> axes{};
  size_t used = 0;
  for (const Gemm::Batch& axis : g.batch) {
    if (axis.count == 1) continue;
    Gemm::Batch* before = used > 0 ? &axes[used - 1] : nullptr;
    if (before && before->a == axis.count * axis.a && before->b == axis.count * axis.b &&
        before->c == axis.count * axis.c) {
      *before = {before->count * axis.count, axis.a, axis.b, axis.c};
    } else {
      axes[used++] = axis;
    }
  }
  return axes;
}

/// Where the operands of each product lie.
template <class In, class T>
struct Pointers {
  const In** a;
  const In** b;
  T** c;
};

template <class In, class T>
void fill_pointers(const std::array<Gemm::Batch, 3>& axes, int64_t count, const In* a, const In* b, T* c,
                   Pointers<In, T> to) {
  const Gemm::Batch x = axes[0], y = axes[1], z = axes[2];
  for_each_index("gemm pointers", count, [=] __device__(int64_t i) {
    const int64_t iz = i % z.count, iy = i / z.count % y.count, ix = i / z.count / y.count;
    to.a[i] = a + ix * x.a + iy * y.a + iz * z.a;
    to.b[i] = b + ix * x.b + iy * y.b + iz * z.b;
    to.c[i] = c + ix * x.c + iy * y.c + iz * z.c;
  });
}

/// Whether the operands of all products lie where cuBLAS expects those of a pointer array for tensor cores.
/// Of a regular sequence it sees the alignment itself.
template <class In, class T>
bool fit_pointers(const Gemm& g, const In* a, const In* b, const T* c) {
  if (compute_type<In>(g.precision) != CUBLAS_COMPUTE_32F_FAST_TF32 && !std::is_same_v<In, BFloat16>)
    return true;
  const auto fits = [](const auto* base, int64_t stride) {
    return is_aligned(base, kPointerAlignment) &&
           stride * static_cast<int64_t>(sizeof *base) % kPointerAlignment == 0;
  };
  return std::all_of(g.batch.begin(), g.batch.end(), [&](const Gemm::Batch& axis) {
    return axis.count == 1 || (fits(a, axis.a) && fits(b, axis.b) && fits(c, axis.c));
  });
}

}  // namespace

template <class In, class T>
void gemm_at(const Gemm& g, int64_t count, const In* const* a, const In* const* b, T* const* c) {
  if (g.m == 0 || g.n == 0 || count == 0) return;
  const BlasProduct p(g);
  const T alpha = static_cast<T>(g.alpha), beta = static_cast<T>(g.beta);
  for (int64_t first = 0; first < count; first += kMostProducts) {
    const auto products = static_cast<int>(std::min(kMostProducts, count - first));
    check_blas(cublasGemmBatchedEx(blas(), p.op_b, p.op_a, p.n, p.m, p.k, &alpha,
                                   reinterpret_cast<const void* const*>(b + first), kBlasType<In>, p.ldb,
                                   reinterpret_cast<const void* const*>(a + first), kBlasType<In>, p.lda,
                                   &beta, reinterpret_cast<void* const*>(c + first), kBlasType<T>, p.ldc,
                                   products, compute_type<In>(g.precision), CUBLAS_GEMM_DEFAULT),
               "cublasGemmBatchedEx");
  }
}

template <class In, class T>
void gemm(const Gemm& g, const In* a, const In* b, T* c) {
  if (g.m == 0 || g.n == 0 || g.batch_size() == 0) return;
  if constexpr (std::is_same_v<In, float>) {
    if (rounds_operands(g)) {
      RoundedOperands rounded(g, a, b);
      return gemm<BFloat16>(rounded.product, rounded.a.data(), rounded.b.data(), c);
    }
  }
  const auto axes = joined_axes(g);
  const int64_t count = g.batch_size();
  if (axes[1].count > 1 && !fit_pointers(g, a, b, c)) {
    Gemm inner = g;
    inner.batch = {axes[1], axes[2]};
    for (int64_t i = 0; i < axes[0].count; ++i)
      gemm(inner, a + i * axes[0].a, b + i * axes[0].b, c + i * axes[0].c);
    return;
  }
  if (axes[1].count > 1) {
    DeviceArray<const In*> to_a(count), to_b(count);
    DeviceArray<T*> to_c(count);
    fill_pointers<In, T>(axes, count, a, b, c, {to_a.data(), to_b.data(), to_c.data()});
    return gemm_at<In, T>(g, count, to_a.data(), to_b.data(), to_c.data());
  }
  const BlasProduct p(g);
  const T alpha = static_cast<T>(g.alpha), beta = static_cast<T>(g.beta);
  for (int64_t first = 0; first < count; first += kMostProducts) {
    const auto products = static_cast<int>(std::min(kMostProducts, count - first));
    check_blas(
        cublasGemmStridedBatchedEx(blas(), p.op_b, p.op_a, p.n, p.m, p.k, &alpha, b + first * axes[0].b,
                                   kBlasType<In>, p.ldb, axes[0].b, a + first * axes[0].a, kBlasType<In>,
                                   p.lda, axes[0].a, &beta, c + first * axes[0].c, kBlasType<T>, p.ldc,
                                   axes[0].c, products, compute_type<In>(g.precision), CUBLAS_GEMM_DEFAULT),
        "cublasGemmStridedBatchedEx");
  }
}

#define INSTANTIATE(In, T)                                   \
  template void gemm(const Gemm&, const In*, const In*, T*); \
  template void gemm_at(const Gemm&, int64_t, const In* const*, const In* const*, T* const*);
INSTANTIATE(float, float)
INSTANTIATE(double, double)
INSTANTIATE(BFloat16, float)

}  // namespace tapestry::cuda
