#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/forged_file.h"

namespace tapestry::fuzz {

/// Numbers and texts out of a fuzzer's input; zeros and nothing when it is used up.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool any_left() const { return at_ < size_; }
  uint8_t byte() { return any_left() ? data_[at_++] : 0; }
  uint64_t number() {
    const size_t bytes = byte() % 9;
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; ++i) number = number << 8 | byte();
    return number;
  }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[byte() % all.size()];
  }
  /// Up to the next zero byte.
  std::string text() {
    std::string text;
    while (any_left() && data_[at_] != 0) text += static_cast<char>(data_[at_++]);
    ++at_;
    return text;
  }

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
};

/// An object of the HDF5 content, and those of its attributes that are numbers and texts.
struct Target {
  std::string name;
  std::vector<std::string> numbers = {}, texts = {};
};

inline void write_text_dataset(hid_t file, const std::string& name, const std::string& text) {
  const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  if (H5Lexists(file, name.c_str(), H5P_DEFAULT) > 0) test::remove_link(file, name);
  const hid_t data = H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const char* content = text.c_str();
  if (data >= 0) H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &content);
  if (data >= 0) H5Dclose(data);
  H5Tclose(type);
  H5Sclose(space);
}

/// Fills the start of a dataset with the bytes of a number, again and again.
inline void repeat_number(hid_t file, const std::string& name, uint64_t number) {
  const hid_t data = H5Dopen2(file, name.c_str(), H5P_DEFAULT);
  if (data < 0) return;
  const hid_t type = H5Dget_type(data), space = H5Dget_space(data);
  const auto count = static_cast<size_t>(H5Sget_simple_extent_npoints(space));
  std::vector<uint64_t> values(count + 1, number);
  if (H5Tget_class(type) != H5T_STRING && H5Tget_size(type) <= 8)
    H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  H5Sclose(space);
  H5Tclose(type);
  H5Dclose(data);
}

/// One change of the content, as the bytes say: what a program with a bug, or a forger, could write.
inline void change(hid_t file, const std::vector<Target>& targets, Choices& choices) {
  const std::vector<hid_t> types = {H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_I32LE, H5T_STD_I64LE,
                                    H5T_STD_U16LE,  H5T_STD_U8LE,   H5T_STD_U32LE, H5T_IEEE_F32BE};
  const Target& target = choices.one_of(targets);
  const uint8_t kind = choices.byte() % 7;
  if (kind == 0) test::remove_link(file, target.name);
  if (kind == 1) {
    const hid_t type = choices.one_of(types);
    std::vector<hsize_t> shape(choices.byte() % 4);
    hsize_t size = 1;
    for (hsize_t& axis : shape) {
      axis = choices.number() % 300;
      if (size * axis > 10'000) axis = 1;  // megabytes would only take time
      size *= axis;
    }
    test::replace_dataset(file, target.name, type, shape);
  }
  if (kind == 2) repeat_number(file, target.name, choices.number());
  if (kind == 3) write_text_dataset(file, target.name, choices.text());
  if (kind == 4) H5Lmove(file, target.name.c_str(), file, choices.text().c_str(), H5P_DEFAULT, H5P_DEFAULT);
  if (kind == 5 && !target.numbers.empty()) {
    const std::string& attribute = choices.one_of(target.numbers);
    if (choices.byte() % 4 == 0)
      test::remove_attribute(file, target.name, attribute);
    else
      test::set_attribute(file, target.name, attribute, static_cast<int64_t>(choices.number()));
  }
  if (kind == 6 && !target.texts.empty())
    test::remove_attribute(file, target.name, choices.one_of(target.texts));
}

/// Changes a verified file as the bytes say: half of the inputs change bytes of the file, which its hash has
/// to notice; the others change what it holds and give it a hash that fits. Returns whether the hash is wrong
/// now.
inline bool forge_by_bytes(const std::string& good, const std::string& path, const std::string& kind,
                           const std::vector<Target>& targets, const uint8_t* data, size_t size) {
  // libhdf5 gives a large block back whenever it closes a file, and half of the time would go to page faults.
  static const herr_t keeps = H5set_free_list_limits(-1, -1, -1, -1, -1, -1);
  static_cast<void>(keeps);
  Choices choices(data, size);
  if (choices.byte() % 2 == 0) {
    std::string bytes = good;
    while (choices.any_left()) {
      const size_t at = choices.number() % bytes.size();
      bytes[at] = static_cast<char>(choices.byte());
    }
    write_text(path, bytes);
    return bytes != good;
  }
  const auto change_all = [&](hid_t file) {
    while (choices.any_left()) change(file, targets, choices);
  };
  write_text(path, test::sealed(test::changed(good.substr(test::kUserBlock), change_all), kind));
  return false;
}

}  // namespace tapestry::fuzz
