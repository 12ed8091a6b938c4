#include "autograd/gemm_bf16.h"

#include <array>
#include <bit>
#include <map>

#ifdef TAPESTRY_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>
#endif

#include "autograd/storage.h"
#include "base/error.h"
#include "base/parallel.h"

namespace tapestry::cpu {

#ifdef TAPESTRY_ONEDNN
namespace {

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::memory::desc matrix(int64_t rows, int64_t columns, bool transposed, int64_t ld,
                          dnnl::memory::data_type type) {
  const dnnl::memory::dims strides{transposed ? 1 : ld, transposed ? ld : 1};
  return {{rows, columns}, type, strides};
}

/// A compiled product of one shape.
class Product {
 public:
  explicit Product(const Gemm& g) : descriptor_(describe(g)), product_(descriptor_) {}

  void run(const BFloat16* a, const BFloat16* b, float* c) const {
    const auto memory = [](const dnnl::memory::desc& desc, const void* data) {
      return dnnl::memory(desc, engine(), const_cast<void*>(data));
    };
    // oneDNN would take small pages for it, with a miss of the address cache for every row.
    Storage scratchpad(Device::cpu(), descriptor_.scratchpad_desc().get_size());
    dnnl::stream stream(engine());
    product_.execute(
        stream, {{DNNL_ARG_SRC, memory(descriptor_.src_desc(), a)},
                 {DNNL_ARG_WEIGHTS, memory(descriptor_.weights_desc(), b)},
                 {DNNL_ARG_DST, memory(descriptor_.dst_desc(), c)},
                 {DNNL_ARG_SCRATCHPAD, memory(descriptor_.scratchpad_desc(), scratchpad.mutable_data())}});
    stream.wait();
  }

 private:
  static dnnl::matmul::primitive_desc describe(const Gemm& g) {
    using Type = dnnl::memory::data_type;
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    dnnl::post_ops after;
    const float alpha = static_cast<float>(g.alpha);
#if DNNL_VERSION_MAJOR >= 3
    if (alpha != 1) after.append_eltwise(dnnl::algorithm::eltwise_linear, alpha, 0);
#else
    if (alpha != 1) attributes.set_output_scales(0, {alpha});
#endif
    if (g.beta != 0) after.append_sum(static_cast<float>(g.beta));
    attributes.set_post_ops(after);
    const auto a = matrix(g.m, g.k, g.transpose_a, g.row_a(), Type::bf16);
    const auto b = matrix(g.k, g.n, g.transpose_b, g.row_b(), Type::bf16);
    const auto c = matrix(g.m, g.n, false, g.row_c(), Type::f32);
#if DNNL_VERSION_MAJOR >= 3
    return {engine(), a, b, c, attributes};
#else
    return {{a, b, c}, attributes, engine()};
#endif
  }

  dnnl::matmul::primitive_desc descriptor_;
  dnnl::matmul product_;
};

/// Compiling takes longer than a small product, so each thread keeps what it has compiled.
const Product& compiled(const Gemm& g) {
  constexpr size_t most = 512;  // lengths that come once only must not pile up
  using Key = std::array<int64_t, 11>;
  thread_local std::map<Key, Product> products;
  const bool alone = omp_in_parallel();
  const Key key{g.m,
                g.n,
                g.k,
                g.transpose_a,
                g.transpose_b,
                g.row_a(),
                g.row_b(),
                g.row_c(),
                std::bit_cast<int64_t>(g.alpha),
                std::bit_cast<int64_t>(g.beta),
                alone};
  if (const auto found = products.find(key); found != products.end()) return found->second;
  if (products.size() >= most) products.clear();
  const int threads = omp_get_max_threads();
  if (alone) omp_set_num_threads(1);  // of this thread's later regions: it plans for as many
  const Product& product = products.try_emplace(key, g).first->second;
  omp_set_num_threads(threads);
  return product;
}

}  // namespace

bool multiplies_bf16() {
  const auto needed = static_cast<unsigned>(dnnl_cpu_isa_avx512_core_bf16);
  return (static_cast<unsigned>(dnnl_get_effective_cpu_isa()) & needed) == needed;
}

void bf16_product(const Gemm& g, const BFloat16* a, const BFloat16* b, float* c) {
  try {
    compiled(g).run(a, b, c);
  } catch (const dnnl::error& error) {
    fail(Exit::memory, "oneDNN failed on a bfloat16 product [", g.m, ", ", g.k, "] x [", g.k, ", ", g.n,
         "]: ", error.what());
  }
}

#else

bool multiplies_bf16() { return false; }

void bf16_product(const Gemm&, const BFloat16*, const BFloat16*, float*) {
  fail(Exit::memory, "this program was built without oneDNN, which multiplies bfloat16 numbers");
}

#endif

}  // namespace tapestry::cpu
