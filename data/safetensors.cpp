#include "data/safetensors.h"

#include <Eigen/Core>
#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "data/atomic_file.h"
#include "data/strict_json.h"

namespace tapestry {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr uint64_t kLongestHeader = 100'000'000;
constexpr int64_t kLengthBytes = 8;

std::string where(const InputFile& file) { return "'" + file.path() + "'"; }

void read_exactly(const InputFile& file, int64_t offset, void* data, int64_t size) {
  const size_t got = file.read_at(offset, data, static_cast<size_t>(size));
  check(got == static_cast<size_t>(size), Exit::input, where(file), " became shorter while it was read");
}

/// The length of the header, once it is known to fit the file.
int64_t header_length(const InputFile& file) {
  check(file.size() >= kLengthBytes, Exit::input, where(file), " has ", file.size(),
        " bytes and is no safetensors file: the length of the header alone takes ", kLengthBytes);
  uint64_t length = 0;
  read_exactly(file, 0, &length, kLengthBytes);
  check(length <= kLongestHeader, Exit::input, where(file), " is no safetensors file: its header would have ",
        length, " bytes, at most ", kLongestHeader, " are allowed");
  const auto room = file.size() - kLengthBytes;
  check(static_cast<int64_t>(length) <= room, Exit::input, where(file), " is truncated: the header has ",
        length, " bytes, ", room, " are there; fetch the file again");
  return static_cast<int64_t>(length);
}

/// Reads `out.size()` elements of type `Element` piece by piece and converts them.
template <class Element>
void read_converted(const InputFile& file, int64_t offset, std::span<float> out) {
  constexpr size_t piece = 1 << 14;
  std::vector<Element> buffer(std::min(piece, out.size()));
  for (size_t at = 0; at < out.size(); at += piece) {
    const auto count = static_cast<Eigen::Index>(std::min(piece, out.size() - at));
    const auto bytes = static_cast<int64_t>(sizeof(Element));
    read_exactly(file, offset + static_cast<int64_t>(at) * bytes, buffer.data(), count * bytes);
    const Eigen::Map<const Eigen::Array<Element, Eigen::Dynamic, 1>> from(buffer.data(), count);
    Eigen::Map<Eigen::ArrayXf>(out.data() + at, count) = from.template cast<float>();
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : file_(path) {
  std::string text(static_cast<size_t>(header_length(file_)), '\0');
  read_exactly(file_, kLengthBytes, text.data(), static_cast<int64_t>(text.size()));
  header_ = parse_safetensors_header(text, where(file_));
  data_start_ = kLengthBytes + static_cast<int64_t>(text.size());
  const int64_t there = file_.size() - data_start_;
  check(there >= header_.data_bytes, Exit::input, where(file_), " is truncated: its tensors have ",
        header_.data_bytes, " bytes, ", there, " are there; fetch the file again");
  check(there == header_.data_bytes, Exit::input, where(file_), " has ", there - header_.data_bytes,
        " bytes behind its last tensor; fetch the file again");
}

void SafetensorsFile::read(const std::string& name, std::span<float> out) const {
  const auto found = header_.tensors.find(name);
  check(found != header_.tensors.end(), Exit::input, where(file_), " has no tensor ", shown(name));
  const SafetensorsEntry& entry = found->second;
  require(static_cast<int64_t>(out.size()) == entry.size, "tensor ", shown(name), " has ", entry.size,
          " elements, asked for ", out.size());
  const int64_t offset = data_start_ + entry.begin;
  if (entry.dtype == "F32") {
    read_exactly(file_, offset, out.data(), entry.end - entry.begin);
  } else if (entry.dtype == "F64") {
    read_converted<double>(file_, offset, out);
  } else if (entry.dtype == "F16") {
    read_converted<Eigen::half>(file_, offset, out);
  } else if (entry.dtype == "BF16") {
    read_converted<Eigen::bfloat16>(file_, offset, out);
  } else {
    fail(Exit::input, where(file_), ": tensor ", shown(name), " holds ", entry.dtype,
         ", expected F32, F16, BF16 or F64");
  }
}

void write_safetensors(const std::string& path, const std::vector<SafetensorsTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  header["__metadata__"] = metadata;
  int64_t end = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    int64_t size = 1;
    for (const int64_t axis : tensor.shape) size *= axis;
    require(size == static_cast<int64_t>(tensor.values.size()), "tensor ", shown(tensor.name), " has ",
            tensor.values.size(), " values, its shape ", size);
    require(!header.contains(tensor.name), "tensor ", shown(tensor.name), " is given twice");
    const int64_t begin = end;
    end += static_cast<int64_t>(tensor.values.size_bytes());
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');

  AtomicFile file(path);
  const uint64_t length = text.size();
  file.append(&length, sizeof length);
  file.append(text);
  for (const SafetensorsTensor& tensor : tensors) {
    file.append(tensor.values.data(), tensor.values.size_bytes());
  }
  file.commit();
}

}  // namespace tapestry
