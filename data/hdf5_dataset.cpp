#include <limits>

#include "data/hdf5_library.h"

namespace tapestry {
using hdf5::Element;
using hdf5::element;
using hdf5::ok;
using hdf5::own;
using hdf5::Session;

namespace {

Hdf5Shape shape_of(hid_t dataset) {
  const Hdf5Id space = own(H5Dget_space(dataset), H5Sclose);
  const int rank = H5Sget_simple_extent_ndims(space.get());
  if (rank <= 0) return {};
  std::vector<hsize_t> sizes(static_cast<size_t>(rank));
  H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
  return {sizes.begin(), sizes.end()};
}

// A selection of [first, first + count) on the one axis of the dataset.
Hdf5Id select_range(hid_t dataset, int64_t first, int64_t count) {
  Hdf5Id space = own(H5Dget_space(dataset), H5Sclose);
  const hsize_t start = static_cast<hsize_t>(first), length = static_cast<hsize_t>(count);
  H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &start, nullptr, &length, nullptr);
  return space;
}

Hdf5Id line_of(int64_t count) {
  const hsize_t length = static_cast<hsize_t>(count);
  return own(H5Screate_simple(1, &length, nullptr), H5Sclose);
}

bool is_compressed(hid_t dataset) {
  const Hdf5Id properties = own(H5Dget_create_plist(dataset), H5Pclose);
  return H5Pget_nfilters(properties.get()) > 0;
}

}  // namespace

Hdf5Dataset::Hdf5Dataset(std::shared_ptr<const Hdf5Origin> origin, std::string name, Hdf5Id id)
    : origin_(std::move(origin)), name_(std::move(name)), id_(std::move(id)), shape_(shape_of(id_.get())) {}

int64_t Hdf5Dataset::size() const {
  int64_t size = 1;
  for (const int64_t axis : shape_) {
    if (__builtin_mul_overflow(size, axis, &size)) return std::numeric_limits<int64_t>::max();
  }
  return size;
}

std::string Hdf5Dataset::where() const { return "dataset '" + name_ + "' of '" + origin_->file + "'"; }

std::string Hdf5Dataset::type() const {
  const Session session;
  const Hdf5Id stored = own(H5Dget_type(id_.get()), H5Tclose);
  for (const Element& known : {element<int32_t>(), element<int64_t>(), element<uint8_t>(),
                               element<uint16_t>(), element<uint32_t>(), element<float>(), element<double>()})
    if (H5Tequal(stored.get(), known.file) > 0) return known.name;
  return H5Tget_class(stored.get()) == H5T_STRING ? "text" : "other";
}

void Hdf5Dataset::check_type(const char* wanted) const {
  const std::string stored = type();
  check(stored == wanted, origin_->exit, where(), " has element type ", stored, ", expected ", wanted);
}

template <class T>
void Hdf5Dataset::check_stored() const {
  const Session session;
  check_type(element<T>().name);
  const bool there = H5Dget_storage_size(id_.get()) / sizeof(T) >= static_cast<uint64_t>(size());
  check(there || is_compressed(id_.get()), origin_->exit, where(), " holds fewer bytes than its shape ",
        format_shape(shape_), " needs");
}

template <class T>
void Hdf5Dataset::read(T* values) const {
  const Session session;
  check_stored<T>();
  if (size() == 0) return;
  ok(H5Dread(id_.get(), element<T>().memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0, origin_->exit,
     "cannot read ", where());
}

template <class T>
void Hdf5Dataset::write(const T* values) {
  const Session session;
  check_type(element<T>().name);
  if (size() == 0) return;
  ok(H5Dwrite(id_.get(), element<T>().memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0, Exit::io,
     "cannot write ", where());
}

template <class T>
void Hdf5Dataset::read_range(int64_t first, int64_t count, T* values) const {
  const Session session;
  check_type(element<T>().name);
  check(shape_.size() == 1, origin_->exit, where(), " has shape ", format_shape(shape_),
        ", expected one axis");
  require(first >= 0 && count >= 0 && first <= shape_[0] - count, "range [", first, ", ", first + count,
          ") is outside ", where(), ", which has ", shape_[0], " elements");
  if (count == 0) return;
  const Hdf5Id from = select_range(id_.get(), first, count), to = line_of(count);
  ok(H5Dread(id_.get(), element<T>().memory, to.get(), from.get(), H5P_DEFAULT, values) >= 0, origin_->exit,
     "cannot read ", where());
}

template <class T>
void Hdf5Dataset::append(const T* values, int64_t count) {
  const Session session;
  check_type(element<T>().name);
  require(shape_.size() == 1, "append to ", where(), " of shape ", format_shape(shape_));
  if (count == 0) return;
  const int64_t old_size = shape_[0];
  const hsize_t new_size = static_cast<hsize_t>(old_size + count);
  ok(H5Dset_extent(id_.get(), &new_size) >= 0, Exit::io, "cannot extend ", where());
  shape_[0] += count;
  const Hdf5Id from = line_of(count), to = select_range(id_.get(), old_size, count);
  ok(H5Dwrite(id_.get(), element<T>().memory, from.get(), to.get(), H5P_DEFAULT, values) >= 0, Exit::io,
     "cannot write ", where());
}

#define TAPESTRY_INSTANTIATE(T)                                      \
  template void Hdf5Dataset::check_stored<T>() const;                \
  template void Hdf5Dataset::read(T*) const;                         \
  template void Hdf5Dataset::write(const T*);                        \
  template void Hdf5Dataset::read_range(int64_t, int64_t, T*) const; \
  template void Hdf5Dataset::append(const T*, int64_t);
TAPESTRY_INSTANTIATE(int32_t)
TAPESTRY_INSTANTIATE(int64_t)
TAPESTRY_INSTANTIATE(uint8_t)
TAPESTRY_INSTANTIATE(uint16_t)
TAPESTRY_INSTANTIATE(uint32_t)
TAPESTRY_INSTANTIATE(float)
TAPESTRY_INSTANTIATE(double)
#undef TAPESTRY_INSTANTIATE

}  // namespace tapestry
