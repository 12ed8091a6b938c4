#include "autograd/readback.h"

#include "autograd/cuda/context.h"

namespace tapestry::cuda {
namespace {

/// Where copies do not queue behind the work.
cudaStream_t copy_stream() {
  static const cudaStream_t stream = [] {
    cudaStream_t made = nullptr;
    check_cuda(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "cudaStreamCreate");
    return made;
  }();
  return stream;
}

}  // namespace

void mark_moment(std::shared_ptr<void>& moment) {
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  moment.reset(static_cast<void*>(event),
               [](void* made) { cudaEventDestroy(static_cast<cudaEvent_t>(made)); });
  check_cuda(cudaEventRecord(event, stream()), "cudaEventRecord");
}

void copy_at_moment(void* moment, void* to, const void* from, int64_t bytes) {
  check_cuda(cudaEventSynchronize(static_cast<cudaEvent_t>(moment)), "waiting for the device");
  check_cuda(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, copy_stream()),
             "copy from the device");
  check_cuda(cudaStreamSynchronize(copy_stream()), "copy from the device");
}

}  // namespace tapestry::cuda
