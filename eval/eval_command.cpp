#include <cmath>

#include "base/progress.h"
#include "base/report.h"
#include "base/signals.h"
#include "data/data_options.h"
#include "data/synthetic/task.h"
#include "data/token_file.h"
#include "data/word_counter.h"
#include "eval/commands.h"
#include "eval/equal_parts.h"
#include "eval/keys_read.h"
#include "eval/task_eval.h"
#include "train/mean_nll.h"
#include "train/model_source.h"
#include "train/run_device.h"

namespace tapestry {
namespace {

struct EvalOptions {
  std::string checkpoint;
  std::string tokens;
  std::string split = "valid";
  std::string protocol = "windows";
  int64_t seq_len = 0;
  int64_t stride = 0;
  int64_t batch_size = 4;
  int64_t max_tokens = 0;
  int64_t by_position = 0;
};

const OptionTable<EvalOptions>& eval_options() {
  using E = EvalOptions;
  static const OptionTable<E> table =
      OptionTable<E>("", "eval")
          .add("checkpoint", &E::checkpoint, join("the model: ", kAnyModel))
          .add("tokens", &E::tokens, "the token file; none for a model that was trained on a task")
          .add("split", &E::split, "which part of it", one_of({"train", "valid"}))
          .add("protocol", &E::protocol,
               "windows: disjoint windows of seq-len inputs, every token but the first is scored once; "
               "strided: windows of seq-len tokens that advance by stride, each scores what no earlier one "
               "scored",
               one_of({"windows", "strided"}))
          .add("seq-len", &E::seq_len, "length of a window; 0: the length that the model was trained with",
               at_least(0))
          .add("stride", &E::stride, "of the protocol strided; 0: half of seq-len", at_least(0))
          .add("max-tokens", &E::max_tokens, "score the first so many tokens; 0: all", at_least(0))
          .add("by-position", &E::by_position,
               "also the loss by the tokens that stand before in the window, in so many equal parts; 0: not",
               at_least(0))
          .add("batch-size", &E::batch_size,
               "windows, or sequences of a task, that run together; without influence on the result but for "
               "rounding",
               at_least(1));
  return table;
}

EvalProtocol protocol_of(const EvalOptions& options, const LoadedModel& loaded) {
  const int64_t trained = loaded.config.get(data_options()).seq_len;
  const int64_t seq_len = options.seq_len > 0 ? options.seq_len : trained;
  return {.strided = options.protocol == "strided",
          .seq_len = seq_len,
          .stride = options.stride > 0 ? options.stride : std::max<int64_t>(1, seq_len / 2),
          .batch_size = options.batch_size};
}

/// The loss by context, in parts of equal width.
class LossByPosition {
 public:
  LossByPosition(int64_t parts, int64_t seq_len)
      : parts_{seq_len, std::min(parts, seq_len)}, means_(static_cast<size_t>(parts_.count)) {}
  void add(int64_t context, double nll) { means_[static_cast<size_t>(parts_.of(context))].add(nll, 1); }
  void add_to(Report& report) const {
    Report::Table& table = report.table("by_position", {"from", "to", "tokens", "mean_nll"});
    for (int64_t i = 0; i < parts_.count; ++i) {
      const TokenMean& nll = means_[static_cast<size_t>(i)];
      if (nll.tokens() > 0) table.row({parts_.first(i), parts_.last(i), nll.tokens(), nll.mean()});
    }
  }

 private:
  EqualParts parts_;
  std::vector<TokenMean> means_;
};

/// Bytes and words of the first `count` tokens of a split, and that number.
struct TextSize {
  int64_t tokens;
  TextCounts text;
};
TextSize size_of(const TokenFile& file, Split split, const Tokenizer& tokenizer, int64_t count) {
  const auto text = file.tokens(split);
  if (count == text->size()) return {count, file.text(split)};
  std::vector<int32_t> tokens(count);
  text->read(0, count, tokens.data());
  WordCounter words;
  const std::string bytes = tokenizer.decode(tokens);
  words.add(bytes);
  return {count, {.bytes = static_cast<int64_t>(bytes.size()), .words = words.count()}};
}

/// A few tokens are not scored, the first one and with some strides more: what a byte or a word costs is the
/// mean of a token times the tokens that it has.
Report report_of(const EvalOptions& options, const EvalProtocol& protocol, const TokenMean& nll,
                 const TextSize& size) {
  const TextCounts& text = size.text;
  const auto nats_per = [&](int64_t count) {
    return nll.mean() * static_cast<double>(size.tokens) / static_cast<double>(count);
  };
  Report report;
  report.add("checkpoint", options.checkpoint).add("tokens_file", options.tokens).add("split", options.split);
  report.add("protocol", options.protocol).add("seq_len", protocol.seq_len);
  if (protocol.strided) report.add("stride", protocol.stride);
  report.add("tokens_scored", nll.tokens()).add("bytes", text.bytes).add("words", text.words);
  report.add("total_nll", nll.sum()).add("mean_nll", nll.mean()).add("perplexity", std::exp(nll.mean()));
  if (text.words > 0) report.add("perplexity_per_word", std::exp(nats_per(text.words)));
  if (text.bytes > 0) {
    report.add("perplexity_per_byte", std::exp(nats_per(text.bytes)));
    report.add("bits_per_byte", nats_per(text.bytes) / std::log(2.0));
  }
  return report;
}

Exit eval_text(const EvalOptions& options, const ReportOptions& report_to, Device device) {
  const LoadedModel loaded = load_any_model(options.checkpoint, device);
  const TokenFile file(options.tokens);
  const auto tokenizer = file.tokenizer();
  check_tokenizer(*tokenizer, options.tokens, loaded.tokenizer.get(), options.checkpoint);
  const Split split = options.split == "train" ? Split::train : Split::valid;
  const auto text = file.tokens(split);
  const EvalProtocol protocol = protocol_of(options, loaded);
  const int64_t count =
      options.max_tokens > 0 ? std::min(options.max_tokens + 1, text->size()) : text->size();
  Progress progress("eval", count - 1, "tokens");
  const auto go_on = [&](const TokenMean& now) {
    progress.update(now.tokens(), join("perplexity ", std::exp(now.mean())));
    throw_if_stop_requested();
    return true;
  };
  LossByPosition by_position(std::max<int64_t>(1, options.by_position), protocol.seq_len);
  const TokenMean nll = mean_nll(*loaded.model, *text, count, protocol, go_on,
                                 [&](int64_t context, double nll) { by_position.add(context, nll); });
  progress.finish();
  check(std::isfinite(nll.mean()), Exit::nonfinite, "the loss of ", options.checkpoint, " on ", text->name(),
        " is not finite: ", nll.mean());
  Report report = report_of(options, protocol, nll, size_of(file, split, *tokenizer, count));
  if (const auto share = keys_read_share(loaded.config, protocol.seq_len))
    report.add("keys_read_share", *share);
  if (options.by_position > 0) by_position.add_to(report);
  report.write(report_to);
  return Exit::done;
}

Exit run_eval(const Config& config) {
  const auto options = config.get(eval_options());
  const auto report_to = config.get(report_options());
  check(!options.checkpoint.empty(), Exit::usage, "eval needs --checkpoint");
  check_report_destination(report_to);
  if (!options.tokens.empty()) return eval_text(options, report_to, run_device(config.get(run_options())));
  return eval_task(config, {options.checkpoint, options.seq_len, options.batch_size}, report_to);
}

}  // namespace

Command eval_command() {
  std::vector<const OptionSection*> sections = {&eval_options(), &task_eval_options(), &report_options()};
  for (const OptionSection* task : task_sections()) sections.push_back(task);
  return {"eval", "measure the perplexity of a checkpoint on a token file, or its answers to a task",
          sections, run_eval};
}

}  // namespace tapestry
