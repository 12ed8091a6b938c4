#include "data/safetensors_header.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "data/strict_json.h"

namespace tapestry {
namespace {

constexpr size_t kMostAxes = 32;
constexpr size_t kMostTensors = 100'000;
constexpr size_t kLongestTensorName = 4096;
constexpr const char* kMetadata = "__metadata__";

/// The value being read, for messages: "shape of 'wte.weight'".
struct Position {
  std::string_view name, field;
};
std::ostream& operator<<(std::ostream& out, const Position& at) {
  if (at.name.empty()) return out << "the header";
  if (at.name == kMetadata && !at.field.empty()) out << shown(at.field) << " of ";
  if (at.name != kMetadata && !at.field.empty()) out << at.field << " of ";
  return out << shown(at.name);
}

struct ShapeText {
  const std::vector<int64_t>& shape;
};
std::ostream& operator<<(std::ostream& out, const ShapeText& text) {
  out << '[';
  for (size_t i = 0; i < text.shape.size(); ++i) out << (i ? ", " : "") << text.shape[i];
  return out << ']';
}

/// Takes the events of the JSON parser one by one, so that nothing is built that the format does not know.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderEvents(const std::string& where) : where_(where) {}
  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    if (place_ == Place::start) {
      place_ = Place::top;
    } else if (place_ == Place::top) {
      place_ = name_ == kMetadata ? Place::metadata : Place::tensor;
    } else {
      unexpected("an object");
    }
    return true;
  }
  bool key(std::string& key) override {
    if (place_ == Place::top) {
      start_entry(key);
    } else {
      field_ = key;
      if (place_ == Place::tensor) start_field();
    }
    return true;
  }
  bool end_object() override {
    if (place_ == Place::tensor) {
      check(seen_.size() == 3, Exit::input, where_, ": tensor ", shown(name_),
            " needs the fields dtype, shape and data_offsets");
    }
    field_.clear();
    if (place_ == Place::top) name_.clear();
    place_ = Place::top;
    return true;
  }
  bool start_array(std::size_t) override {
    if (place_ != Place::tensor || field_ == "dtype") unexpected("a list");
    place_ = field_ == "shape" ? Place::shape : Place::offsets;
    numbers_.clear();
    return true;
  }
  bool end_array() override {
    if (place_ == Place::shape) {
      entry_->shape = numbers_;
    } else {
      check(numbers_.size() == 2, Exit::input, where_, ": ", position(), " has ", numbers_.size(),
            " numbers, not begin and end");
      entry_->begin = numbers_[0];
      entry_->end = numbers_[1];
    }
    place_ = Place::tensor;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::shape && place_ != Place::offsets) unexpected("a number");
    check(value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()), Exit::input, where_, ": ",
          position(), " holds ", value, ", which is too large");
    check(numbers_.size() < kMostAxes, Exit::input, where_, ": ", position(), " has more than ", kMostAxes,
          " numbers");
    numbers_.push_back(static_cast<int64_t>(value));
    return true;
  }
  bool string(std::string& text) override {
    if (place_ == Place::metadata) {
      check(header_.metadata.emplace(field_, text).second, Exit::input, where_, ": ", position(),
            " is there twice");
    } else if (place_ == Place::tensor && field_ == "dtype") {
      check(safetensors_element_bytes(text) != 0, Exit::input, where_, ": ", position(), " ", shown(text),
            " is not known");
      entry_->dtype = text;
    } else {
      unexpected("a text");
    }
    return true;
  }
  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a truth value"); }
  bool number_integer(number_integer_t value) override { unexpected(join(value)); }
  bool number_float(number_float_t, const std::string& text) override { unexpected(join(shown(text))); }
  bool binary(binary_t&) override { unexpected("bytes"); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
    fail(Exit::input, where_, ": the header is not JSON: ", json_message(error));
  }

 private:
  enum class Place { start, top, tensor, metadata, shape, offsets };

  void start_entry(const std::string& name) {
    name_ = name;
    if (name == kMetadata) {
      check(!std::exchange(has_metadata_, true), Exit::input, where_, ": ", kMetadata, " is there twice");
      return;
    }
    check(!name.empty() && name.size() <= kLongestTensorName, Exit::input, where_, ": the name ", shown(name),
          " has ", name.size(), " bytes; 1 to ", kLongestTensorName, " are allowed");
    check(std::none_of(name.begin(), name.end(), [](unsigned char c) { return std::iscntrl(c); }),
          Exit::input, where_, ": the name ", shown(name), " holds control characters");
    check(header_.tensors.size() < kMostTensors, Exit::input, where_, ": more than ", kMostTensors,
          " tensors");
    const auto [at, is_new] = header_.tensors.try_emplace(name);
    check(is_new, Exit::input, where_, ": tensor ", shown(name), " is there twice");
    entry_ = &at->second;
    seen_.clear();
  }

  void start_field() {
    const bool known = field_ == "dtype" || field_ == "shape" || field_ == "data_offsets";
    check(known, Exit::input, where_, ": tensor ", shown(name_), " has the unknown field ", shown(field_));
    check(std::find(seen_.begin(), seen_.end(), field_) == seen_.end(), Exit::input, where_, ": ", position(),
          " is there twice");
    seen_.push_back(field_);
  }

  Position position() const { return {name_, field_}; }

  std::string expected() const {
    if (place_ == Place::start || place_ == Place::top) return "an object";
    if (place_ == Place::metadata || (place_ == Place::tensor && field_ == "dtype")) return "a text";
    return place_ == Place::tensor ? "a list of whole numbers" : "whole numbers from 0 on";
  }

  [[noreturn]] void unexpected(const std::string& found) const {
    fail(Exit::input, where_, ": ", position(), ": expected ", expected(), ", found ", found);
  }

  const std::string& where_;
  SafetensorsHeader header_;
  Place place_ = Place::start;
  std::string name_, field_;  // keys that lead to the current value
  bool has_metadata_ = false;
  SafetensorsEntry* entry_ = nullptr;
  std::vector<std::string> seen_;  // fields of the current tensor
  std::vector<int64_t> numbers_;
};

/// Sets the number of elements; checks that dtype, shape and offsets agree.
void check_entry(const std::string& name, SafetensorsEntry& entry, const std::string& where) {
  entry.size = 1;
  bool overflow = false;
  for (const int64_t axis : entry.shape) overflow |= __builtin_mul_overflow(entry.size, axis, &entry.size);
  int64_t bytes = 0;
  overflow |= __builtin_mul_overflow(entry.size, safetensors_element_bytes(entry.dtype), &bytes);
  check(!overflow, Exit::input, where, ": tensor ", shown(name), " has the impossible shape ",
        ShapeText{entry.shape});
  check(entry.end >= entry.begin, Exit::input, where, ": tensor ", shown(name), " ends at byte ", entry.end,
        ", before its begin ", entry.begin);
  check(entry.end - entry.begin == bytes, Exit::input, where, ": tensor ", shown(name), " of ", entry.dtype,
        " ", ShapeText{entry.shape}, " needs ", bytes, " bytes, its offsets span ", entry.end - entry.begin);
}

/// Checks that the tensors fill the data without holes and overlaps, and sets its size.
void check_layout(SafetensorsHeader& header, const std::string& where) {
  using Item = std::pair<const std::string, SafetensorsEntry>;
  std::vector<const Item*> items;
  for (const Item& item : header.tensors) items.push_back(&item);
  std::sort(items.begin(), items.end(), [](const Item* a, const Item* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  for (const Item* item : items) {
    const int64_t begin = item->second.begin;
    check(begin >= header.data_bytes, Exit::input, where, ": tensor ", shown(item->first), " begins at byte ",
          begin, ", inside the tensor before it, which ends at ", header.data_bytes);
    check(begin == header.data_bytes, Exit::input, where, ": bytes ", header.data_bytes, " to ", begin,
          " before tensor ", shown(item->first), " belong to no tensor");
    header.data_bytes = item->second.end;
  }
}

}  // namespace

int64_t safetensors_element_bytes(std::string_view dtype) {
  static const std::map<std::string_view, int64_t> bytes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"U16", 2}, {"I16", 2}, {"F16", 2}, {"BF16", 2},
      {"U32", 4},  {"I32", 4}, {"F32", 4}, {"U64", 8}, {"I64", 8}, {"F64", 8}};
  const auto found = bytes.find(dtype);
  return found == bytes.end() ? 0 : found->second;
}

SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& where) {
  check(text.starts_with('{'), Exit::input, where, ": the header does not start with '{'");
  HeaderEvents events(where);
  nlohmann::json::sax_parse(text, &events);
  SafetensorsHeader header = events.take();
  for (auto& [name, entry] : header.tensors) check_entry(name, entry, where);
  check_layout(header, where);
  return header;
}

}  // namespace tapestry
