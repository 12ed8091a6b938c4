#include "train/gpt2_import.h"

#include <algorithm>
#include <set>

#include "data/strict_json.h"
#include "train/gpt2_config.h"
#include "train/model_folder.h"

namespace tapestry {
namespace {

Shape shape_of(const std::vector<int64_t>& axes) {
  return axes.size() == 1 ? Shape{axes[0]} : Shape{axes[0], axes[1]};
}

}  // namespace

Gpt2Source::Gpt2Source(const std::string& folder) : weights_(folder) {
  path_ = folder;
  read_config();
  prefix_ = weights_.has(std::string(kGpt2Prefix) + "wte.weight") ? kGpt2Prefix : "";
  std::set<std::string> used;
  for (const Gpt2Tensor& tensor : gpt2_tensors(model_)) {
    place(tensor);
    used.insert(stored_name(tensor.name));
  }
  tensors_used_ = static_cast<int64_t>(used.size());
  for (const std::string& name : weights_.names()) {
    if (!used.contains(name)) account_for(name);
  }
}

std::shared_ptr<const Tokenizer> Gpt2Source::read_tokenizer() const {
  if (!has_tokenizer(path_)) return nullptr;
  std::shared_ptr<const Tokenizer> tokenizer = load_tokenizer(path_);
  check(tokenizer->vocab_size() <= model_.vocab_size, Exit::input, "'", path_, "': the tokenizer has ",
        tokenizer->vocab_size(), " tokens, more than vocab_size = ", model_.vocab_size);
  return tokenizer;
}

void Gpt2Source::read_config() {
  const std::string path = path_ + "/config.json";
  gpt2_config_ = read_model_json(path_);
  model_ = parse_gpt2_config(gpt2_config_, "'" + path + "'");
  for (const Option& option : model_options().options)
    config_.set("model." + option.name, option.get(&model_), path);
  config_.set("data.seq_len", format_value(model_.n_ctx), path);
}

std::string Gpt2Source::stored_name(const std::string& name) const {
  return name == kGpt2Output ? name : prefix_ + name;
}

void Gpt2Source::place(const Gpt2Tensor& tensor) {
  const std::string name = stored_name(tensor.name);
  check(weights_.has(name), Exit::input, "'", weights_.path(), "' has no tensor ", shown(name),
        ", which its config.json needs");
  const std::vector<int64_t>& stored = weights_.entry(name).shape;
  check(stored == tensor.shape, Exit::input, "'", weights_.path(), "': tensor ", shown(name), " is ",
        format_shape(stored), ", its config.json needs ", format_shape(tensor.shape),
        " (weights of GPT-2 are [in, out])");
  const auto parts = static_cast<int64_t>(tensor.parameters.size());
  const int64_t columns = tensor.shape.back() / parts;
  std::vector<int64_t> shape = tensor.shape;
  shape.back() = columns;
  for (int64_t part = 0; part < parts; ++part) {
    const std::string& parameter = tensor.parameters[part];
    places_[parameter] = {name, part * columns, parts == 1 ? 0 : columns};
    shapes_[parameter] = shape_of(shape);
  }
}

/// Says why a tensor is not used, or refuses it.
void Gpt2Source::account_for(const std::string& name) {
  if (is_gpt2_mask(name)) {
    ignored_.push_back({name, "causal mask, a constant"});
    return;
  }
  check(name == kGpt2Output, Exit::input, "'", weights_.path(), "' holds the tensor ", shown(name),
        ", which GPT-2 does not have");
  check(output_repeats_embedding(), Exit::input, "'", weights_.path(), "': ", kGpt2Output,
        " differs from wte.weight, but config.json ties them; set \"tie_word_embeddings\": false there if "
        "the output projection is one of its own");
  ignored_.push_back({name, "equal to wte.weight, to which it is tied"});
}

bool Gpt2Source::output_repeats_embedding() const {
  const std::string embedding = stored_name("wte.weight");
  if (weights_.entry(kGpt2Output).shape != weights_.entry(embedding).shape) return false;
  std::vector<float> a(static_cast<size_t>(weights_.entry(embedding).size)), b(a.size());
  weights_.read(embedding, a);
  weights_.read(kGpt2Output, b);
  return a == b;
}

void Gpt2Source::read_values(const std::string& name, Tensor out) const {
  const Place& place = places_.at(name);
  const auto size = static_cast<size_t>(out.size());
  float* values = out.mutable_data<float>();
  if (place.columns == 0) return weights_.read(place.tensor, {values, size});
  const std::vector<float>& all = fused(place.tensor);
  const int64_t rows = out.size() / place.columns, width = static_cast<int64_t>(all.size()) / rows;
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(all.data() + row * width + place.column, place.columns, values + row * place.columns);
}

const std::vector<float>& Gpt2Source::fused(const std::string& tensor) const {
  if (tensor != fused_name_) {
    fused_.resize(static_cast<size_t>(weights_.entry(tensor).size));
    weights_.read(tensor, fused_);
    fused_name_ = tensor;
  }
  return fused_;
}

}  // namespace tapestry
