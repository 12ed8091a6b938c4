#include "data/hdf5_file.h"

#include <atomic>
#include <functional>

#include "data/hdf5_library.h"
#include "data/input_file.h"

namespace tapestry {
using hdf5::element;
using hdf5::ok;
using hdf5::own;
using hdf5::Session;

static_assert(sizeof(hid_t) == sizeof(int64_t), "Hdf5Id holds an hid_t");

namespace {

constexpr size_t kImageStep = size_t{1} << 20;

Hdf5Id access_properties(bool in_memory) {
  Hdf5Id access = own(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);
  if (in_memory) H5Pset_fapl_core(access.get(), kImageStep, false);
  return access;
}

Hdf5Id create_file(const std::string& path, int64_t user_block, bool in_memory) {
  const Hdf5Id access = access_properties(in_memory);
  const Hdf5Id creation = own(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  require(H5Pset_userblock(creation.get(), static_cast<hsize_t>(user_block)) >= 0, "a user block of ",
          user_block, " bytes: it is 0, 512 or a larger power of two");
  H5Pset_obj_track_times(creation.get(), false);
  Hdf5Id id = own(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), H5Fclose);
  ok(id.get() >= 0, Exit::io, "cannot create '", path, "'");
  return id;
}

// The library refuses to hold two files of one name, in memory too.
std::string unique_name(const std::string& name) {
  static std::atomic<int64_t> count = 0;
  return join(name, " ", ++count);
}

Hdf5Id link_properties() {
  Hdf5Id links = own(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(links.get(), 1);
  return links;
}

}  // namespace

Hdf5File Hdf5File::create(const std::string& path, int64_t user_block, const std::string& name) {
  const Session session;
  return {std::make_shared<Hdf5Origin>(Hdf5Origin{name.empty() ? path : name, Exit::io}),
          create_file(path, user_block, false)};
}

Hdf5File Hdf5File::create_in_memory(const std::string& name, int64_t user_block) {
  const Session session;
  return {std::make_shared<Hdf5Origin>(Hdf5Origin{name, Exit::io}),
          create_file(unique_name(name), user_block, true)};
}

Hdf5File Hdf5File::open(const std::string& path, Exit bad_content) {
  const Session session;
  const InputFile readable(path, bad_content);
  check(H5Fis_hdf5(path.c_str()) > 0, bad_content, "'", path, "' is not an HDF5 file");
  const Hdf5Id access = access_properties(false);  // whose end would wipe out why the next line failed
  Hdf5Id id = own(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose);
  ok(id.get() >= 0, hdf5::last_error_is_lock() ? Exit::io : bad_content, "cannot open '", path, "'");
  return {std::make_shared<Hdf5Origin>(Hdf5Origin{path, bad_content}), std::move(id)};
}

Hdf5File Hdf5File::open_image(const std::vector<std::byte>& image, const std::string& name,
                              Exit bad_content) {
  const Session session;
  const Hdf5Id access = access_properties(true);
  H5Pset_file_image(access.get(), const_cast<std::byte*>(image.data()), image.size());
  Hdf5Id id = own(H5Fopen(unique_name(name).c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose);
  ok(id.get() >= 0, bad_content, "cannot read the HDF5 image '", name, "'");
  return {std::make_shared<Hdf5Origin>(Hdf5Origin{name, bad_content}), std::move(id)};
}

std::vector<std::byte> Hdf5File::image() {
  const Session session;
  ok(H5Fflush(id_.get(), H5F_SCOPE_LOCAL) >= 0, Exit::io, "cannot flush '", path(), "'");
  const ssize_t size = H5Fget_file_image(id_.get(), nullptr, 0);
  ok(size >= 0, Exit::io, "cannot take the image of '", path(), "'");
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  ok(H5Fget_file_image(id_.get(), bytes.data(), bytes.size()) == size, Exit::io, "cannot take the image of '",
     path(), "'");
  return bytes;
}

void Hdf5File::close() {
  const Session session;
  ok(id_.reset(), Exit::io, "cannot finish writing '", path(), "'");
  check_closes();
}

int64_t Hdf5File::failed_closes() {
  const Session session;
  return hdf5::failed_closes().count;
}

void Hdf5File::check_closes() const {
  const hdf5::FailedCloses& failed = hdf5::failed_closes();
  check(failed.count == failed_closes_, Exit::io, "cannot finish writing '", path(), "'", failed.last_error);
}

bool Hdf5File::has(const std::string& name) const {
  const Session session;
  for (size_t end = 0; end != std::string::npos;) {
    end = name.find('/', end + 1);
    const std::string part = name.substr(0, end);
    if (part.empty() || part == "/") continue;
    if (H5Lexists(id_.get(), part.c_str(), H5P_DEFAULT) <= 0) return false;
  }
  return true;
}

Hdf5Id Hdf5File::open_object(const std::string& name) const {
  check(has(name), origin_->exit, "'", path(), "' has no '", name, "'");
  Hdf5Id object = own(H5Oopen(id_.get(), name.c_str(), H5P_DEFAULT), H5Oclose);
  ok(object.get() >= 0, origin_->exit, "cannot open '", name, "' of '", path(), "'");
  return object;
}

bool Hdf5File::is_group(const std::string& name) const {
  const Session session;
  return H5Iget_type(open_object(name).get()) == H5I_GROUP;
}

std::vector<std::string> Hdf5File::list(const std::string& group) const {
  const Session session;
  check(is_group(group), origin_->exit, "'", group, "' of '", path(), "' is not a group");
  const Hdf5Id object = open_object(group);
  H5G_info_t info;
  ok(H5Gget_info(object.get(), &info) >= 0, origin_->exit, "cannot list '", group, "' of '", path(), "'");
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const auto name_at = [&](char* text, size_t size) {
      return H5Lget_name_by_idx(object.get(), ".", H5_INDEX_NAME, H5_ITER_INC, i, text, size, H5P_DEFAULT);
    };
    const ssize_t length = name_at(nullptr, 0);
    ok(length >= 0, origin_->exit, "cannot list '", group, "' of '", path(), "'");
    std::string name(static_cast<size_t>(length), '\0');
    name_at(name.data(), name.size() + 1);
    names.push_back(std::move(name));
  }
  return names;
}

void Hdf5File::create_group(const std::string& name) {
  const Session session;
  const Hdf5Id creation = own(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation.get(), false);
  const Hdf5Id links = link_properties();
  const Hdf5Id group =
      own(H5Gcreate2(id_.get(), name.c_str(), links.get(), creation.get(), H5P_DEFAULT), H5Gclose);
  ok(group.get() >= 0, Exit::io, "cannot create group '", name, "' in '", path(), "'");
}

Hdf5Id Hdf5File::create(const std::string& name, int64_t type, int64_t space, int64_t chunk) {
  const Hdf5Id creation = own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  // Times would make two files of the same content differ.
  H5Pset_obj_track_times(creation.get(), false);
  const Hdf5Id links = link_properties();
  const hsize_t size = static_cast<hsize_t>(chunk);
  if (chunk > 0) H5Pset_chunk(creation.get(), 1, &size);
  Hdf5Id id = own(H5Dcreate2(id_.get(), name.c_str(), type, space, links.get(), creation.get(), H5P_DEFAULT),
                  H5Dclose);
  ok(id.get() >= 0, Exit::io, "cannot create dataset '", name, "' in '", path(), "'");
  return id;
}

template <class T>
Hdf5Dataset Hdf5File::create_dataset(const std::string& name, const Hdf5Shape& shape) {
  const Session session;
  const std::vector<hsize_t> sizes(shape.begin(), shape.end());
  const Hdf5Id space =
      sizes.empty() ? own(H5Screate(H5S_SCALAR), H5Sclose)
                    : own(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose);
  return {origin_, name, create(name, element<T>().file, space.get(), 0)};
}

template <class T>
Hdf5Dataset Hdf5File::create_stream(const std::string& name, int64_t chunk) {
  const Session session;
  require(chunk > 0, "chunks of ", chunk, " elements for '", name, "'");
  const hsize_t now = 0, most = H5S_UNLIMITED;
  const Hdf5Id space = own(H5Screate_simple(1, &now, &most), H5Sclose);
  return {origin_, name, create(name, element<T>().file, space.get(), chunk)};
}

Hdf5Dataset Hdf5File::dataset(const std::string& name) const {
  const Session session;
  check(has(name), origin_->exit, "'", path(), "' has no dataset '", name, "'");
  Hdf5Id id = own(H5Dopen2(id_.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
  ok(id.get() >= 0, origin_->exit, "cannot open dataset '", name, "' of '", path(), "'");
  return {origin_, name, std::move(id)};
}

template <class T>
void Hdf5File::read(const std::string& name, const Hdf5Shape& shape, T* values) const {
  const Hdf5Dataset data = dataset(name);
  check(data.shape() == shape, origin_->exit, "dataset '", name, "' of '", path(), "' has shape ",
        format_shape(data.shape()), ", expected ", format_shape(shape));
  data.read(values);
}

void Hdf5File::write_text(const std::string& name, const std::string& text) {
  const Session session;
  require(text.find('\0') == std::string::npos, "the text for '", name, "' holds a zero byte");
  const Hdf5Id type = hdf5::text_type(), space = own(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Id id = create(name, type.get(), space.get(), 0);
  const char* content = text.c_str();
  ok(H5Dwrite(id.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, &content) >= 0, Exit::io,
     "cannot write dataset '", name, "' of '", path(), "'");
}

std::string Hdf5File::read_text(const std::string& name) const {
  const Session session;
  const Hdf5Dataset data = dataset(name);
  const hid_t id = data.id_.get();
  check(data.type() == "text" && data.size() == 1, origin_->exit, "dataset '", name, "' of '", path(),
        "' is not a text");
  const Hdf5Id type = own(H5Dget_type(id), H5Tclose), space = own(H5Dget_space(id), H5Sclose);
  const auto texts = hdf5::read_texts(type, space, [&](hid_t memory_type, void* values) {
    return H5Dread(id, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
  });
  ok(texts && texts->size() == 1, origin_->exit, "cannot read dataset '", name, "' of '", path(), "'");
  return texts->front();
}

#define TAPESTRY_INSTANTIATE(T)                                                           \
  template Hdf5Dataset Hdf5File::create_dataset<T>(const std::string&, const Hdf5Shape&); \
  template Hdf5Dataset Hdf5File::create_stream<T>(const std::string&, int64_t);           \
  template void Hdf5File::read(const std::string&, const Hdf5Shape&, T*) const;
TAPESTRY_INSTANTIATE(int32_t)
TAPESTRY_INSTANTIATE(int64_t)
TAPESTRY_INSTANTIATE(uint8_t)
TAPESTRY_INSTANTIATE(uint16_t)
TAPESTRY_INSTANTIATE(uint32_t)
TAPESTRY_INSTANTIATE(float)
TAPESTRY_INSTANTIATE(double)
#undef TAPESTRY_INSTANTIATE

}  // namespace tapestry
