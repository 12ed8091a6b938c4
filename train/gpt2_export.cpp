#include "train/gpt2_export.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

#include "base/violations.h"
#include "data/atomic_file.h"
#include "data/safetensors.h"
#include "layers/attention/standard.h"
#include "train/gpt2_config.h"
#include "train/gpt2_layout.h"
#include "train/model_folder.h"

namespace tapestry {
namespace {

void check_expressible(const ModelOptions& model, const Config& config) {
  Violations wrong;
  const double usual = 1 / std::sqrt(static_cast<double>(model.n_embd) / static_cast<double>(model.n_head));
  for (int64_t layer = 0; layer < model.n_layer; ++layer) {
    const std::string& attention = model.attention_of(layer);
    wrong.require(
        attention == "standard", "layer ", layer, " is ", attention,
        ": a program that reads GPT-2 would compute standard attention from its weights, another "
        "model; convert --attention standard says that this is wanted, --to tapestry writes this one");
    const double scale = config.get(standard_options(), layer).scale;
    wrong.require(scale == 0 || scale == usual, "layer ", layer, " has standard.scale = ", scale,
                  ", GPT-2 always has ", usual);
  }
  wrong.require(model.positions == "learned", "the positions are ", model.positions,
                ", GPT-2 has learned ones");
  wrong.throw_if_any();
}

/// The tensors of the export, each a parameter's own values or, where they are not there as a whole, a copy.
class Gpt2Tensors {
 public:
  Gpt2Tensors(const LanguageModel& model, int64_t vocab_size) {
    for (const auto& [name, parameter] : model.parameters()) parameters_[name] = parameter.value();
    ModelOptions options = model.options();
    options.vocab_size = vocab_size;
    for (const Gpt2Tensor& tensor : gpt2_tensors(options)) {
      const std::string prefix = tensor.name == kGpt2Output ? "" : kGpt2Prefix;
      tensors_.push_back({prefix + tensor.name, tensor.shape, values_of(tensor)});
    }
  }
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }

 private:
  std::span<const float> values_of(const Gpt2Tensor& tensor) {
    size_t size = 1;
    for (const int64_t axis : tensor.shape) size *= static_cast<size_t>(axis);
    if (!parameters_.contains(tensor.parameters[0])) return copies_.emplace_back(size, 0.0f);
    if (tensor.parameters.size() > 1) return side_by_side(tensor, size);
    return {parameters_.at(tensor.parameters[0]).data<float>(), size};
  }

  std::span<const float> side_by_side(const Gpt2Tensor& tensor, size_t size) {
    std::vector<float>& all = copies_.emplace_back(size);
    const auto parts = static_cast<int64_t>(tensor.parameters.size());
    const int64_t width = tensor.shape.back(), columns = width / parts;
    const int64_t rows = static_cast<int64_t>(size) / width;
    for (int64_t part = 0; part < parts; ++part) {
      const float* values = parameters_.at(tensor.parameters[part]).data<float>();
      for (int64_t row = 0; row < rows; ++row)
        std::copy_n(values + row * columns, columns, all.data() + row * width + part * columns);
    }
    return all;
  }

  std::map<std::string, Tensor> parameters_;
  std::deque<std::vector<float>> copies_;  // stay where they are while more are added
  std::vector<SafetensorsTensor> tensors_;
};

}  // namespace

int64_t export_gpt2(const std::string& folder, const LanguageModel& model, const Config& config,
                    const Tokenizer& tokenizer, const std::string& original) {
  ModelOptions options = model.options();
  check_expressible(options, config);
  if (original.empty()) options.vocab_size = std::min(options.vocab_size, tokenizer.vocab_size());
  remove_model(folder);
  save_tokenizer(tokenizer, folder);
  const Gpt2Tensors tensors(model, options.vocab_size);
  write_safetensors(folder + "/model.safetensors", tensors.tensors());
  write_file_atomically(folder + "/config.json",
                        format_gpt2_config(options, original, tokenizer.end_of_text()));
  return options.vocab_size;
}

}  // namespace tapestry
