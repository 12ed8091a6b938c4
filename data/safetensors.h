#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/input_file.h"
#include "data/safetensors_header.h"

namespace tapestry {

/// A safetensors file open for reading: 8 bytes with the length of the header, little-endian, the header,
/// the data. Everything the header says is checked against the file before anything is read or allocated on
/// its word; bad content is an Error(input).
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const std::map<std::string, SafetensorsEntry>& tensors() const { return header_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }

  /// Reads a tensor of F64, F32, F16 or BF16 as float32, row-major; `out` has its number of elements.
  void read(const std::string& name, std::span<float> out) const;

 private:
  InputFile file_;
  SafetensorsHeader header_;
  int64_t data_start_ = 0;
};

/// The tensors of a model: one safetensors file, or the shards that an index (`*.index.json`) names.
class SafetensorsModel {
 public:
  /// `path` is a safetensors file, an index, or a folder with model.safetensors or
  /// model.safetensors.index.json.
  explicit SafetensorsModel(const std::string& path);

  /// The file or index that was found.
  const std::string& path() const { return path_; }
  bool has(const std::string& name) const { return shard_of_.contains(name); }
  std::vector<std::string> names() const;
  const SafetensorsEntry& entry(const std::string& name) const;
  void read(const std::string& name, std::span<float> out) const { shard(name).read(name, out); }
  const std::vector<std::unique_ptr<SafetensorsFile>>& files() const { return files_; }

 private:
  void open_shards(const std::string& index);
  const SafetensorsFile& shard(const std::string& name) const;

  std::string path_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, const SafetensorsFile*> shard_of_;
};

/// A float32 tensor to write, row-major.
struct SafetensorsTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::span<const float> values;
};

/// Writes the tensors in this order as F32, header padded with spaces to a multiple of 8, through AtomicFile.
/// The metadata {"format": "pt"} is what Hugging Face asks for. Equal calls give equal bytes.
void write_safetensors(const std::string& path, const std::vector<SafetensorsTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace tapestry
