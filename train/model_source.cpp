#include "train/model_source.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>

#include "data/data_options.h"
#include "data/id_tokenizer.h"
#include "layers/attention/attention.h"
#include "train/gpt2_import.h"
#include "train/model_folder.h"

namespace tapestry {
namespace {

class CheckpointSource : public ModelSource {
 public:
  explicit CheckpointSource(const std::string& path) : checkpoint_(path) {
    path_ = path;
    read_config();
    gpt2_config_ = checkpoint_.gpt2_config();
    shapes_ = checkpoint_.parameter_shapes();
    tensors_used_ = static_cast<int64_t>(shapes_.size());
  }
  void read_values(const std::string& name, Tensor out) const override {
    checkpoint_.read_parameter(name, out);
  }
  std::shared_ptr<const Tokenizer> read_tokenizer() const override { return checkpoint_.tokenizer(); }

 private:
  /// A checkpoint lists the options of every attention; those of attentions not in use mean nothing.
  void read_config() {
    const Config all = checkpoint_.config();
    const auto model = all.get(model_options());
    const auto copy_section = [&](const std::string& section) {
      for (const auto& [key, value] : all.values())
        if (key.starts_with(section + ".")) config_.set(key, value.text, path_);
    };
    copy_section("model");
    copy_section("layer");
    for (const std::string& name : model.attention) copy_section(attention_kind(name).section->name);
    config_.set("data.seq_len", format_value(all.get(data_options()).seq_len), path_);
  }

  Checkpoint checkpoint_;
};

}  // namespace

const std::shared_ptr<const Tokenizer>& ModelSource::tokenizer() const {
  if (!tokenizer_) tokenizer_ = read_tokenizer();
  return *tokenizer_;
}

int64_t ModelSource::parameter_count() const {
  int64_t count = 0;
  for (const auto& [name, shape] : shapes_) count += shape.size();
  return count;
}

void ModelSource::read(const std::string& name, Tensor out) const {
  read_values(name, out);
  const std::span<const float> values(out.data<float>(), static_cast<size_t>(out.size()));
  const auto bad = std::find_if_not(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
  check(bad == values.end(), Exit::nonfinite, "'", path_, "': element ", bad - values.begin(), " of ", name,
        " is ", *bad);
}

std::unique_ptr<ModelSource> open_model_source(const std::string& path) {
  if (std::filesystem::is_directory(path)) {
    if (is_model_folder(path)) return std::make_unique<FolderSource>(path);
    return std::make_unique<Gpt2Source>(path);
  }
  return std::make_unique<CheckpointSource>(path);
}

void read_parameters(const ModelSource& source, const LanguageModel& model) {
  for (const auto& [name, parameter] : model.parameters()) {
    const auto found = source.shapes().find(name);
    check(found != source.shapes().end() && found->second == parameter.shape(), Exit::input, "'",
          source.path(), "' has no parameter ", name, " of shape ", parameter.shape());
    Tensor value = parameter.value();
    const bool on_host = !value.device().is_cuda();
    Tensor read = on_host ? value : Tensor::empty(value.shape());
    source.read(name, read);
    if (!on_host) value.copy_from(read);
  }
}

LoadedModel load_model(const ModelSource& source, Device device) {
  LoadedModel loaded;
  loaded.config = source.config();
  loaded.model = std::make_unique<LanguageModel>(loaded.config.get(model_options()), loaded.config,
                                                 ModuleContext{.device = device, .initialise = false});
  read_parameters(source, *loaded.model);
  loaded.tokenizer = source.tokenizer();
  return loaded;
}

LoadedModel load_any_model(const std::string& path, Device device) {
  if (!std::filesystem::is_directory(path)) return load_model(path, device);
  LoadedModel loaded = load_model(*open_model_source(path), device);
  if (!loaded.tokenizer) loaded.tokenizer = std::make_shared<IdTokenizer>(loaded.model->options().vocab_size);
  return loaded;
}

}  // namespace tapestry
