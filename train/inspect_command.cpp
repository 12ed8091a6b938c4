#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iomanip>

#include "base/report.h"
#include "base/units.h"
#include "data/safetensors.h"
#include "data/token_file.h"
#include "train/checkpoint.h"
#include "train/commands.h"
#include "train/file_kind.h"
#include "train/state_file.h"

namespace tapestry {
namespace {

struct InspectOptions {
  std::string file;
  std::vector<std::string> values;
};

const OptionTable<InspectOptions>& inspect_options() {
  static const auto table =
      OptionTable<InspectOptions>("", "inspect")
          .add("file", &InspectOptions::file,
               "a checkpoint, token file, decoding state or safetensors file, or a folder or index of the "
               "latter")
          .add("values", &InspectOptions::values,
               "checkpoint: show the values of parameters whose names end so, as gate,score_gain")
          .plain_words("file");
  return table;
}

void add_bytes(Report& report, const std::string& name, int64_t bytes) {
  report.add(name, bytes, format_bytes(bytes));
}

void add_count(Report& report, const std::string& name, int64_t count) {
  const std::string short_form = join(count, " (", format_count(static_cast<double>(count)), ")");
  report.add(name, count, count < 1000 ? "" : short_form);
}

/// A loss that was not measured is left out.
void add_loss(Report& report, const std::string& name, double loss) {
  report.add(name, std::isfinite(loss) ? Figure(loss) : Figure());
}

/// The last value that the run measured; NaN without one.
double last_measured(const std::vector<LogRow>& history, double LogRow::*column) {
  double last = LogRow::unknown;
  for (const LogRow& row : history)
    if (!std::isnan(row.*column)) last = row.*column;
  return last;
}

void add_progress(Report& report, const Checkpoint& checkpoint) {
  const TrainingState state = checkpoint.state();
  const double valid_loss = last_measured(state.history, &LogRow::valid_loss);
  report.add("step", state.step);
  add_count(report, "tokens", state.tokens);
  report.add("seconds", state.seconds, format_duration(state.seconds));
  report.add("logged_steps", state.history.size());
  add_loss(report, "train_loss", last_measured(state.history, &LogRow::train_loss));
  add_loss(report, "valid_loss", valid_loss);
  add_loss(report, "valid_perplexity", std::exp(valid_loss));
  add_loss(report, "best_loss", state.best_loss);
  report.add("best_step", state.best_step);
  report.add("tokens_sha256", state.tokens_sha256);
  report.add("resumable", checkpoint.has_optimizer());
}

void add_parameters(Report& report, const Hdf5File& file) {
  int64_t total = 0;
  std::vector<std::vector<Figure>> rows;
  for (const std::string& name : file.list("model")) {
    const Hdf5Dataset parameter = file.dataset("model/" + name);
    rows.push_back({name, format_shape(parameter.shape()), parameter.type(), parameter.size()});
    total += parameter.size();
  }
  add_count(report, "parameters_total", total);
  Report::Table& table = report.table("parameters", {"name", "shape", "type", "elements"});
  for (auto& row : rows) table.row(std::move(row));
}

/// The values of the parameters whose last name is one of `names`, by path.
void add_values(Report& report, const Hdf5File& file, const std::vector<std::string>& names) {
  Report& group = report.group("values");
  for (const std::string& path : file.list("model")) {
    if (std::find(names.begin(), names.end(), path.substr(path.rfind('.') + 1)) == names.end()) continue;
    std::string text;
    for (const float value : file.read<float>("model/" + path))
      text += join(text.empty() ? "" : " ", std::setprecision(4), value);
    group.add(path, text);
  }
}

void add_config(Report& report, const Config& config) {
  Report& group = report.group("config");
  for (const auto& [key, value] : config.values()) group.add(key, value.text);
}

void inspect_checkpoint(const std::string& path, const std::vector<std::string>& values, Report& report) {
  const Checkpoint checkpoint(path);
  const auto tokenizer = checkpoint.tokenizer();
  report.add("sha256", checkpoint.sha256())
      .add("format_version", checkpoint.file().read_attribute<int64_t>("/", "format_version"));
  add_progress(report, checkpoint);
  report.add("tokenizer", tokenizer->identity()).add("vocab_size", tokenizer->vocab_size());
  add_parameters(report, checkpoint.file());
  if (!values.empty()) add_values(report, checkpoint.file(), values);
  add_config(report, checkpoint.config());
}

void inspect_token_file(const std::string& path, Report& report) {
  const TokenFile file(path);
  report.add("sha256", file.sha256())
      .add("tokenizer", file.tokenizer()->identity())
      .add("vocab_size", file.vocab_size());
  Report::Table& splits = report.table("splits", {"split", "tokens", "documents", "bytes", "words"});
  for (const Split split : {Split::train, Split::valid}) {
    const TextCounts text = file.text(split);
    splits.row({split_name(split), file.tokens(split)->size(), file.documents(split).size(), text.bytes,
                text.words});
  }
}

void inspect_state(const std::string& path, Report& report) {
  const StateFile state(path);
  report.add("sha256", state.sha256()).add("checkpoint_sha256", state.checkpoint_sha256());
  add_count(report, "tokens_read", state.position());
  report.add("tokens_pending", state.pending().size());
  int64_t bytes = 0;
  std::vector<std::vector<Figure>> rows;
  for (const std::string& name : state.parts()) {
    const Hdf5Dataset part = state.file().dataset(name);
    rows.push_back({name, format_shape(part.shape()), part.type()});
    bytes += part.size() * static_cast<int64_t>(sizeof(float));
  }
  add_bytes(report, "state_bytes", bytes);
  Report::Table& table = report.table("parts", {"name", "shape", "type"});
  for (auto& row : rows) table.row(std::move(row));
}

void inspect_safetensors(const std::string& path, Report& report) {
  const SafetensorsModel model(path);
  report.add("found", model.path()).add("files", model.files().size());
  int64_t total = 0;
  std::vector<std::vector<Figure>> rows;
  for (const std::string& name : model.names()) {
    const SafetensorsEntry& entry = model.entry(name);
    rows.push_back({name, format_shape(entry.shape), entry.dtype, entry.size});
    total += entry.size;
  }
  add_count(report, "parameters_total", total);
  for (const auto& file : model.files()) {
    if (file->metadata().empty()) continue;
    Report& metadata = report.group("metadata of " + file->path());
    for (const auto& [key, text] : file->metadata()) metadata.add(key, text);
  }
  Report::Table& table = report.table("parameters", {"name", "shape", "type", "elements"});
  for (auto& row : rows) table.row(std::move(row));
}

Exit run_inspect(const Config& config) {
  const auto options = config.get(inspect_options());
  const std::string& path = options.file;
  const auto report_to = config.get(report_options());
  check(!path.empty(), Exit::usage, "inspect needs a file: tapestry inspect FILE");
  check_report_destination(report_to);
  const ModelFile kind = kind_of_file(path);
  Report report;
  report.add("file", path).add("kind", name_of(kind));
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored))
    add_bytes(report, "bytes", static_cast<int64_t>(std::filesystem::file_size(path)));
  switch (kind) {
    case ModelFile::checkpoint:
      inspect_checkpoint(path, options.values, report);
      break;
    case ModelFile::tokens:
      inspect_token_file(path, report);
      break;
    case ModelFile::state:
      inspect_state(path, report);
      break;
    case ModelFile::safetensors:
      inspect_safetensors(path, report);
      break;
  }
  report.write(report_to);
  return Exit::done;
}

}  // namespace

Command inspect_command() {
  return {"inspect",
          "show what a checkpoint, decoding state, token file or safetensors file holds",
          {&inspect_options(), &report_options()},
          run_inspect};
}

}  // namespace tapestry
