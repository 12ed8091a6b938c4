#include "autograd/cuda/biased_product.h"

#include <cublasLt.h>

#include <map>
#include <optional>

#include "autograd/cuda/blas_operands.cuh"

namespace tapestry::cuda {
namespace {

constexpr size_t kWorkspace = size_t{32} << 20;
constexpr uint32_t kAlignment = 16;

cublasLtHandle_t light_blas() {
  static const cublasLtHandle_t handle = [] {
    cublasLtHandle_t made = nullptr;
    stream();  // sets the device
    check_blas(cublasLtCreate(&made), "cublasLtCreate");
    return made;
  }();
  return handle;
}

/// A product of one shape, as cuBLASLt would run it. It is column-major: its A is our B, transposed.
struct Plan {
  cublasLtMatmulDescOpaque_t product;
  cublasLtMatrixLayoutOpaque_t a, b, c;
  cublasLtMatmulHeuristicResult_t found;
};

template <class V>
void set(cublasLtMatmulDescOpaque_t& product, cublasLtMatmulDescAttributes_t attribute, const V& value) {
  check_blas(cublasLtMatmulDescSetAttribute(&product, attribute, &value, sizeof value),
             "cublasLtMatmulDescSetAttribute");
}
template <class V>
void set(cublasLtMatmulPreferenceOpaque_t& preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const V& value) {
  check_blas(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value),
             "cublasLtMatmulPreferenceSetAttribute");
}

cublasLtMatrixLayoutOpaque_t layout(cudaDataType_t type, int64_t rows, int64_t columns, int64_t ld) {
  cublasLtMatrixLayoutOpaque_t made;
  check_blas(
      cublasLtMatrixLayoutInit(&made, type, static_cast<uint64_t>(columns), static_cast<uint64_t>(rows), ld),
      "cublasLtMatrixLayoutInit");
  return made;
}

template <class In>
std::optional<Plan> make_plan(const Gemm& g, const float* bias) {
  Plan plan;
  check_blas(cublasLtMatmulDescInit(&plan.product, compute_type<In>(g.precision), CUDA_R_32F),
             "cublasLtMatmulDescInit");
  set(plan.product, CUBLASLT_MATMUL_DESC_TRANSA, g.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.product, CUBLASLT_MATMUL_DESC_TRANSB, g.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
  set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  plan.a = layout(kBlasType<In>, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, g.row_b());
  plan.b = layout(kBlasType<In>, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k, g.row_a());
  plan.c = layout(CUDA_R_32F, g.m, g.n, g.row_c());
  cublasLtMatmulPreferenceOpaque_t preference;
  check_blas(cublasLtMatmulPreferenceInit(&preference), "cublasLtMatmulPreferenceInit");
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
  for (const auto operand :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(preference, operand, kAlignment);
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      light_blas(), &plan.product, &plan.a, &plan.b, &plan.c, &plan.c, &preference, 1, &plan.found, &count);
  if (status != CUBLAS_STATUS_SUCCESS || count == 0) return std::nullopt;
  return plan;
}

/// Looking for a kernel takes longer than a small product does.
template <class In>
const std::optional<Plan>& plan_of(const Gemm& g, const float* bias) {
  constexpr size_t most = 512;  // lengths that come once only must not pile up
  using Key = std::array<int64_t, 9>;
  static std::map<Key, std::optional<Plan>> plans;
  const Key key{g.m,           g.n,           g.k,
                g.transpose_a, g.transpose_b, g.row_a(),
                g.row_b(),     g.row_c(),     static_cast<int64_t>(g.precision)};
  if (const auto found = plans.find(key); found != plans.end()) return found->second;
  if (plans.size() >= most) plans.clear();
  return plans.emplace(key, make_plan<In>(g, bias)).first->second;
}

/// Whether it was done.
template <class In>
bool light_product(const Gemm& g, const In* a, const In* b, const float* bias, float* c) {
  for (const void* operand : std::initializer_list<const void*>{a, b, bias, c}) {
    if (!is_aligned(operand, kAlignment)) return false;
  }
  const std::optional<Plan>& planned = plan_of<In>(g, bias);
  if (!planned) return false;
  Plan plan = *planned;
  set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  DeviceArray<char> workspace(static_cast<int64_t>(plan.found.workspaceSize));
  const float one = 1, zero = 0;
  check_blas(cublasLtMatmul(light_blas(), &plan.product, &one, b, &plan.a, a, &plan.b, &zero, c, &plan.c, c,
                            &plan.c, &plan.found.algo, workspace.data(), plan.found.workspaceSize, stream()),
             "cublasLtMatmul");
  return true;
}

}  // namespace

template <class T>
void biased_gemm(const Gemm& gemm, const T* a, const T* b, const T* bias, T* c) {
  Gemm g = gemm;
  if constexpr (std::is_same_v<T, float>) {
    if (g.m > 0 && g.n > 0 && g.k > 0) {
      if (rounds_operands(g)) {
        RoundedOperands rounded(g, a, b);
        if (light_product(rounded.product, rounded.a.data(), rounded.b.data(), bias, c)) return;
      } else if (light_product(g, a, b, bias, c)) {
        return;
      }
    }
  }
  const int64_t n = g.n;
  for_each_index("bias", g.m * n, [=] __device__(int64_t i) { c[i] = bias[i % n]; });
  g.beta = 1;
  cuda::gemm<T>(g, a, b, c);
}

template void biased_gemm(const Gemm&, const float*, const float*, const float*, float*);
template void biased_gemm(const Gemm&, const double*, const double*, const double*, double*);

}  // namespace tapestry::cuda
