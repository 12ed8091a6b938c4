#pragma once

#include <cstdint>

#include "autograd/device.h"
#include "autograd/pool.h"

namespace tapestry {

/// A block of pool memory, with a version that counts the writes to it, so that the tape notices when a
/// tensor that it saved was changed in place.
class Storage {
 public:
  Storage(Device device, int64_t bytes)
      : device_(device), bytes_(bytes), data_(pool_allocate(device, bytes)) {}
  ~Storage() { pool_release(device_, data_, bytes_); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  const void* data() const { return data_; }
  void* mutable_data() {
    ++version_;
    return data_;
  }
  int64_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  uint64_t version() const { return version_; }

 private:
  Device device_;
  int64_t bytes_;
  void* data_;
  uint64_t version_ = 0;
};

}  // namespace tapestry
