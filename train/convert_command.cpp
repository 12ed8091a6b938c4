#include <filesystem>

#include "base/report.h"
#include "base/run_options.h"
#include "data/id_tokenizer.h"
#include "layers/attention/attention.h"
#include "train/commands.h"
#include "train/convert.h"
#include "train/gpt2_export.h"
#include "train/model_config.h"
#include "train/model_folder.h"

namespace tapestry {
namespace fs = std::filesystem;
namespace {

struct CommandOptions {
  std::string from;
  std::string output;
  std::string to = "checkpoint";
  std::string tokenizer;
  bool overwrite = false;
};

const OptionTable<CommandOptions>& command_options() {
  using C = CommandOptions;
  static const OptionTable<C> table =
      OptionTable<C>("", "convert")
          .add("from", &C::from,
               "what to convert: a folder with GPT-2 in the Hugging Face layout, one that --to tapestry "
               "wrote, or a checkpoint")
          .add("output", &C::output, "the checkpoint to write; with another --to the folder")
          .add("to", &C::to,
               "checkpoint; gpt2: a folder in the Hugging Face layout; tapestry: such a folder for any model "
               "of ours",
               one_of({"checkpoint", "gpt2", "tapestry"}))
          .add("tokenizer", &C::tokenizer,
               "bytes, a folder, or ids for none, in place of the tokenizer that is there")
          .add("overwrite", &C::overwrite, "replace the model that is in the folder --output");
  return table;
}

std::shared_ptr<const Tokenizer> choose_tokenizer(const CommandOptions& options, const ModelSource& source,
                                                  int64_t vocab_size) {
  std::shared_ptr<const Tokenizer> tokenizer;
  if (!options.tokenizer.empty())
    tokenizer = options.tokenizer == "ids" ? nullptr : load_tokenizer(options.tokenizer);
  else
    tokenizer = source.tokenizer();
  if (!tokenizer) tokenizer = std::make_shared<IdTokenizer>(vocab_size);
  check(tokenizer->vocab_size() <= vocab_size, Exit::input, "the tokenizer has ", tokenizer->vocab_size(),
        " tokens, the model only ", vocab_size);
  return tokenizer;
}

void add_ignored(Report& report, const ModelSource& source) {
  std::map<std::string, std::pair<int64_t, std::string>> by_reason;
  for (const auto& [tensor, reason] : source.ignored()) {
    auto& [count, example] = by_reason[reason];
    if (count++ == 0) example = tensor;
  }
  if (by_reason.empty()) return;
  Report::Table& table = report.table("ignored", {"reason", "tensors", "first"});
  for (const auto& [reason, tensors] : by_reason) table.row({reason, tensors.first, tensors.second});
}

/// "blocks.3.attention.r.weight" -> "attention.r.weight": one row for all layers.
std::string without_layer(const std::string& name) {
  const size_t dot = name.find('.', name.find('.') + 1);
  return name.starts_with("blocks.") ? name.substr(dot + 1) : name;
}

void add_dropped(Report& report, const ModelSource& source, const Conversion& made) {
  std::map<std::string, std::pair<int64_t, int64_t>> rows;
  for (const std::string& name : made.dropped) {
    auto& [tensors, numbers] = rows[without_layer(name)];
    ++tensors;
    numbers += source.shapes().at(name).size();
  }
  if (rows.empty()) return;
  Report::Table& table = report.table("dropped_parameters", {"parameter", "tensors", "numbers"});
  for (const auto& [name, count] : rows) table.row({name, count.first, count.second});
}

void add_started(Report& report, const Conversion& made) {
  std::map<std::pair<std::string, std::string>, std::pair<int64_t, int64_t>> rows;
  for (const auto& [name, size, from] : made.started) {
    auto& [tensors, numbers] = rows[{without_layer(name), from}];
    ++tensors;
    numbers += size;
  }
  if (rows.empty()) return;
  Report::Table& table = report.table("new_parameters", {"parameter", "tensors", "numbers", "start"});
  for (const auto& [what, count] : rows) table.row({what.first, count.first, count.second, what.second});
}

/// The tokenizer of what was written, for people.
std::string describe(const Tokenizer& tokenizer, const std::string& to) {
  if (tokenizer.kind() == "ids") return "none: the model takes token ids, no text";
  if (tokenizer.kind() == "bytes" && to == "gpt2") return "bytes: has no files, a token's id is the byte";
  return tokenizer.identity();
}

Report report_of(const CommandOptions& options, const ModelSource& source, const Conversion& made,
                 const Tokenizer& tokenizer, int64_t vocab_size) {
  Report report;
  report.add("from", options.from)
      .add("parameters_read", source.parameter_count())
      .add("tensors_used", source.tensors_used())
      .add("tensors_ignored", static_cast<int64_t>(source.ignored().size()));
  add_ignored(report, source);
  const ModelOptions& model = made.model->options();
  report.add("output", options.output)
      .add("parameters", made.model->parameter_count())
      .add("parameters_kept", made.kept)
      .add("parameters_dropped", source.parameter_count() - made.kept);
  add_dropped(report, source, made);
  add_started(report, made);
  report.add("attention", format_value(model.attention))
      .add("n_ctx", model.n_ctx)
      .add("vocab_size", vocab_size)
      .add("tokenizer", tokenizer.identity(), describe(tokenizer, options.to));
  return report;
}

void check_paths(const CommandOptions& options) {
  check(!options.from.empty() && !options.output.empty(), Exit::usage, "convert needs --from and --output");
  std::error_code missing;
  check(!fs::equivalent(options.from, options.output, missing), Exit::usage,
        "--output is what --from names: write somewhere else");
  check(options.to != "checkpoint" || !fs::is_directory(options.output), Exit::usage, "--output '",
        options.output, "' is a folder; a checkpoint is a file, or did you mean --to gpt2?");
  check(!holds_model(options.output) || options.overwrite, Exit::usage, "'", options.output,
        "' already holds a model: replace it with --overwrite, or write somewhere else");
}

/// Writes what was asked for and returns the size of its vocabulary.
int64_t write_output(const CommandOptions& options, const ModelSource& source, const Conversion& made,
                     const Tokenizer& tokenizer) {
  if (options.to == "gpt2")
    return export_gpt2(options.output, *made.model, made.config, tokenizer, source.gpt2_config());
  if (options.to == "tapestry") {
    export_model_folder(options.output, *made.model, made.config, tokenizer, source.gpt2_config());
  } else {
    save_checkpoint(options.output, {.model = *made.model,
                                     .tokenizer = tokenizer,
                                     .config = format_config(made.config, run_sections()),
                                     .gpt2_config = source.gpt2_config()});
  }
  return made.model->options().vocab_size;
}

Exit run_convert(const Config& config) {
  const auto options = config.get(command_options());
  const auto report_to = config.get(report_options());
  check_paths(options);
  check_report_destination(report_to);
  const auto source = open_model_source(options.from);
  const Conversion made =
      convert(*source, config.get(convert_options()), config, config.get(run_options()).seed);
  const auto tokenizer = choose_tokenizer(options, *source, made.model->options().vocab_size);
  const int64_t vocab_size = write_output(options, *source, made, *tokenizer);
  report_of(options, *source, made, *tokenizer, vocab_size).write(report_to);
  return Exit::done;
}

}  // namespace

Command convert_command() {
  std::vector<const OptionSection*> sections = {&command_options(), &convert_options(), &report_options()};
  for (const AttentionKind& kind : attention_kinds()) sections.push_back(kind.section);
  sections.push_back(&run_options());
  return {"convert", "GPT-2 to a checkpoint, with any attention on any layers, and back", sections,
          run_convert};
}

}  // namespace tapestry
