#include <cublasLt.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "autograd/gemm.h"
#include "tests/support/cuda_on_host/device_memory.h"

namespace {

using cuda_on_host::DeviceMemory;
using tapestry::BFloat16;
using tapestry::Gemm;

/// The ten bits of mantissa that tensor cores keep of a float32.
float tf32(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>((bits + 0x1000) & ~0x1FFFu);
}

/// A column-major product as a row-major one: every matrix is seen transposed.
class Product {
 public:
  Product(cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, cudaDataType_t type_a, int lda,
          cudaDataType_t type_b, int ldb, cudaDataType_t type_c, int ldc, cublasComputeType_t compute)
      : gemm_{.m = n,
              .n = m,
              .k = k,
              .transpose_a = op_b == CUBLAS_OP_T,
              .transpose_b = op_a == CUBLAS_OP_T,
              .lda = ldb,
              .ldb = lda,
              .ldc = ldc,
              .precision = tapestry::Precision::float32},
        in_(type_a),
        out_(type_c),
        compute_(compute),
        valid_(m >= 0 && n >= 0 && k >= 0 && lda >= std::max(1, op_a == CUBLAS_OP_T ? k : m) &&
               ldb >= std::max(1, op_b == CUBLAS_OP_T ? n : k) && ldc >= std::max(1, m) && type_a == type_b &&
               known_types()) {}

  /// c(i) = alpha a(i) b(i) + beta c(i) for `count` products whose operands the functions tell.
  template <class A, class B, class C>
  cublasStatus_t run(const void* alpha, const void* beta, int count, const A& a, const B& b, const C& c) {
    if (!valid_) return CUBLAS_STATUS_INVALID_VALUE;
    const DeviceMemory::Open open;
    if (out_ == CUDA_R_64F) {
      run_as<double>(alpha, beta, count, a, b, c, [](const void* x, int64_t) { return x; });
    } else if (in_ == CUDA_R_16BF) {
      run_as<float>(alpha, beta, count, a, b, c,
                    copy<BFloat16>([](BFloat16 x) { return static_cast<float>(x); }));
    } else if (compute_ == CUBLAS_COMPUTE_32F_FAST_TF32) {
      run_as<float>(alpha, beta, count, a, b, c, copy<float>(tf32));
    } else {
      run_as<float>(alpha, beta, count, a, b, c, [](const void* x, int64_t) { return x; });
    }
    return CUBLAS_STATUS_SUCCESS;
  }

  static int64_t bytes_of(cudaDataType_t type) { return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2; }

 private:
  /// Operands of several products, each copied as `round` says.
  template <class In, class Round>
  static auto copy(const Round& round) {
    return
        [round, copies = std::vector<std::vector<float>>(2), next = 0](const void* x, int64_t size) mutable {
          std::vector<float>& copy = copies[next++ % 2];
          const auto* from = static_cast<const In*>(x);
          copy.resize(size);
          std::transform(from, from + size, copy.begin(), round);
          return static_cast<const void*>(copy.data());
        };
  }

  template <class T, class A, class B, class C, class Prepare>
  void run_as(const void* alpha, const void* beta, int count, const A& a, const B& b, const C& c,
              Prepare prepare) {
    gemm_.alpha = *static_cast<const T*>(alpha);
    gemm_.beta = *static_cast<const T*>(beta);
    const int64_t rows_a = gemm_.transpose_a ? gemm_.k : gemm_.m,
                  rows_b = gemm_.transpose_b ? gemm_.n : gemm_.k;
    const int64_t columns_a = gemm_.transpose_a ? gemm_.m : gemm_.k,
                  columns_b = gemm_.transpose_b ? gemm_.k : gemm_.n;
    for (int i = 0; i < count; ++i) {
      const void* x = prepare(b(i), gemm_.lda * (rows_a - 1) + columns_a);
      const void* y = prepare(a(i), gemm_.ldb * (rows_b - 1) + columns_b);
      tapestry::cpu::gemm(gemm_, static_cast<const T*>(x), static_cast<const T*>(y), static_cast<T*>(c(i)));
    }
  }

  /// Those of cuBLAS's table that are in use.
  bool known_types() const {
    switch (compute_) {
      case CUBLAS_COMPUTE_64F:
        return in_ == CUDA_R_64F && out_ == CUDA_R_64F;
      case CUBLAS_COMPUTE_32F_FAST_TF32:
        return in_ == CUDA_R_32F && out_ == CUDA_R_32F;
      default:
        return in_ != CUDA_R_64F && out_ == CUDA_R_32F;
    }
  }

  Gemm gemm_;
  cudaDataType_t in_, out_;
  cublasComputeType_t compute_;
  bool valid_;
};

}  // namespace

cublasStatus_t cublasCreate(cublasHandle_t*) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetStream(cublasHandle_t, cudaStream_t) { return CUBLAS_STATUS_SUCCESS; }
const char* cublasGetStatusString(cublasStatus_t status) { return status ? "an invalid value" : "success"; }

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t, cublasOperation_t op_a, cublasOperation_t op_b,
                                          int m, int n, int k, const void* alpha, const void* a,
                                          cudaDataType_t type_a, int lda, long long stride_a, const void* b,
                                          cudaDataType_t type_b, int ldb, long long stride_b,
                                          const void* beta, void* c, cudaDataType_t type_c, int ldc,
                                          long long stride_c, int count, cublasComputeType_t compute,
                                          cublasGemmAlgo_t) {
  const auto at = [](const void* base, cudaDataType_t type, long long offset) {
    return static_cast<const char*>(base) + Product::bytes_of(type) * offset;
  };
  return Product(op_a, op_b, m, n, k, type_a, lda, type_b, ldb, type_c, ldc, compute)
      .run(
          alpha, beta, count, [&](int i) { return at(a, type_a, i * stride_a); },
          [&](int i) { return at(b, type_b, i * stride_b); },
          [&](int i) -> void* { return static_cast<char*>(c) + Product::bytes_of(type_c) * i * stride_c; });
}

cublasStatus_t cublasGemmBatchedEx(cublasHandle_t, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                                   int n, int k, const void* alpha, const void* const* a,
                                   cudaDataType_t type_a, int lda, const void* const* b,
                                   cudaDataType_t type_b, int ldb, const void* beta, void* const* c,
                                   cudaDataType_t type_c, int ldc, int count, cublasComputeType_t compute,
                                   cublasGemmAlgo_t) {
  if (type_a == CUDA_R_16BF || compute == CUBLAS_COMPUTE_32F_FAST_TF32) {
    // cuBLAS asks for it, and does not check.
    const auto aligned = [](const void* x) { return reinterpret_cast<uintptr_t>(x) % 16 == 0; };
    const DeviceMemory::Open open;
    if (!std::all_of(a, a + count, aligned) || !std::all_of(b, b + count, aligned) ||
        !std::all_of(c, c + count, aligned))
      return CUBLAS_STATUS_INVALID_VALUE;
  }
  return Product(op_a, op_b, m, n, k, type_a, lda, type_b, ldb, type_c, ldc, compute)
      .run(
          alpha, beta, count, [&](int i) { return a[i]; }, [&](int i) { return b[i]; },
          [&](int i) { return c[i]; });
}

// cuBLASLt

cublasStatus_t cublasLtCreate(cublasLtHandle_t*) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasLtMatmulDescInit(cublasLtMatmulDescOpaque_t* desc, cublasComputeType_t compute,
                                      cudaDataType_t) {
  *desc = {.compute = compute};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDescOpaque_t* desc,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              size_t size) {
  const auto put = [&](auto& to) {
    if (size != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&to, value, size);
    return CUBLAS_STATUS_SUCCESS;
  };
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return put(desc->op_a);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return put(desc->op_b);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return put(desc->epilogue);
    default:
      return put(desc->bias);
  }
}
cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayoutOpaque_t* layout, cudaDataType_t type,
                                        uint64_t rows, uint64_t columns, int64_t ld) {
  *layout = {type, rows, columns, ld};
  return ld >= static_cast<int64_t>(rows) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreferenceOpaque_t* preference) {
  *preference = {};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreferenceOpaque_t*,
                                                    cublasLtMatmulPreferenceAttributes_t, const void*,
                                                    size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDescOpaque_t*,
                                              cublasLtMatrixLayoutOpaque_t*, cublasLtMatrixLayoutOpaque_t*,
                                              cublasLtMatrixLayoutOpaque_t* c, cublasLtMatrixLayoutOpaque_t*,
                                              cublasLtMatmulPreferenceOpaque_t*, int,
                                              cublasLtMatmulHeuristicResult_t* result, int* count) {
  *result = {};
  *count = c->rows % 5 == 0 ? 0 : 1;  // there are sizes that it has no kernel for
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDescOpaque_t* desc, const void* alpha,
                              const void* a, cublasLtMatrixLayoutOpaque_t* layout_a, const void* b,
                              cublasLtMatrixLayoutOpaque_t* layout_b, const void* beta, const void*,
                              cublasLtMatrixLayoutOpaque_t*, void* d, cublasLtMatrixLayoutOpaque_t* layout_d,
                              const cublasLtMatmulAlgo_t*, void*, size_t, cudaStream_t) {
  const auto rows = [](cublasOperation_t op, const auto* layout) {
    return static_cast<int>(op == CUBLAS_OP_T ? layout->columns : layout->rows);
  };
  const auto columns = [](cublasOperation_t op, const auto* layout) {
    return static_cast<int>(op == CUBLAS_OP_T ? layout->rows : layout->columns);
  };
  const int m = rows(desc->op_a, layout_a), n = columns(desc->op_b, layout_b),
            k = columns(desc->op_a, layout_a);
  if (k != rows(desc->op_b, layout_b) || m != static_cast<int>(layout_d->rows) ||
      n != static_cast<int>(layout_d->columns) || desc->epilogue != CUBLASLT_EPILOGUE_BIAS)
    return CUBLAS_STATUS_INVALID_VALUE;
  const cublasStatus_t status =
      Product(desc->op_a, desc->op_b, m, n, k, layout_a->type, static_cast<int>(layout_a->ld), layout_b->type,
              static_cast<int>(layout_b->ld), layout_d->type, static_cast<int>(layout_d->ld), desc->compute)
          .run(
              alpha, beta, 1, [&](int) { return a; }, [&](int) { return b; }, [&](int) { return d; });
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const DeviceMemory::Open open;
  for (int column = 0; column < n; ++column) {
    for (int row = 0; row < m; ++row)
      static_cast<float*>(d)[column * layout_d->ld + row] += static_cast<const float*>(desc->bias)[row];
  }
  return CUBLAS_STATUS_SUCCESS;
}
