#include <omp.h>

#include <algorithm>

#include "autograd/precision.h"
#include "base/progress.h"
#include "base/report.h"
#include "base/run_options.h"
#include "base/signals.h"
#include "base/violations.h"
#include "eval/bench.h"
#include "eval/bench_plots.h"
#include "eval/commands.h"
#include "eval/decode_bench.h"
#include "eval/gnuplot.h"
#include "eval/torch_peer.h"
#include "layers/attention/attention.h"
#include "train/model_config.h"
#include "train/run_device.h"
#include "train/train_options.h"

namespace tapestry {
namespace {

struct BenchOptions {
  std::string mode = "train";
  std::vector<std::string> attention;
  std::vector<std::string> seq_len = {"1024"};
  std::vector<std::string> precision, threads;
  int64_t batch_size = 1;
  int64_t batch_tokens = 0;
  int64_t repeats = 5;
  int64_t warmup = 1;
  std::string peers;
  std::string plots;
};

const OptionTable<BenchOptions>& bench_options() {
  using B = BenchOptions;
  static const OptionTable<B> table =
      OptionTable<B>("", "bench")
          .add("mode", &B::mode,
               "forward: to the loss; train: a whole step with backward, clipping and update; decode: one "
               "more token after seq-len others",
               one_of({"forward", "train", "decode"}))
          .add("attention", &B::attention, "attentions, each for all layers in turn; none: model.attention")
          .add("seq-len", &B::seq_len,
               "lengths of the sequences, with mode decode tokens before the one that is timed")
          .add("precision", &B::precision, "precisions in turn; none: run.precision")
          .add("threads", &B::threads, "numbers of threads in turn; none: run.threads")
          .add("batch-size", &B::batch_size, "sequences at a time", at_least(1))
          .add("batch-tokens", &B::batch_tokens,
               "tokens at a time in place of sequences; 0: batch-size counts", at_least(0))
          .add("repeats", &B::repeats, "timed runs of each attention and length", at_least(1))
          .add("warmup", &B::warmup, "runs before those", at_least(1))
          .add("peers", &B::peers,
               "a Python with torch, which then does the work of the standard attention with learned "
               "positions too")
          .add("plots", &B::plots, "folder for plots of time and memory against length");
  return table;
}

/// One line of the table.
struct Case {
  std::string name;
  ModelOptions model;
  StepShape shape;
  std::string precision;
  int64_t threads;

  /// Whether the two differ in their shapes alone.
  bool beside(const Case& other) const {
    return name == other.name && precision == other.precision && threads == other.threads;
  }
  void set_up(Device device) const {
    omp_set_num_threads(static_cast<int>(threads));
    set_product_precision(precision_of(precision), device);
  }
};

int64_t number_of(const std::string& option, const std::string& text) {
  int64_t number = 0;
  try {
    parse_value(text, at_least(1), number);
  } catch (const Error& error) {
    fail(Exit::usage, "--", option, " ", text, ": ", error.what());
  }
  return number;
}

StepShape shape_of(const BenchOptions& options, const std::string& length) {
  StepShape shape{.batch_size = options.batch_size,
                  .seq_len = number_of("seq-len", length),
                  .training = options.mode == "train"};
  check(options.mode != "decode" || options.batch_tokens == 0, Exit::usage,
        "--mode decode takes one token of each sequence: give --batch-size in place of --batch-tokens");
  if (options.batch_tokens > 0) {
    shape.batch_size = options.batch_tokens / shape.seq_len;
    check(shape.batch_size >= 1, Exit::usage, "--seq-len ", length, " is more than --batch-tokens ",
          options.batch_tokens);
  }
  return shape;
}

std::vector<Case> cases_of(BenchOptions options, ModelOptions model, const RunOptions& run) {
  std::vector<StepShape> shapes;
  int64_t longest = 0;
  for (const std::string& length : options.seq_len) {
    shapes.push_back(shape_of(options, length));
    longest = std::max(longest, shapes.back().seq_len);
  }
  if (options.mode == "decode") longest += options.repeats;
  if (model.n_ctx == 0) model.n_ctx = longest;
  check(model.positions != "learned" || longest <= model.n_ctx, Exit::usage, "--seq-len ", longest,
        " is longer than the learned positions, model.n_ctx = ", model.n_ctx);
  std::vector<std::vector<std::string>> attentions;
  for (const std::string& name : options.attention) attentions.push_back({name});
  if (attentions.empty()) attentions.push_back(model.attention);
  if (options.precision.empty()) options.precision = {run.precision};
  if (options.threads.empty()) options.threads = {std::to_string(omp_get_max_threads())};
  std::vector<Case> cases;
  for (const auto& attention : attentions) {
    model.attention = attention;
    check_model_options(model);
    for (const std::string& precision : options.precision) {
      precision_of(precision);
      for (const std::string& threads : options.threads) {
        for (const StepShape& shape : shapes)
          cases.push_back({format_value(attention), model, shape, precision, number_of("threads", threads)});
      }
    }
  }
  return cases;
}

void add_row(Report::Table& table, const Case& c, const BenchFigures& f) {
  const double tokens = static_cast<double>(c.shape.tokens());
  table.row({c.name, c.precision, c.threads, c.shape.seq_len, c.shape.batch_size, f.run.median, f.run.fastest,
             f.run.processor, tokens / f.run.median, f.gemm_share(), f.gemm_share(&Timing::processor),
             f.product_flops / f.products.median / 1e9, f.product_flops / 1e9, f.attention_flops / 1e9,
             f.peak_bytes, f.run_bytes, f.saved_bytes, f.peak_resident_bytes, f.page_faults});
}

/// What was measured of a case: ours, and of standard attention right after it PyTorch's if that is asked
/// for.
struct Measured {
  BenchFigures ours;
  std::optional<TorchFigures> torch = {};
};

void add_peers(Report& report, const std::vector<Case>& cases, const std::vector<Measured>& all) {
  auto& table = report.table("peers", {"peer", "precision", "threads", "seq_len", "batch_size", "seconds",
                                       "fastest_seconds", "times_slower"});
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto& [ours, torch] = all[i];
    if (!torch) continue;
    const auto& [name, model, shape, precision, threads] = cases[i];
    table.row({"torch " + torch->version, precision, threads, shape.seq_len, shape.batch_size, torch->median,
               torch->fastest, torch->median / ours.run.median});
  }
}

/// Time and memory of one text against its length, a series for cases next to each other that differ in their
/// shapes alone. `seconds` and `bytes` are those of each case.
std::vector<BenchSeries> series_of(const std::vector<Case>& cases, const std::vector<double>& seconds,
                                   const std::vector<double>& bytes) {
  std::vector<BenchSeries> all;
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case& c = cases[i];
    if (i == 0 || !c.beside(cases[i - 1])) all.push_back({c.name, c.precision, c.threads});
    all.back().lengths.push_back(static_cast<double>(c.shape.seq_len));
    all.back().seconds.push_back(seconds[i] / static_cast<double>(c.shape.batch_size));
    all.back().bytes.push_back(bytes[i]);
  }
  return all;
}

std::vector<BenchSeries> series_of(const std::vector<Case>& cases, const std::vector<Measured>& all) {
  std::vector<double> seconds, bytes;
  for (size_t i = 0; i < cases.size(); ++i) {
    seconds.push_back(all[i].ours.run.median);
    bytes.push_back(static_cast<double>(all[i].ours.run_bytes) /
                    static_cast<double>(cases[i].shape.batch_size));
  }
  return series_of(cases, seconds, bytes);
}

std::vector<BenchSeries> series_of(const std::vector<Case>& cases,
                                   const std::vector<DecodeFigures>& figures) {
  std::vector<double> seconds, bytes;
  for (const DecodeFigures& f : figures) {
    seconds.push_back(f.token.median);
    bytes.push_back(static_cast<double>(f.state_bytes));
  }
  return series_of(cases, seconds, bytes);
}

void add_exponents(Report& report, const std::vector<BenchSeries>& all) {
  auto& table = report.table("exponents", {"attention", "precision", "threads", "time", "memory"});
  for (const BenchSeries& s : all) {
    table.row({s.attention, s.precision, s.threads, fitted_exponent(s.lengths, s.seconds),
               fitted_exponent(s.lengths, s.bytes)});
  }
}

Report start_report(const BenchOptions& options, const ModelOptions& model) {
  Report report;
  report.add("mode", options.mode);
  report.add("n_layer", model.n_layer).add("n_head", model.n_head).add("n_embd", model.n_embd);
  report.add("vocab_size", model.vocab_size).add("repeats", options.repeats);
  return report;
}

Report report_of(const BenchOptions& options, const std::vector<Case>& cases,
                 const std::vector<Measured>& all) {
  Report report = start_report(options, cases.front().model);
  auto& table = report.table(
      "results", {"attention", "precision", "threads", "seq_len", "batch_size", "seconds", "fastest_seconds",
                  "processor_seconds", "tokens_per_second", "gemm_share", "processor_gemm_share",
                  "gemm_gflops_per_second", "product_gflop", "attention_gflop", "peak_bytes", "run_bytes",
                  "saved_bytes", "peak_resident_bytes", "page_faults"});
  for (size_t i = 0; i < cases.size(); ++i) add_row(table, cases[i], all[i].ours);
  add_exponents(report, series_of(cases, all));
  if (!options.peers.empty()) add_peers(report, cases, all);
  return report;
}

/// The same for tokens one at a time.
Report report_of(const BenchOptions& options, const std::vector<Case>& cases,
                 const std::vector<DecodeFigures>& figures) {
  Report report = start_report(options, cases.front().model);
  auto& table = report.table(
      "results", {"attention", "precision", "threads", "position", "batch_size", "seconds", "fastest_seconds",
                  "processor_seconds", "tokens_per_second", "state_bytes", "held_bytes", "read_seconds"});
  for (size_t i = 0; i < cases.size(); ++i) {
    const DecodeFigures& f = figures[i];
    const int64_t batch = cases[i].shape.batch_size;
    table.row({cases[i].name, cases[i].precision, cases[i].threads, cases[i].shape.seq_len, batch,
               f.token.median, f.token.fastest, f.token.processor,
               static_cast<double>(batch) / f.token.median, f.state_bytes, f.held_bytes, f.read_seconds});
  }
  return report;
}

/// Cases of one model next to each other share its texts.
std::vector<DecodeFigures> decode(const std::vector<Case>& cases, const Config& config, BenchPlan plan,
                                  const std::function<void(const Case&)>& after_run) {
  std::vector<DecodeFigures> all;
  for (size_t begin = 0, end = 0; begin < cases.size(); begin = end) {
    std::vector<int64_t> positions;
    for (end = begin; end < cases.size() && cases[end].beside(cases[begin]); ++end)
      positions.push_back(cases[end].shape.seq_len);
    plan.after_run = [&] { after_run(cases[begin]); };
    cases[begin].set_up(plan.device);
    const auto figures =
        bench_decode(cases[begin].model, config, positions, cases[begin].shape.batch_size, plan);
    all.insert(all.end(), figures.begin(), figures.end());
  }
  return all;
}

std::vector<Measured> measure(const std::vector<Case>& cases, const std::string& peer, const Config& config,
                              BenchPlan plan, const std::function<void(const Case&)>& after_run) {
  std::vector<Measured> all;
  for (const Case& c : cases) {
    plan.after_run = [&] { after_run(c); };
    c.set_up(plan.device);
    all.push_back({bench(c.model, config, c.shape, plan)});
    if (!peer.empty() && c.name == "standard") all.back().torch = bench_torch(peer, c.model, c.shape, plan);
  }
  return all;
}

Exit run_bench(const Config& config) {
  const auto options = config.get(bench_options());
  const auto report_to = config.get(report_options());
  check_report_destination(report_to);
  if (!options.plots.empty()) make_folder(options.plots);
  const auto run = config.get(run_options());
  const std::vector<Case> cases = cases_of(options, config.get(model_options()), run);
  const BenchPlan plan{.warmup = options.warmup,
                       .repeats = options.repeats,
                       .seed = static_cast<uint64_t>(run.seed),
                       .device = run_device(run),
                       .recompute = config.get(train_options()).recompute == "block",
                       .optim = config.get(optim_options())};
  const bool decoding = options.mode == "decode";
  const int64_t runs = options.repeats + (decoding ? 0 : options.warmup);
  int64_t done = 0;
  Progress progress("bench", runs * static_cast<int64_t>(cases.size()), "runs");
  const auto after_run = [&](const Case& c) {
    progress.update(++done, join(c.name, " ", c.shape.seq_len));
    throw_if_stop_requested();
  };
  const auto finish = [&](const auto& figures, const BenchUnits& units) {
    progress.finish();
    report_of(options, cases, figures).write(report_to);
    if (!options.plots.empty() && !plot_bench(options.plots, series_of(cases, figures), units))
      say_not_drawn("bench", options.plots);
  };
  if (decoding)
    finish(decode(cases, config, plan, after_run), {"seconds a token", "bytes of state"});
  else
    finish(measure(cases, options.peers, config, plan, after_run),
           {"seconds a sequence", "bytes a sequence"});
  return Exit::done;
}

}  // namespace

Command bench_command() {
  std::vector<const OptionSection*> sections = {&bench_options(), &report_options()};
  for (const OptionSection* section : run_sections()) sections.push_back(section);
  return {"bench", "time and memory of forward, training and decoding against length", sections, run_bench};
}

}  // namespace tapestry
