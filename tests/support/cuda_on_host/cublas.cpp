#include <cublas_v2.h>

#include <algorithm>

#include "autograd/gemm.h"
#include "tests/support/cuda_on_host/device_memory.h"

namespace {

using cuda_on_host::DeviceMemory;
using tapestry::Gemm;

/// A column-major product as a row-major one: every matrix is seen transposed.
struct Product {
  Gemm gemm;
  bool valid;

  Product(cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, int lda, int ldb, int ldc)
      : gemm{.m = n, .n = m, .k = k, .transpose_a = op_b == CUBLAS_OP_T, .transpose_b = op_a == CUBLAS_OP_T},
        valid(m >= 0 && n >= 0 && k >= 0 && lda >= std::max(1, op_a == CUBLAS_OP_T ? k : m) &&
              ldb >= std::max(1, op_b == CUBLAS_OP_T ? n : k) && ldc >= std::max(1, m)) {
    gemm.lda = ldb;
    gemm.ldb = lda;
    gemm.ldc = ldc;
  }

  /// c[i] = alpha a[i] b[i] + beta c[i] for `count` products whose operands the functions tell.
  template <class T, class A, class B, class C>
  void run(const void* alpha, const void* beta, int count, const A& a, const B& b, const C& c) {
    gemm.alpha = *static_cast<const T*>(alpha);
    gemm.beta = *static_cast<const T*>(beta);
    for (int i = 0; i < count; ++i) {
      tapestry::cpu::gemm(gemm, static_cast<const T*>(b(i)), static_cast<const T*>(a(i)),
                          static_cast<T*>(c(i)));
    }
  }
};

template <class T>
const void* at(const void* base, long long offset) {
  return static_cast<const T*>(base) + offset;
}

}  // namespace

cublasStatus_t cublasCreate(cublasHandle_t*) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetStream(cublasHandle_t, cudaStream_t) { return CUBLAS_STATUS_SUCCESS; }
const char* cublasGetStatusString(cublasStatus_t status) { return status ? "an invalid value" : "success"; }

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t, cublasOperation_t op_a, cublasOperation_t op_b,
                                          int m, int n, int k, const void* alpha, const void* a,
                                          cudaDataType_t type, int lda, long long stride_a, const void* b,
                                          cudaDataType_t, int ldb, long long stride_b, const void* beta,
                                          void* c, cudaDataType_t, int ldc, long long stride_c, int count,
                                          cublasComputeType_t, cublasGemmAlgo_t) {
  const DeviceMemory::Open open;
  Product product(op_a, op_b, m, n, k, lda, ldb, ldc);
  if (!product.valid) return CUBLAS_STATUS_INVALID_VALUE;
  const auto run = [&]<class T>(T) {
    product.run<T>(
        alpha, beta, count, [&](int i) { return at<T>(a, i * stride_a); },
        [&](int i) { return at<T>(b, i * stride_b); },
        [&](int i) { return static_cast<T*>(c) + i * stride_c; });
  };
  type == CUDA_R_64F ? run(double{}) : run(float{});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmBatchedEx(cublasHandle_t, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                                   int n, int k, const void* alpha, const void* const* a, cudaDataType_t type,
                                   int lda, const void* const* b, cudaDataType_t, int ldb, const void* beta,
                                   void* const* c, cudaDataType_t, int ldc, int count, cublasComputeType_t,
                                   cublasGemmAlgo_t) {
  const DeviceMemory::Open open;
  Product product(op_a, op_b, m, n, k, lda, ldb, ldc);
  if (!product.valid) return CUBLAS_STATUS_INVALID_VALUE;
  const auto run = [&]<class T>(T) {
    product.run<T>(
        alpha, beta, count, [&](int i) { return a[i]; }, [&](int i) { return b[i]; },
        [&](int i) { return c[i]; });
  };
  type == CUDA_R_64F ? run(double{}) : run(float{});
  return CUBLAS_STATUS_SUCCESS;
}
