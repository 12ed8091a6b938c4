#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "autograd/random.h"
#include "data/safetensors.h"
#include "tests/support/temporary_folder.h"
#include "train/gpt2_layout.h"

namespace tapestry::test {

/// A small random GPT-2 in the Hugging Face layout, to change and to write.
struct Gpt2Files {
  struct Values {
    std::vector<int64_t> shape;
    std::vector<float> values;
  };
  nlohmann::json config;
  std::map<std::string, Values> tensors;

  static ModelOptions options() {
    return {.attention = {"standard"},
            .n_layer = 3,
            .n_head = 2,
            .n_embd = 16,
            .n_inner = 40,
            .n_ctx = 24,
            .vocab_size = 61,
            .positions = "learned"};
  }

  explicit Gpt2Files(const ModelOptions& model = options()) {
    config = {{"model_type", "gpt2"},    {"vocab_size", model.vocab_size}, {"n_positions", model.n_ctx},
              {"n_embd", model.n_embd},  {"n_layer", model.n_layer},       {"n_head", model.n_head},
              {"n_inner", model.inner()}};
    for (const Gpt2Tensor& tensor : gpt2_tensors(model)) add(tensor.name, tensor.shape);
  }

  void add(const std::string& name, const std::vector<int64_t>& shape) {
    Values& tensor = tensors[name];
    tensor.shape = shape;
    int64_t size = 1;
    for (const int64_t axis : shape) size *= axis;
    for (int64_t i = 0; i < size; ++i)
      tensor.values.push_back(static_cast<float>(0.3 * random_normal(tensors.size(), i)));
  }

  void put_prefix() {
    std::map<std::string, Values> named;
    for (auto& [name, tensor] : tensors)
      named[name == kGpt2Output ? name : kGpt2Prefix + name] = std::move(tensor);
    tensors = std::move(named);
  }

  void write_config(const std::string& folder) const {
    std::filesystem::create_directories(folder);
    write_text(folder + "/config.json", config.dump());
  }
  void write(const std::string& folder) const {
    write_config(folder);
    write_tensors(folder + "/model.safetensors", [](size_t) { return true; });
  }
  /// The tensors in turn in the shards, with their index.
  void write_shards(const std::string& folder, size_t shards) const {
    write_config(folder);
    nlohmann::json index;
    const auto file = [](size_t shard) { return "part-" + std::to_string(shard) + ".safetensors"; };
    for (size_t shard = 0; shard < shards; ++shard)
      write_tensors(folder + "/" + file(shard), [&](size_t i) { return i % shards == shard; });
    size_t i = 0;
    for (const auto& [name, tensor] : tensors) index["weight_map"][name] = file(i++ % shards);
    write_text(folder + "/model.safetensors.index.json", index.dump());
  }

 private:
  template <class Chosen>
  void write_tensors(const std::string& path, const Chosen& chosen) const {
    std::vector<SafetensorsTensor> written;
    size_t i = 0;
    for (const auto& [name, tensor] : tensors)
      if (chosen(i++)) written.push_back({name, tensor.shape, tensor.values});
    write_safetensors(path, written);
  }
};

}  // namespace tapestry::test
