#include "tests/support/fixture_file.h"

#include <hdf5.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "tests/support/paths.h"

namespace tapestry::test {
namespace fs = std::filesystem;

struct FixtureGroup::Handle {
  Handle(hid_t opened, herr_t (*closer)(hid_t)) : id(opened), close(closer) {}
  Handle(Handle&& other) : id(std::exchange(other.id, -1)), close(other.close) {}
  ~Handle() {
    if (id >= 0) close(id);
  }
  operator hid_t() const { return id; }
  hid_t id;
  herr_t (*close)(hid_t);
};

std::string fixture_folder() {
  const char* given = std::getenv("TAPESTRY_FIXTURES");
  return given && *given ? std::string(given) : source_folder() + "/tests/fixtures";
}

std::vector<std::string> fixture_files(const std::string& folder, const std::string& start,
                                       const std::string& end) {
  std::vector<std::string> paths;
  std::error_code missing;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(fixture_folder()) / folder, missing)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(start) && name.ends_with(end)) paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

FixtureGroup FixtureGroup::open(const std::string& path) {
  H5dont_atexit();
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  check(file >= 0, Exit::input, "cannot open the fixture file '", path, "'");
  FixtureGroup root;
  root.where_ = path;
  root.group_ = std::make_shared<Handle>(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose);
  return root;
}

std::vector<std::string> FixtureGroup::members(bool groups) const {
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* all) -> herr_t {
    static_cast<std::vector<std::string>*>(all)->push_back(name);
    return 0;
  };
  H5Literate(*group_, H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names);
  std::erase_if(names, [&](const std::string& name) {
    const Handle object(H5Oopen(*group_, name.c_str(), H5P_DEFAULT), H5Oclose);
    return (H5Iget_type(object) == H5I_GROUP) != groups;
  });
  return names;
}

std::vector<std::string> FixtureGroup::groups() const { return members(true); }
std::vector<std::string> FixtureGroup::arrays() const { return members(false); }

bool FixtureGroup::has(const std::string& path) const {
  const Handle object(H5Oopen(*group_, path.c_str(), H5P_DEFAULT), H5Oclose);
  return object >= 0;
}

FixtureGroup FixtureGroup::group(const std::string& path) const {
  FixtureGroup child;
  child.where_ = where_ + "/" + path;
  child.group_ = std::make_shared<Handle>(H5Gopen2(*group_, path.c_str(), H5P_DEFAULT), H5Gclose);
  check(*child.group_ >= 0, Exit::input, "no group ", child.where_);
  return child;
}

FixtureArray FixtureGroup::array(const std::string& path) const {
  const Handle dataset(H5Dopen2(*group_, path.c_str(), H5P_DEFAULT), H5Dclose);
  check(dataset >= 0, Exit::input, "no dataset ", where_, "/", path);
  const Handle space(H5Dget_space(dataset), H5Sclose);
  std::vector<hsize_t> sizes(std::max(0, H5Sget_simple_extent_ndims(space)));
  H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  FixtureArray array{{sizes.begin(), sizes.end()}, std::vector<double>(H5Sget_simple_extent_npoints(space))};
  const herr_t status = H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.data.data());
  check(status >= 0, Exit::input, "cannot read numbers from ", where_, "/", path);
  return array;
}

std::vector<std::string> FixtureGroup::attributes() const {
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* name, const H5A_info_t*, void* all) -> herr_t {
    static_cast<std::vector<std::string>*>(all)->push_back(name);
    return 0;
  };
  H5Aiterate2(*group_, H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names);
  return names;
}

bool FixtureGroup::has_attribute(const std::string& name) const {
  return H5Aexists(*group_, name.c_str()) > 0;
}

FixtureGroup::Handle FixtureGroup::attribute(const std::string& name) const {
  check(has_attribute(name), Exit::input, "no attribute '", name, "' of ", where_);
  return {H5Aopen(*group_, name.c_str(), H5P_DEFAULT), H5Aclose};
}

double FixtureGroup::number(const std::string& name) const {
  double value = 0;
  check(H5Aread(attribute(name), H5T_NATIVE_DOUBLE, &value) >= 0, Exit::input, "the attribute '", name,
        "' of ", where_, " is not a number");
  return value;
}

double FixtureGroup::number(const std::string& name, double otherwise) const {
  return has_attribute(name) ? number(name) : otherwise;
}

int64_t FixtureGroup::integer(const std::string& name) const {
  const double value = number(name);
  check(value == std::floor(value), Exit::input, "the attribute '", name, "' of ", where_,
        " is not an integer");
  return static_cast<int64_t>(value);
}

bool FixtureGroup::is_text(const std::string& name) const {
  const Handle type(H5Aget_type(attribute(name)), H5Tclose);
  return H5Tget_class(type) == H5T_STRING;
}

std::string FixtureGroup::text(const std::string& name) const {
  check(is_text(name), Exit::input, "the attribute '", name, "' of ", where_, " is not a text");
  const Handle opened = attribute(name);
  const Handle type(H5Aget_type(opened), H5Tclose);
  if (H5Tis_variable_str(type) > 0) {
    char* value = nullptr;
    H5Aread(opened, type, &value);
    const std::string text = value ? value : "";
    H5free_memory(value);
    return text;
  }
  std::string text(H5Tget_size(type), '\0');
  H5Aread(opened, type, text.data());
  return text.substr(0, text.find('\0'));
}

}  // namespace tapestry::test
