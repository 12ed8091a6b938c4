#pragma once

#include <type_traits>

#include "autograd/cuda/kernel.cuh"
#include "autograd/gemm.h"

/// How cuBLAS and cuBLASLt take the operands of a product.
namespace tapestry::cuda {

template <class T>
constexpr cudaDataType_t kBlasType = CUDA_R_32F;
template <>
inline constexpr cudaDataType_t kBlasType<double> = CUDA_R_64F;
template <>
inline constexpr cudaDataType_t kBlasType<BFloat16> = CUDA_R_16BF;

template <class In>
cublasComputeType_t compute_type(Precision precision) {
  if (std::is_same_v<In, double>) return CUBLAS_COMPUTE_64F;
  const bool tensor_cores = std::is_same_v<In, float> && precision != Precision::float32;
  return tensor_cores ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

/// Whether operands of float32 are rounded first. That passes over both, which the doubled rate of bfloat16
/// wins back where C is large on both sides; what comes in batches is small.
inline bool rounds_operands(const Gemm& g) {
  constexpr int64_t side = 256;
  return g.precision == Precision::bf16 && g.batch_size() == 1 && std::min(g.m, g.n) >= side && g.k > 0;
}

/// The operands of one product, rounded and dense, and the product of them.
struct RoundedOperands {
  Gemm product;
  DeviceArray<BFloat16> a, b;

  RoundedOperands(const Gemm& g, const float* from_a, const float* from_b)
      : product(g), a(g.m * g.k), b(g.k * g.n) {
    round_matrix(from_a, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k, g.row_a(), a.data());
    round_matrix(from_b, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, g.row_b(), b.data());
    product.lda = product.ldb = 0;
  }
};

}  // namespace tapestry::cuda
