#include "data/synthetic/induction.h"

#include "data/id_tokenizer.h"
#include "data/synthetic/random_stream.h"

namespace tapestry {
namespace {

constexpr int64_t kLeastDistance = 2;

class Induction : public SyntheticTask {
 public:
  Induction(const InductionOptions& options, int64_t seq_len)
      : options_(options), seq_len_(seq_len), tokenizer_(std::make_shared<IdTokenizer>(options.symbols + 1)) {
    check(seq_len > kLeastDistance, Exit::usage, "data.task = induction needs sequences of at least ",
          kLeastDistance + 1, " tokens");
    check(options.distance == 0 || (options.distance >= kLeastDistance && options.distance < seq_len),
          Exit::usage, "induction.distance = ", options.distance, " is neither 0 nor between ",
          kLeastDistance, " and ", seq_len - 1);
  }

  std::shared_ptr<const Tokenizer> tokenizer() const override { return tokenizer_; }

  Example example(uint64_t key, Split) const override {
    RandomStream random(key);
    const int64_t distance =
        options_.distance > 0 ? options_.distance : random.between(kLeastDistance, seq_len_ - 1);
    std::vector<int32_t> sequence = random.tokens(seq_len_ + 1, 1, 1 + options_.symbols);
    const int64_t told = seq_len_ - distance;
    sequence[told - 1] = sequence[seq_len_ - 1] = 0;
    sequence[seq_len_] = sequence[told];
    return make_example(sequence, {{.first = seq_len_ - 1, .distance = distance}});
  }

 private:
  InductionOptions options_;
  int64_t seq_len_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

}  // namespace

const OptionTable<InductionOptions>& induction_options() {
  using O = InductionOptions;
  static const auto table =
      OptionTable<O>("induction", "data.task = induction: what followed the trigger, the first time?")
          .add("symbols", &O::symbols, "different symbols beside the trigger", between(2, 1e6))
          .add("distance", &O::distance, "tokens from the answer to its question; 0: any that fits",
               at_least(0));
  return table;
}

TaskKind induction_task() { return task_kind_from<Induction>(induction_options()); }

}  // namespace tapestry
