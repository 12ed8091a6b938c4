#include <iostream>

#include "autograd/random.h"
#include "base/progress.h"
#include "base/report.h"
#include "base/run_options.h"
#include "base/signals.h"
#include "data/data_options.h"
#include "data/token_file.h"
#include "eval/attention_pictures.h"
#include "eval/commands.h"
#include "eval/compare.h"
#include "eval/compare_plots.h"
#include "eval/gnuplot.h"
#include "eval/keys_read.h"
#include "train/convert_config.h"
#include "train/model_source.h"
#include "train/run_device.h"

namespace tapestry {
namespace {

struct CompareOptions {
  std::string a;
  std::string b;
  std::string tokens = "random";
  std::string split = "valid";
  int64_t seq_len = 0;
  int64_t windows = 16;
  std::string plots;
  std::string maps;
  std::string layers = "all";
  std::string heads = "0";
  int64_t map_tokens = 256;
  double threshold = 0.01;
};

const OptionTable<CompareOptions>& compare_options() {
  using C = CompareOptions;
  static const OptionTable<C> table =
      OptionTable<C>("", "compare")
          .add("a", &C::a, join("the reference: ", kAnyModel))
          .add("b", &C::b, "the other model, the same")
          .add("tokens", &C::tokens, "a token file, or random: every token equally likely")
          .add("split", &C::split, "which part of it", one_of({"train", "valid"}))
          .add("seq-len", &C::seq_len, "tokens of a window; 0: the shorter of those that the models know",
               at_least(0))
          .add("windows", &C::windows, "windows to run, spread evenly over the text", at_least(1))
          .add("plots", &C::plots, "folder for plots of the agreement by layer and by position")
          .add("maps", &C::maps, "folder for pictures of the attention of both models, side by side")
          .add("layers", &C::layers,
               "layers whose attention is drawn: all, or numbers and ranges as in 0,3-5")
          .add("heads", &C::heads, "heads, the same")
          .add("map-tokens", &C::map_tokens, "tokens of the text, from its start, on which it is drawn",
               between(2, 4096))
          .add("threshold", &C::threshold, "weights above it are counted beside each picture", above(0));
  return table;
}

std::shared_ptr<const TokenSource> random_tokens(int64_t count, int64_t vocab_size, uint64_t seed) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>(random_bits(seed, i) % static_cast<uint64_t>(vocab_size)));
  return std::make_shared<MemoryTokens>(std::move(tokens), "random tokens");
}

void add_estimate(Report& report, const std::string& name, const Estimate& estimate) {
  report.add(name, estimate.mean).add(name + "_error", estimate.error);
}

void add_hidden(Report& report, const Comparison& found) {
  if (found.layers() == 0) return;
  Report::Table& table =
      report.table("hidden", {"before_block", "cosine", "cosine_error", "mse", "mse_error"});
  for (int64_t layer = 0; layer < found.layers(); ++layer) {
    const Estimate cosine = found.hidden_cosine(layer), mse = found.hidden_mse(layer);
    table.row({layer, cosine.mean, cosine.error, mse.mean, mse.error});
  }
}

void add_positions(Report& report, const Comparison& found) {
  constexpr int64_t kBins = 16;
  const int64_t bins = std::min(kBins, found.seq_len());
  Report::Table& table = report.table(
      "positions", {"first", "last", "last_hidden_cosine", "kl", "top1", "perplexity_a", "perplexity_b"});
  for (int64_t bin = 0; bin < bins; ++bin) {
    const int64_t begin = bin * found.seq_len() / bins, end = (bin + 1) * found.seq_len() / bins;
    const Figure cosine =
        found.layers() > 0 ? Figure(found.hidden_cosine(found.layers() - 1, begin, end)) : Figure();
    table.row({begin, end - 1, cosine, found.of(Measure::kl, begin, end), found.of(Measure::top1, begin, end),
               std::exp(found.of(Measure::nll_a, begin, end)),
               std::exp(found.of(Measure::nll_b, begin, end))});
  }
}

void add_keys_read(Report& report, const std::string& name, const Config& config, int64_t seq_len) {
  const auto share = keys_read_share(config, seq_len);
  report.add(name, share ? Figure(*share) : Figure());
}

Report report_of(const CompareOptions& options, const LoadedModel& a, const LoadedModel& b,
                 const Comparison& found) {
  Report report;
  report.add("a", options.a).add("b", options.b).add("tokens", options.tokens);
  report.add("seq_len", found.seq_len()).add("windows", found.windows());
  report.add("tokens_compared", found.windows() * found.seq_len());
  add_hidden(report, found);
  Report& logits = report.group("logits");
  add_estimate(logits, "cosine", found.of(Measure::logit_cosine));
  add_estimate(logits, "mse", found.of(Measure::logit_mse));
  add_estimate(logits, "kl", found.of(Measure::kl));
  add_estimate(logits, "top1_agreement", found.of(Measure::top1));
  add_estimate(logits, "top5_agreement", found.of(Measure::top5));
  add_estimate(logits, "top10_agreement", found.of(Measure::top10));
  add_positions(report, found);
  add_keys_read(report, "keys_read_a", a.config, found.seq_len());
  add_keys_read(report, "keys_read_b", b.config, found.seq_len());
  add_estimate(report, "perplexity_a", found.perplexity_a());
  add_estimate(report, "perplexity_b", found.perplexity_b());
  add_estimate(report, "perplexity_ratio", found.perplexity_ratio());
  return report;
}

std::shared_ptr<const TokenSource> open_tokens(const CompareOptions& options, const LoadedModel& a,
                                               const LoadedModel& b, int64_t seq_len, uint64_t seed) {
  if (options.tokens == "random")
    return random_tokens(options.windows * seq_len + 1, a.model->options().vocab_size, seed);
  const TokenFile file(options.tokens);
  check_tokenizer(*file.tokenizer(), options.tokens, a.tokenizer.get(), options.a);
  check_tokenizer(*file.tokenizer(), options.tokens, b.tokenizer.get(), options.b);
  return file.tokens(options.split == "train" ? Split::train : Split::valid);
}

/// The most tokens from the start of the text that fit both models, at most those wanted.
Tensor map_tokens(const CompareOptions& options, const TokenSource& text, int64_t seq_len) {
  const int64_t count = std::min({options.map_tokens, seq_len, text.size()});
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  text.read(0, count, tokens.data());
  return Tensor::from(tokens, {1, count});
}

std::vector<HeadDensity> draw_maps(const CompareOptions& options, const LoadedModel& a, const LoadedModel& b,
                                   const Tensor& tokens) {
  const ModelOptions &of_a = a.model->options(), &of_b = b.model->options();
  const PictureOptions pictures{parse_ranges("layer", options.layers, std::min(of_a.n_layer, of_b.n_layer)),
                                parse_ranges("head", options.heads, std::min(of_a.n_head, of_b.n_head)),
                                options.threshold};
  bool drawn = true;
  std::vector<HeadDensity> densities = draw_attention(options.maps, a, b, tokens, pictures, drawn);
  if (!drawn) say_not_drawn("compare", options.maps);
  return densities;
}

void add_maps(Report& report, const CompareOptions& options, const std::vector<HeadDensity>& densities,
              int64_t tokens) {
  Report::Table& table = report.table("attention", {"layer", "head", "density_a", "density_b"});
  for (const HeadDensity& found : densities) table.row({found.layer, found.head, found.a, found.b});
  report.add("maps", options.maps).add("map_tokens", tokens).add("threshold", options.threshold);
}

Exit compare(const Config& config) {
  const auto options = config.get(compare_options());
  const auto report_to = config.get(report_options());
  check(!options.a.empty() && !options.b.empty(), Exit::usage, "compare needs --a and --b");
  for (const char* key : {"layers", "heads", "map-tokens", "threshold"})
    check(!options.maps.empty() || !config.find(key), Exit::usage, "--", key,
          " is for pictures of the attention: give their folder with --maps");
  check_report_destination(report_to);
  const Device device = run_device(config.get(run_options()));
  const LoadedModel a = load_model(*open_model_source(options.a), device);
  const LoadedModel b = load_model(*open_model_source(options.b), device);
  const auto trained = [](const LoadedModel& model) { return model.config.get(data_options()).seq_len; };
  const int64_t seq_len = options.seq_len > 0 ? options.seq_len : std::min(trained(a), trained(b));
  const auto text = open_tokens(options, a, b, seq_len, config.get(run_options()).seed);
  // What may be refused comes before what takes long.
  if (!options.plots.empty()) make_folder(options.plots);
  std::vector<HeadDensity> densities;
  const Tensor mapped = map_tokens(options, *text, seq_len);
  if (!options.maps.empty()) densities = draw_maps(options, a, b, mapped);
  Progress progress("compare", std::min(options.windows, (text->size() - 1) / seq_len), "windows");
  const Comparison found =
      compare_models(*a.model, *b.model, *text, seq_len, options.windows, [&](const Comparison& now) {
        progress.update(now.windows(), join("top-1 agreement ", now.of(Measure::top1).mean));
        throw_if_stop_requested();
      });
  progress.finish();
  Report report = report_of(options, a, b, found);
  if (!options.maps.empty()) add_maps(report, options, densities, mapped.dim(1));
  report.write(report_to);
  if (!options.plots.empty() && !plot_comparison(options.plots, found))
    say_not_drawn("compare", options.plots);
  return Exit::done;
}

}  // namespace

Command compare_command() {
  return {"compare",
          "how close two models are: hidden states, logits, most likely tokens, perplexities",
          {&compare_options(), &report_options(), &run_options()},
          compare};
}

}  // namespace tapestry
