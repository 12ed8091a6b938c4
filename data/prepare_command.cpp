#include "data/commands.h"

#include <map>

#include "base/report.h"
#include "base/run_options.h"
#include "base/units.h"
#include "data/prepare.h"

namespace tapestry {
namespace {

void add_split(Report& report, const std::string& name, const SplitSummary& split) {
  report.group(name)
      .add("tokens", split.tokens)
      .add("documents", split.documents)
      .add("bytes", split.bytes, format_bytes(split.bytes))
      .add("words", split.words)
      .add("bytes_per_token",
           split.tokens ? Figure(static_cast<double>(split.bytes) / static_cast<double>(split.tokens))
                        : Figure());
}

// One row a reason, since a folder may hold thousands of files that are no text.
void add_skipped(Report& report, const std::vector<SkippedFile>& skipped) {
  if (skipped.empty()) return;
  std::map<std::string, std::pair<int64_t, std::string>> by_reason;
  for (const SkippedFile& file : skipped) {
    auto& [count, example] = by_reason[file.reason];
    if (count++ == 0) example = file.path;
  }
  Report::Table& table = report.table("skipped", {"reason", "files", "first"});
  for (const auto& [reason, files] : by_reason) table.row({reason, files.first, files.second});
}

Exit run_prepare(const Config& config) {
  const auto options = config.get(prepare_options());
  const auto destination = config.get(report_options());
  check_report_destination(destination);
  const PrepareSummary summary = prepare(options, config.get(run_options()).seed);
  Report report;
  report.add("output", options.output)
      .add("sha256", summary.sha256)
      .add("tokenizer", summary.tokenizer)
      .add("vocab_size", summary.vocab_size);
  add_split(report, "train", summary.train);
  add_split(report, "valid", summary.valid);
  add_skipped(report, summary.skipped);
  report.write(destination);
  return Exit::done;
}

}  // namespace

Command prepare_command() {
  return {"prepare",
          "text files or folders -> a token file with a training and a validation split",
          {&prepare_options(), &report_options()},
          run_prepare};
}

}  // namespace tapestry
