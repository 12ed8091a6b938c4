#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/safetensors.h"
#include "data/strict_json.h"

namespace tapestry {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kLongestIndex = 100'000'000;

std::string find_model(const std::string& path) {
  if (!fs::is_directory(path)) return path;
  for (const char* name : {"model.safetensors", "model.safetensors.index.json"}) {
    if (fs::exists(fs::path(path) / name)) return (fs::path(path) / name).string();
  }
  fail(Exit::input, "the folder '", path,
       "' holds neither model.safetensors nor model.safetensors.index.json",
       fs::exists(fs::path(path) / "pytorch_model.bin")
           ? "; a pytorch_model.bin is not read: save the model as safetensors"
           : "");
}

/// Tensor names and the shard of each.
std::map<std::string, std::string> read_index(const std::string& path) {
  const InputFile file(path);
  check(file.size() <= kLongestIndex, Exit::input, "'", path, "' has ", file.size(),
        " bytes, too many for an index");
  const nlohmann::json index = parse_strict_json(file.read_all(), "'" + path + "'");
  check(index.is_object() && index.contains("weight_map") && index["weight_map"].is_object(), Exit::input,
        "'", path, "': expected an object with the object weight_map");
  std::map<std::string, std::string> shards;
  for (const auto& [name, shard] : index["weight_map"].items()) {
    check(shard.is_string(), Exit::input, "'", path, "': the shard of ", shown(name), " is not a text");
    const auto text = shard.get<std::string>();
    const bool plain = !text.empty() && text != "." && text != ".." && text.find('/') == std::string::npos &&
                       text.find('\0') == std::string::npos;
    check(plain, Exit::input, "'", path, "': the shard ", shown(text), " of ", shown(name),
          " is not the name of a file in the same folder");
    shards[name] = text;
  }
  return shards;
}

}  // namespace

SafetensorsModel::SafetensorsModel(const std::string& path) : path_(find_model(path)) {
  if (path_.ends_with(".json")) {
    open_shards(path_);
    return;
  }
  files_.push_back(std::make_unique<SafetensorsFile>(path_));
  for (const auto& [name, entry] : files_.front()->tensors()) shard_of_[name] = files_.front().get();
}

void SafetensorsModel::open_shards(const std::string& index) {
  const fs::path folder = fs::path(index).parent_path();
  const std::map<std::string, std::string> shards = read_index(index);
  std::map<std::string, const SafetensorsFile*> opened;
  for (const auto& [name, shard] : shards) {
    const SafetensorsFile*& file = opened[shard];
    if (!file) {
      files_.push_back(std::make_unique<SafetensorsFile>((folder / shard).string()));
      file = files_.back().get();
    }
    check(file->tensors().contains(name), Exit::input, "'", file->path(), "' has no tensor ", shown(name),
          ", which '", index, "' says it has");
    shard_of_[name] = file;
  }
  for (const auto& file : files_) {
    for (const auto& [name, entry] : file->tensors()) {
      const auto found = shard_of_.find(name);
      check(found != shard_of_.end() && found->second == file.get(), Exit::input, "'", file->path(),
            "' holds tensor ", shown(name), ", which '", index, "' does not say");
    }
  }
}

std::vector<std::string> SafetensorsModel::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : shard_of_) names.push_back(name);
  return names;
}

const SafetensorsEntry& SafetensorsModel::entry(const std::string& name) const {
  return shard(name).tensors().at(name);
}

const SafetensorsFile& SafetensorsModel::shard(const std::string& name) const {
  const auto found = shard_of_.find(name);
  check(found != shard_of_.end(), Exit::input, "'", path_, "' has no tensor ", shown(name));
  return *found->second;
}

}  // namespace tapestry
