#pragma once

#include <hdf5.h>

#include <functional>
#include <string>
#include <vector>

#include "data/sha256.h"
#include "tests/support/temporary_folder.h"

namespace tapestry::test {

constexpr size_t kUserBlock = 512;

/// HDF5 content behind the user block that it deserves: what a forger would write, or a bug in the program.
inline std::string sealed(const std::string& content, const std::string& kind) {
  std::string block = "TAPESTRY 1\nkind " + kind + "\nlength " + std::to_string(content.size()) +
                      "\nsha256 " + Sha256().update(content).hex() + "\n";
  block.resize(kUserBlock, '\0');
  return block + content;
}
inline void seal(const std::string& path, const std::string& kind = "checkpoint") {
  write_text(path, sealed(read_text(path).substr(kUserBlock), kind));
}

/// Changes the HDF5 content of a verified file with the C library, and seals it again.
inline void forge(const std::string& path, const std::function<void(hid_t file)>& change,
                  const std::string& kind = "checkpoint") {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  change(file);
  H5Fclose(file);
  seal(path, kind);
}

/// HDF5 content after a change with the C library, in memory.
inline std::string changed(const std::string& content, const std::function<void(hid_t file)>& change) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  H5Pset_fapl_core(access, size_t{1} << 16, false);
  H5Pset_file_image(access, const_cast<char*>(content.data()), content.size());
  const hid_t file = H5Fopen("changed", H5F_ACC_RDWR, access);
  H5Pclose(access);
  change(file);
  H5Fflush(file, H5F_SCOPE_GLOBAL);
  std::string bytes(static_cast<size_t>(H5Fget_file_image(file, nullptr, 0)), '\0');
  H5Fget_file_image(file, bytes.data(), bytes.size());
  H5Fclose(file);
  return bytes;
}

inline void remove_link(hid_t file, const std::string& name) { H5Ldelete(file, name.c_str(), H5P_DEFAULT); }

/// Puts a dataset of this type and shape, with any values, in the place of another.
inline void replace_dataset(hid_t file, const std::string& name, hid_t type,
                            const std::vector<hsize_t>& shape) {
  if (H5Lexists(file, name.c_str(), H5P_DEFAULT) > 0) remove_link(file, name);
  const hid_t space = shape.empty() ? H5Screate(H5S_SCALAR)
                                    : H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
  const hid_t data = H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  H5Dclose(data);
  H5Pclose(creation);
  H5Sclose(space);
}

/// Overwrites a float32 dataset with one value.
inline void fill_dataset(hid_t file, const std::string& name, float value) {
  const hid_t data = H5Dopen2(file, name.c_str(), H5P_DEFAULT), space = H5Dget_space(data);
  const std::vector<float> values(static_cast<size_t>(H5Sget_simple_extent_npoints(space)), value);
  H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  H5Sclose(space);
  H5Dclose(data);
}

inline void set_attribute(hid_t file, const std::string& object, const std::string& name, int64_t value) {
  const hid_t owner = H5Oopen(file, object.c_str(), H5P_DEFAULT);
  const hid_t attribute = H5Aopen(owner, name.c_str(), H5P_DEFAULT);
  H5Awrite(attribute, H5T_NATIVE_INT64, &value);
  H5Aclose(attribute);
  H5Oclose(owner);
}

inline void remove_attribute(hid_t file, const std::string& object, const std::string& name) {
  H5Adelete_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT);
}

}  // namespace tapestry::test
