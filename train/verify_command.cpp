#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>

#include "base/report.h"
#include "base/signals.h"
#include "data/safetensors.h"
#include "data/token_file_faults.h"
#include "train/checkpoint_faults.h"
#include "train/commands.h"
#include "train/file_kind.h"
#include "train/state_file.h"

namespace tapestry {
namespace {

struct VerifyOptions {
  std::vector<std::string> file;
};

const OptionTable<VerifyOptions>& verify_options() {
  static const auto table = OptionTable<VerifyOptions>("", "verify")
                                .add("file", &VerifyOptions::file,
                                     "checkpoints, token files, decoding states, safetensors files, and "
                                     "folders or indexes of the latter")
                                .plain_words("file");
  return table;
}

/// Looks at every value of the types that models are trained with; the rest, masks and indices, cannot be
/// anything but finite.
void check_finite(const SafetensorsModel& model, const std::string& name) {
  throw_if_stop_requested();
  const SafetensorsEntry& entry = model.entry(name);
  static const std::vector<std::string> floating = {"F64", "F32", "F16", "BF16"};
  if (std::find(floating.begin(), floating.end(), entry.dtype) == floating.end()) return;
  std::vector<float> values(static_cast<size_t>(entry.size));
  model.read(name, values);
  const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  check(bad == values.end(), Exit::input, "'", model.path(), "': element ", bad - values.begin(), " of ",
        name, " is ", bad == values.end() ? 0 : *bad);
}

void find_safetensors_faults(const std::string& path, FaultList& faults) {
  std::optional<SafetensorsModel> model;
  if (!faults.run([&] { model.emplace(path); })) return;
  for (const std::string& name : model->names()) faults.run([&] { check_finite(*model, name); });
}

struct FileVerdict {
  std::string file;
  std::optional<ModelFile> kind;  // none when it is no file of ours
  FaultList faults;

  Exit exit() const {
    if (faults.lines().empty()) return Exit::done;
    return kind ? exit_of(*kind) : Exit::input;
  }
};

FileVerdict verify(const std::string& path) {
  FileVerdict verdict{path, {}, {}};
  if (!verdict.faults.run([&] { verdict.kind = kind_of_file(path); })) return verdict;
  switch (*verdict.kind) {
    case ModelFile::checkpoint:
      find_checkpoint_faults(path, verdict.faults);
      break;
    case ModelFile::tokens:
      find_token_file_faults(path, verdict.faults);
      break;
    case ModelFile::state:
      find_state_file_faults(path, verdict.faults);
      break;
    case ModelFile::safetensors:
      find_safetensors_faults(path, verdict.faults);
      break;
  }
  return verdict;
}

Report report_of(const std::vector<FileVerdict>& verdicts, bool with_faults) {
  Report report;
  Report::Table& files = report.table("files", {"file", "kind", "faults"});
  for (const FileVerdict& verdict : verdicts) {
    files.row({verdict.file, verdict.kind ? Figure(name_of(*verdict.kind)) : Figure(),
               verdict.faults.lines().size()});
  }
  if (!with_faults) return report;
  Report::Table& faults = report.table("faults", {"file", "fault"});
  for (const FileVerdict& verdict : verdicts) {
    for (const std::string& line : verdict.faults.lines()) faults.row({verdict.file, line});
  }
  return report;
}

Exit run_verify(const Config& config) {
  const auto options = config.get(verify_options());
  const auto report_to = config.get(report_options());
  check(!options.file.empty(), Exit::usage, "verify needs files: tapestry verify FILE...");
  check_report_destination(report_to);
  std::vector<FileVerdict> verdicts;
  Exit exit = Exit::done;
  for (const std::string& path : options.file) {
    verdicts.push_back(verify(path));
    for (const std::string& line : verdicts.back().faults.lines())
      std::cerr << "tapestry verify: " << line << std::endl;
    if (exit == Exit::done) exit = verdicts.back().exit();
  }
  // Standard error has the faults already; a program wants them in one place.
  report_of(verdicts, !report_to.json.empty()).write(report_to);
  return exit;
}

}  // namespace

Command verify_command() {
  return {"verify",
          "check files of this program: hash, structure, shapes, finiteness, tokenizer",
          {&verify_options(), &report_options()},
          run_verify};
}

}  // namespace tapestry
