#pragma once

#include <hdf5.h>

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "data/hdf5_file.h"

// What the implementations of Hdf5File and Hdf5Dataset share; not for other files.
namespace tapestry::hdf5 {

/// Holds libhdf5 for one call: one thread at a time, set up before first use, its error stack silent.
class Session {
 public:
  Session();

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

/// For a child process of fork(), where the thread that holds the library is not there any more.
void release_in_child();

/// What a destructor could not close, and so perhaps not write: libhdf5 holds small writes back until an
/// object is closed. For the holder of a Session.
struct FailedCloses {
  int64_t count = 0;
  std::string last_error;
};
FailedCloses& failed_closes();

/// The innermost message of libhdf5's last error, to end a message of ours with.
std::string last_error();
/// Whether that was a file that could not be locked, which says nothing about its content.
bool last_error_is_lock();

template <class... Parts>
void ok(bool good, Exit exit, const Parts&... parts) {
  if (!good) fail(exit, parts..., last_error());
}

inline Hdf5Id own(hid_t id, herr_t (*close)(hid_t)) { return Hdf5Id(id, close); }

/// Element types, as stored and as in memory.
struct Element {
  const char* name;
  hid_t file, memory;
};
template <class T>
Element element() {
  if constexpr (std::is_same_v<T, int32_t>) return {"int32", H5T_STD_I32LE, H5T_NATIVE_INT32};
  if constexpr (std::is_same_v<T, int64_t>) return {"int64", H5T_STD_I64LE, H5T_NATIVE_INT64};
  if constexpr (std::is_same_v<T, uint8_t>) return {"uint8", H5T_STD_U8LE, H5T_NATIVE_UINT8};
  if constexpr (std::is_same_v<T, uint16_t>) return {"uint16", H5T_STD_U16LE, H5T_NATIVE_UINT16};
  if constexpr (std::is_same_v<T, uint32_t>) return {"uint32", H5T_STD_U32LE, H5T_NATIVE_UINT32};
  if constexpr (std::is_same_v<T, float>) return {"float32", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT};
  if constexpr (std::is_same_v<T, double>) return {"float64", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE};
}

/// A new variable-length UTF-8 string type.
Hdf5Id text_type();
/// Reads strings of variable or fixed length out of a dataset or attribute; `read` is H5Dread or H5Aread.
/// Nothing if it fails, or if there are more than any file of ours holds.
std::optional<std::vector<std::string>> read_texts(const Hdf5Id& type, const Hdf5Id& space,
                                                   const std::function<bool(hid_t memory_type, void*)>& read);

}  // namespace tapestry::hdf5
