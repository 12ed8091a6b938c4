#include "autograd/memory.h"

#include <cstring>
#include <vector>

#include "autograd/cuda/kernel.cuh"

namespace tapestry::cuda {
namespace {

/// Pinned host memory that copies to the device pass through in pieces, so that the host goes on while they
/// run: it waits only for a piece that is to be overwritten.
class Staging {
 public:
  Staging(size_t pieces, int64_t piece_bytes) : pieces_(pieces), piece_bytes_(piece_bytes) {}
  void copy(char* to, const char* from, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += piece_bytes_) {
      Piece& piece = pieces_[next_];
      next_ = (next_ + 1) % pieces_.size();
      const auto size = static_cast<size_t>(std::min(piece_bytes_, bytes - at));
      if (piece.memory == nullptr) {
        piece.create(piece_bytes_);
      } else {
        check_cuda(cudaEventSynchronize(piece.copied), "waiting for a copy to the device");
      }
      std::memcpy(piece.memory, from + at, size);
      check_cuda(cudaMemcpyAsync(to + at, piece.memory, size, cudaMemcpyHostToDevice, stream()),
                 "copy to the device");
      check_cuda(cudaEventRecord(piece.copied, stream()), "cudaEventRecord");
    }
  }

 private:
  struct Piece {
    void* memory = nullptr;
    cudaEvent_t copied = nullptr;
    void create(int64_t bytes) {
      check_cuda(cudaMallocHost(&memory, static_cast<size_t>(bytes)), "pinned memory");
      check_cuda(cudaEventCreateWithFlags(&copied, cudaEventDisableTiming), "cudaEventCreate");
    }
  };
  std::vector<Piece> pieces_;
  int64_t piece_bytes_;
  size_t next_ = 0;
};

}  // namespace

void system_allocate(int64_t bytes, void** memory) {
  stream();  // sets the device
  const cudaError_t status = cudaMalloc(memory, static_cast<size_t>(bytes));
  if (status == cudaSuccess) return;
  // Anything else is what went wrong in an earlier kernel.
  if (status != cudaErrorMemoryAllocation) check_cuda(status, "cudaMalloc");
  cudaGetLastError();
  *memory = nullptr;
}

void system_release(void* memory) { check_cuda(cudaFree(memory), "cudaFree"); }

void set_bytes(void* memory, int value, int64_t bytes) {
  check_cuda(cudaMemsetAsync(memory, value, static_cast<size_t>(bytes), stream()), "cudaMemset");
}

void copy_to_device(void* to, const void* from, int64_t bytes) {
  // A step makes several small copies; a few pieces for all would let it wait for those of the step before.
  constexpr int64_t small = 64 << 10, large = 4 << 20;
  static auto* many_small = new Staging(64, small);
  static auto* few_large = new Staging(4, large);
  (bytes <= small ? many_small : few_large)
      ->copy(static_cast<char*>(to), static_cast<const char*>(from), bytes);
}

void copy_from_device(void* to, const void* from, int64_t bytes) {
  check_cuda(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream()),
             "copy from the device");
  synchronize();
}

void copy_on_device(void* to, const void* from, int64_t bytes) {
  check_cuda(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, stream()),
             "copy on the device");
}

void copy_bytes(void* to, bool to_device, const void* from, bool from_device, int64_t bytes) {
  if (!from_device) return copy_to_device(to, from, bytes);
  if (!to_device) return copy_from_device(to, from, bytes);
  copy_on_device(to, from, bytes);
}

template <class T>
void fill(T* x, T value, int64_t n) {
  for_each_index("fill", n, [=] __device__(int64_t i) { x[i] = value; });
}

template <class T>
void add_to(T* to, const T* from, int64_t n) {
  for_each_index("add_to", n, [=] __device__(int64_t i) { to[i] += from[i]; });
}

#define INSTANTIATE(T)                \
  template void fill(T*, T, int64_t); \
  template void add_to(T*, const T*, int64_t);
FOR_FLOATS(INSTANTIATE)
template void fill(int32_t*, int32_t, int64_t);

}  // namespace tapestry::cuda
