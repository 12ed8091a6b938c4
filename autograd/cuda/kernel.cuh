#pragma once

#include <algorithm>
#include <limits>

#include "autograd/cuda/context.h"
#include "autograd/host_device.h"
#include "base/parallel.h"

/// Tools to write kernels with: the body is a device lambda that gets an index, or that a block of threads
/// runs together for a row. The same files compile as C++ against stand-ins of the CUDA headers that run the
/// threads of a block in turn (tests/support/cuda_on_host), so kernels launch through here only.
namespace tapestry::cuda {

constexpr int kWarp = 32;
constexpr unsigned kFullMask = 0xFFFFFFFFu;
constexpr int kThreads = 256;
constexpr int kMaxThreads = 1024;

inline bool is_aligned(const void* address, size_t bytes) {
  return reinterpret_cast<uintptr_t>(address) % bytes == 0;
}

/// An array of a fixed number of elements that the block shares, undefined at first; and shared memory whose
/// size the launch gives, of which there is one piece.
#ifdef __CUDACC__
#define SHARED_ARRAY(type, name, count) __shared__ type name[count]
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char tapestry_shared_memory[];
  return reinterpret_cast<T*>(tapestry_shared_memory);
}
#else
#define SHARED_ARRAY(type, name, count)                                     \
  static ::cuda_on_host::SharedArray name##_memory(sizeof(type) * (count)); \
  type* const name = static_cast<type*>(name##_memory.of_this_block())
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(::cuda_on_host::dynamic_shared());
}
#endif

template <class F>
__global__ void index_kernel(int64_t n, F f) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) f(i);
}

template <class F>
__global__ void block_kernel(F f) {
  f(static_cast<int64_t>(blockIdx.x));
}

template <class F>
__global__ void row_kernel(int64_t n, F f) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row < n) f(row);
}

/// Starts `kernel`; `name` is what an error says.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), int64_t blocks, dim3 block, int64_t shared_bytes,
            const Arguments&... arguments) {
  check(blocks <= std::numeric_limits<int32_t>::max(), Exit::memory, "CUDA: ", name, ": ", blocks,
        " blocks are too many");
  constexpr int64_t most_without_asking = 48 << 10;
  if (shared_bytes > most_without_asking) {
    check_cuda(
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
        name);
  }
  const dim3 grid(static_cast<unsigned>(blocks));
#ifdef __CUDACC__
  kernel<<<grid, block, static_cast<size_t>(shared_bytes), stream()>>>(arguments...);
#else
  ::cuda_on_host::run_kernel(name, grid, block, shared_bytes, [&] { kernel(arguments...); });
#endif
  check_launch(name);
}

/// Calls f(i) for i in [0, n), each in some thread: neighbours run side by side.
template <class F>
void for_each_index(const char* name, int64_t n, const F& f) {
  if (n <= 0) return;
  constexpr int64_t most_blocks = 1 << 16;  // many more than run at a time; then threads take several indices
  launch(name, index_kernel<F>, std::min(ceil_div(n, kThreads), most_blocks), dim3(kThreads), 0, n, f);
}

/// Calls f(i) for i in [0, n), each by all threads of a block of its own, which may synchronise and share.
template <class F>
void for_each_block(const char* name, int64_t n, int threads, int64_t shared_bytes, const F& f) {
  if (n > 0) launch(name, block_kernel<F>, n, dim3(static_cast<unsigned>(threads)), shared_bytes, f);
}

/// The threads of a block that work on a row of n numbers: one warp on a short one, more on a long one.
inline int row_threads(int64_t n) {
  int threads = kWarp;
  while (threads < kThreads && threads * 4 < n) threads *= 2;
  return threads;
}

/// Calls f(i) for i in [0, n), each by the threads for a row of `width` numbers. Where that is one warp,
/// several share a block: f may call block_reduce, block_sum and block_for, but not share or synchronise by
/// itself.
template <class F>
void for_each_row(const char* name, int64_t n, int64_t width, const F& f) {
  const int threads = row_threads(width);
  if (threads > kWarp) return for_each_block(name, n, threads, 0, f);
  constexpr int rows = kThreads / kWarp;
  if (n > 0) launch(name, row_kernel<F>, ceil_div(n, rows), dim3(kWarp, rows), 0, n, f);
}

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Max {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};

/// Combines a value of each thread of the warp; all of them get the result. The order is fixed.
template <class T, class Op>
__device__ T warp_reduce(T value, const Op& op) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2)
    value = op(value, __shfl_xor_sync(kFullMask, value, distance));
  return value;
}

/// The same for the threads of a row or block, of which there are whole warps; all of them must call it.
template <class T, class Op>
__device__ T block_reduce(T value, const Op& op) {
  SHARED_ARRAY(T, partial, kMaxThreads / kWarp);
  value = warp_reduce(value, op);
  const int warps = static_cast<int>(blockDim.x) / kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  if (warps == 1) return value;
  if (threadIdx.x % kWarp == 0) partial[warp] = value;
  __syncthreads();
  T total = partial[0];
  for (int i = 1; i < warps; ++i) total = op(total, partial[i]);
  __syncthreads();  // before the next call writes
  return total;
}

/// op over at(i) for i in [0, n), by all threads of the block, which all get the result.
template <class T, class At, class Op>
__device__ T block_reduce_row(int64_t n, T start, const At& at, const Op& op) {
  T value = start;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) value = op(value, at(i));
  return block_reduce(value, op);
}
template <class T, class At>
__device__ T block_sum(int64_t n, const At& at) {
  return block_reduce_row<T>(n, T(0), at, Sum{});
}

/// Calls f(i) for i in [0, n), shared out among the threads of the block.
template <class F>
__device__ void block_for(int64_t n, const F& f) {
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) f(i);
}

/// to (+)= value
template <class T>
__device__ void put(T& to, T value, bool accumulate) {
  to = accumulate ? to + value : value;
}

/// Reads an array, as the `at` of sum_rows.
template <class T>
struct ElementOf {
  const T* data;
  __device__ T operator()(int64_t i) const { return data[i]; }
};
/// out[i] (+)= sum over rows of at(row * n + i), rows in blocks that add up by themselves and then in order:
/// the same bits every time.
template <class T, class At>
void sum_rows(const char* name, int64_t rows, int64_t n, T* out, bool accumulate, const At& at) {
  constexpr int64_t block_rows = 64;
  const int64_t blocks = std::max<int64_t>(1, ceil_div(rows, block_rows));
  DeviceArray<T> scratch(blocks == 1 ? 0 : blocks * n);
  T* to = blocks == 1 ? out : scratch.data();
  const bool add = accumulate && blocks == 1;
  for_each_index(name, blocks * n, [=] __device__(int64_t i) {
    const int64_t block = i / n, column = i % n;
    const int64_t end = (block + 1) * block_rows < rows ? (block + 1) * block_rows : rows;
    T sum = 0;
    for (int64_t row = block * block_rows; row < end; ++row) sum += at(row * n + column);
    put(to[i], sum, add);
  });
  if (blocks > 1) sum_rows(name, blocks, n, out, accumulate, ElementOf<T>{to});
}

}  // namespace tapestry::cuda

/// Instantiates what `MACRO(T)` declares for both floating types.
#define FOR_FLOATS(MACRO) MACRO(float) MACRO(double)
