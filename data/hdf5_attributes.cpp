#include "data/hdf5_library.h"

namespace tapestry {
using hdf5::ok;
using hdf5::own;
using hdf5::Session;

namespace {

Hdf5Id scalar() { return own(H5Screate(H5S_SCALAR), H5Sclose); }

void write_value(hid_t object, const std::string& name, hid_t file_type, hid_t memory_type,
                 const Hdf5Id& space, const void* value, const std::string& where) {
  const Hdf5Id attribute =
      own(H5Acreate2(object, name.c_str(), file_type, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  ok(attribute.get() >= 0 && H5Awrite(attribute.get(), memory_type, value) >= 0, Exit::io,
     "cannot write attribute '", name, "' of ", where);
}

bool is_number(H5T_class_t stored, bool with_floats) {
  return stored == H5T_INTEGER || (with_floats && stored == H5T_FLOAT);
}

}  // namespace

bool Hdf5File::has_attribute(const std::string& object, const std::string& name) const {
  const Session session;
  return H5Aexists(open_object(object).get(), name.c_str()) > 0;
}

std::vector<std::string> Hdf5File::attributes(const std::string& object) const {
  const Session session;
  const Hdf5Id owner = open_object(object);
  std::vector<std::string> names;
  const auto take = [](hid_t, const char* name, const H5A_info_t*, void* list) -> herr_t {
    static_cast<std::vector<std::string>*>(list)->emplace_back(name);
    return 0;
  };
  ok(H5Aiterate2(owner.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, take, &names) >= 0, origin_->exit,
     "cannot list the attributes of '", object, "' of '", path(), "'");
  return names;
}

Hdf5Id Hdf5File::open_attribute(const std::string& object, const std::string& name) const {
  const Hdf5Id owner = open_object(object);
  Hdf5Id attribute = own(H5Aopen(owner.get(), name.c_str(), H5P_DEFAULT), H5Aclose);
  check(attribute.get() >= 0, origin_->exit, "'", object, "' of '", path(), "' has no attribute '", name,
        "'");
  return attribute;
}

void Hdf5File::write_integer(const std::string& object, const std::string& name, int64_t value) {
  const Session session;
  write_value(open_object(object).get(), name, H5T_STD_I64LE, H5T_NATIVE_INT64, scalar(), &value, path());
}

void Hdf5File::write_attribute(const std::string& object, const std::string& name, double value) {
  const Session session;
  write_value(open_object(object).get(), name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, scalar(), &value, path());
}

void Hdf5File::write_attribute(const std::string& object, const std::string& name, const std::string& value) {
  const Session session;
  const Hdf5Id type = hdf5::text_type();
  const char* text = value.c_str();
  write_value(open_object(object).get(), name, type.get(), type.get(), scalar(), &text, path());
}

void Hdf5File::write_attribute(const std::string& object, const std::string& name,
                               const std::vector<std::string>& values) {
  const Session session;
  const Hdf5Id type = hdf5::text_type();
  std::vector<const char*> texts;
  for (const std::string& value : values) texts.push_back(value.c_str());
  const hsize_t count = texts.size();
  const Hdf5Id space = own(H5Screate_simple(1, &count, nullptr), H5Sclose);
  write_value(open_object(object).get(), name, type.get(), type.get(), space, texts.data(), path());
}

template <>
std::vector<std::string> Hdf5File::read_attribute(const std::string& object, const std::string& name) const {
  const Session session;
  const Hdf5Id attribute = open_attribute(object, name);
  const Hdf5Id type = own(H5Aget_type(attribute.get()), H5Tclose);
  check(H5Tget_class(type.get()) == H5T_STRING, origin_->exit, "attribute '", name, "' of '", object,
        "' of '", path(), "' is not text");
  const Hdf5Id space = own(H5Aget_space(attribute.get()), H5Sclose);
  const auto texts = hdf5::read_texts(type, space, [&](hid_t memory_type, void* values) {
    return H5Aread(attribute.get(), memory_type, values) >= 0;
  });
  ok(texts.has_value(), origin_->exit, "cannot read attribute '", name, "' of '", object, "' of '", path(),
     "'");
  return *texts;
}

template <>
std::string Hdf5File::read_attribute(const std::string& object, const std::string& name) const {
  const auto texts = read_attribute<std::vector<std::string>>(object, name);
  check(texts.size() == 1, origin_->exit, "attribute '", name, "' of '", object, "' of '", path(),
        "' is not a single text");
  return texts[0];
}

namespace {

template <class V>
V read_number(const Hdf5Id& attribute, bool with_floats, hid_t memory_type, Exit exit,
              const std::string& where) {
  const Hdf5Id type = own(H5Aget_type(attribute.get()), H5Tclose);
  const Hdf5Id space = own(H5Aget_space(attribute.get()), H5Sclose);
  check(is_number(H5Tget_class(type.get()), with_floats) && H5Sget_simple_extent_npoints(space.get()) == 1,
        exit, where, " is not ", with_floats ? "a number" : "an integer");
  V value{};
  ok(H5Aread(attribute.get(), memory_type, &value) >= 0, exit, "cannot read ", where);
  return value;
}

}  // namespace

template <>
int64_t Hdf5File::read_attribute(const std::string& object, const std::string& name) const {
  const Session session;
  return read_number<int64_t>(open_attribute(object, name), false, H5T_NATIVE_INT64, origin_->exit,
                              join("attribute '", name, "' of '", object, "' of '", path(), "'"));
}

template <>
double Hdf5File::read_attribute(const std::string& object, const std::string& name) const {
  const Session session;
  return read_number<double>(open_attribute(object, name), true, H5T_NATIVE_DOUBLE, origin_->exit,
                             join("attribute '", name, "' of '", object, "' of '", path(), "'"));
}

}  // namespace tapestry
