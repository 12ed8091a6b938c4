#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tapestry {

/// Sizes of a dataset, slowest axis first; empty is a scalar.
using Hdf5Shape = std::vector<int64_t>;

/// Owner of an HDF5 identifier.
class Hdf5Id {
 public:
  using Close = int (*)(int64_t);
  Hdf5Id() = default;
  Hdf5Id(int64_t id, Close close) : id_(id), close_(close) {}
  Hdf5Id(Hdf5Id&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Id& operator=(Hdf5Id&& other) noexcept;
  ~Hdf5Id();
  int64_t get() const { return id_; }
  /// Closes; false when the library reported an error.
  bool reset();

 private:
  int64_t id_ = -1;
  Close close_ = nullptr;
};

/// What error messages need: the file's name, and the exit that bad content of it leads to.
struct Hdf5Origin {
  std::string file;
  Exit exit = Exit::input;
};

/// An open dataset. Element types T: int32_t, int64_t, uint8_t, uint16_t, uint32_t, float, double.
/// Reading checks the stored type, which must be T, and the extent.
class Hdf5Dataset {
 public:
  const std::string& name() const { return name_; }
  const Hdf5Shape& shape() const { return shape_; }
  /// Number of elements; the largest number there is if it is larger.
  int64_t size() const;
  /// Throws unless the file holds as many bytes as `size()` elements of type T need: before room is made.
  template <class T>
  void check_stored() const;
  /// "int64", "uint16", "float32", ...; "other" for what this class does not read.
  std::string type() const;

  /// All elements, row-major; `values` has room for size() of them.
  template <class T>
  void read(T* values) const;
  template <class T>
  void write(const T* values);
  /// Elements [first, first + count) of a dataset with one axis.
  template <class T>
  void read_range(int64_t first, int64_t count, T* values) const;
  /// Adds at the end of what create_stream() made.
  template <class T>
  void append(const T* values, int64_t count);

 private:
  friend class Hdf5File;
  Hdf5Dataset(std::shared_ptr<const Hdf5Origin> origin, std::string name, Hdf5Id id);
  void check_type(const char* wanted) const;
  std::string where() const;

  std::shared_ptr<const Hdf5Origin> origin_;
  std::string name_;
  Hdf5Id id_;
  Hdf5Shape shape_;
};

/// An HDF5 file. Names are paths ("train/tokens"); groups on the way are made. Bad content is an
/// Error(origin's exit), failed writing an Error(Exit::io), each naming file and object. Calls may come from
/// any thread; they take turns, since libhdf5 is not thread-safe.
class Hdf5File {
 public:
  /// `user_block`: bytes left free in front (0, 512, 1024, ...). Messages call the file `name` if it is
  /// given.
  static Hdf5File create(const std::string& path, int64_t user_block = 0, const std::string& name = "");
  /// Held in memory. image() gives its bytes, which belong right after a user block of that size.
  static Hdf5File create_in_memory(const std::string& name, int64_t user_block = 0);
  static Hdf5File open(const std::string& path, Exit bad_content = Exit::input);
  static Hdf5File open_image(const std::vector<std::byte>& image, const std::string& name,
                             Exit bad_content = Exit::input);

  const std::string& path() const { return origin_->file; }
  std::vector<std::byte> image();
  /// Closes and reports what the library could not write; the destructor would stay silent.
  void close();

  bool has(const std::string& name) const;
  bool is_group(const std::string& name) const;
  /// Names in a group, sorted.
  std::vector<std::string> list(const std::string& group = "/") const;
  void create_group(const std::string& name);

  template <class T>
  Hdf5Dataset create_dataset(const std::string& name, const Hdf5Shape& shape);
  /// An empty dataset with one axis that append() extends, stored in chunks of `chunk` elements.
  template <class T>
  Hdf5Dataset create_stream(const std::string& name, int64_t chunk);
  Hdf5Dataset dataset(const std::string& name) const;

  template <class T>
  void write(const std::string& name, const Hdf5Shape& shape, const T* values) {
    create_dataset<T>(name, shape).write(values);
  }
  /// The dataset must have exactly this shape.
  template <class T>
  void read(const std::string& name, const Hdf5Shape& shape, T* values) const;
  template <class T>
  std::vector<T> read(const std::string& name) const {
    const Hdf5Dataset data = dataset(name);
    data.check_stored<T>();
    std::vector<T> values(static_cast<size_t>(data.size()));
    data.read(values.data());
    return values;
  }
  /// A text is stored as one UTF-8 string of variable length; it cannot hold the byte 0.
  void write_text(const std::string& name, const std::string& text);
  std::string read_text(const std::string& name) const;

  /// Attributes of a group ("/" is the file's own) or dataset. V: int64_t, double, std::string or
  /// std::vector<std::string>. Reading takes any integer type for int64_t and any number for double.
  bool has_attribute(const std::string& object, const std::string& name) const;
  std::vector<std::string> attributes(const std::string& object) const;
  template <std::integral V>
  void write_attribute(const std::string& object, const std::string& name, V value) {
    write_integer(object, name, static_cast<int64_t>(value));
  }
  void write_attribute(const std::string& object, const std::string& name, double value);
  void write_attribute(const std::string& object, const std::string& name, const std::string& value);
  void write_attribute(const std::string& object, const std::string& name,
                       const std::vector<std::string>& values);
  template <class V>
  V read_attribute(const std::string& object, const std::string& name) const;

 private:
  Hdf5File(std::shared_ptr<const Hdf5Origin> origin, Hdf5Id id)
      : origin_(std::move(origin)), id_(std::move(id)), failed_closes_(failed_closes()) {}
  /// How many objects could not be closed so far, of any file.
  static int64_t failed_closes();
  void check_closes() const;
  void write_integer(const std::string& object, const std::string& name, int64_t value);
  Hdf5Id open_object(const std::string& name) const;
  Hdf5Id open_attribute(const std::string& object, const std::string& name) const;
  Hdf5Id create(const std::string& name, int64_t type, int64_t space, int64_t chunk);

  std::shared_ptr<const Hdf5Origin> origin_;
  Hdf5Id id_;
  int64_t failed_closes_;  // when it was opened
};

template <>
int64_t Hdf5File::read_attribute(const std::string& object, const std::string& name) const;
template <>
double Hdf5File::read_attribute(const std::string& object, const std::string& name) const;
template <>
std::string Hdf5File::read_attribute(const std::string& object, const std::string& name) const;
template <>
std::vector<std::string> Hdf5File::read_attribute(const std::string& object, const std::string& name) const;

std::string format_shape(const Hdf5Shape& shape);

}  // namespace tapestry
