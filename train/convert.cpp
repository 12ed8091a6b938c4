#include "train/convert.h"

#include <algorithm>
#include <set>

#include "layers/attention/bsbr_options.h"

namespace tapestry {
namespace {

constexpr const char* kPositionTable = "positions.weight";
constexpr const char* kAttention = ".attention.";

/// Row `row` of `rows` positions, out of the `old` ones [P, C].
void write_position(const Tensor& old, int64_t row, int64_t rows, bool interpolate, float* out) {
  const int64_t count = old.dim(0), width = old.dim(1);
  const float* values = old.data<float>();
  if (!interpolate || rows <= count) {
    std::copy_n(values + row % count * width, width, out);
    return;
  }
  const double at = static_cast<double>(row) * static_cast<double>(count - 1) / static_cast<double>(rows - 1);
  const auto low = static_cast<int64_t>(at);
  const int64_t high = std::min(low + 1, count - 1);
  const auto share = static_cast<float>(at - static_cast<double>(low));
  for (int64_t i = 0; i < width; ++i)
    out[i] = (1 - share) * values[low * width + i] + share * values[high * width + i];
}

void fill_positions(const ModelSource& source, bool interpolate, Tensor out) {
  Tensor old = Tensor::empty(source.shapes().at(kPositionTable));
  source.read(kPositionTable, old);
  for (int64_t row = 0; row < out.dim(0); ++row)
    write_position(old, row, out.dim(0), interpolate, out.mutable_data<float>() + row * out.dim(1));
}

void fill_average(const Tensor& a, const Tensor& b, Tensor out) {
  const float *x = a.data<float>(), *y = b.data<float>();
  float* values = out.mutable_data<float>();
  for (int64_t i = 0; i < out.size(); ++i) values[i] = 0.5f * (x[i] + y[i]);
}

/// The start of parameters that are new, from others of the same layer.
class Starter {
 public:
  Starter(const LanguageModel& model, const Config& config) : model_(model), config_(config) {
    for (const auto& [name, parameter] : model.parameters()) values_.emplace(name, parameter.value());
  }

  /// Sets the parameter and says to what.
  std::string start(const std::string& name) {
    model_.initialise(name);
    const size_t at = name.find(kAttention);
    if (at == std::string::npos) return "as in training";
    const std::string attention = name.substr(0, at) + kAttention;
    const std::string part = name.substr(attention.size()), which = part.substr(part.find('.') + 1);
    const auto layer = std::stoll(name.substr(name.find('.') + 1));
    if (part == "score_gain" || part == "gate") {
      values_.at(name).fill(0);
      return "0";
    }
    const bool r = part.starts_with("r."), h = part.starts_with("h.");
    if (!r && !h) return "as in training";
    const auto value = [&](const char* projection) { return values_.at(attention + projection + which); };
    if (config_.get(bsbr_options(), layer).reads_tokens()) {
      values_.at(name).copy_from(r ? value("q.") : value("k."));
      return r ? "q" : "k";
    }
    r ? fill_average(value("q."), value("k."), values_.at(name))
      : fill_average(value("k."), value("v."), values_.at(name));
    return r ? "average of q and k" : "average of k and v";
  }

 private:
  const LanguageModel& model_;
  const Config& config_;
  std::map<std::string, Tensor> values_;
};

}  // namespace

Conversion convert(const ModelSource& source, const ConvertOptions& options, const Config& given,
                   uint64_t seed) {
  Conversion made;
  made.config = converted_config(source, options, given);
  made.model = std::make_unique<LanguageModel>(made.config.get(model_options()), made.config,
                                               ModuleContext{.seed = seed, .initialise = false});
  const std::vector<NamedParameter> parameters = made.model->parameters();
  std::set<std::string> used;
  for (const auto& [name, parameter] : parameters) {
    const auto found = source.shapes().find(name);
    const bool positions = name == kPositionTable && found != source.shapes().end();
    if (!positions && (found == source.shapes().end() || found->second != parameter.shape())) continue;
    used.insert(name);
    made.kept += std::min(found->second.size(), parameter.shape().size());
    positions ? fill_positions(source, options.positions == "interpolate", parameter.value())
              : source.read(name, parameter.value());
  }
  Starter starter(*made.model, made.config);
  for (const auto& [name, parameter] : parameters)
    if (!used.contains(name)) made.started.push_back({name, parameter.shape().size(), starter.start(name)});
  for (const auto& [name, shape] : source.shapes())
    if (!used.contains(name)) made.dropped.push_back(name);
  return made;
}

}  // namespace tapestry
