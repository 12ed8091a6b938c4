#include "data/synthetic/copy.h"

#include <algorithm>

#include "data/id_tokenizer.h"
#include "data/synthetic/random_stream.h"

namespace tapestry {
namespace {

enum Token : int32_t { kFiller, kSeparator, kFirstSymbol };

class Copy : public SyntheticTask {
 public:
  Copy(const CopyOptions& options, int64_t seq_len)
      : options_(options),
        length_(seq_len + 1),
        tokenizer_(std::make_shared<IdTokenizer>(kFirstSymbol + options.symbols)) {
    check(largest_gap() >= std::max<int64_t>(options.gap, 0), Exit::usage, "copy.length = ", options.length,
          " and copy.gap = ", options.gap, " do not fit into sequences of ", seq_len, " tokens");
  }

  std::shared_ptr<const Tokenizer> tokenizer() const override { return tokenizer_; }

  Example example(uint64_t key, Split) const override {
    RandomStream random(key);
    const int64_t gap = options_.gap >= 0 ? options_.gap : random.between(0, largest_gap());
    std::vector<int32_t> sequence(static_cast<size_t>(length_), kFiller);
    const int64_t copy = length_ - options_.length, distance = options_.length + gap + 1;
    for (int64_t i = copy; i < length_; ++i)
      sequence[i] = sequence[i - distance] =
          static_cast<int32_t>(kFirstSymbol + random.below(options_.symbols));
    sequence[copy - 1] = kSeparator;
    return make_example(sequence, {{.first = copy - 1, .length = options_.length, .distance = distance}});
  }

 private:
  int64_t largest_gap() const { return length_ - 2 * options_.length - 1; }

  CopyOptions options_;
  int64_t length_;  // with the last target
  std::shared_ptr<const Tokenizer> tokenizer_;
};

}  // namespace

const OptionTable<CopyOptions>& copy_options() {
  using O = CopyOptions;
  static const auto table =
      OptionTable<O>("copy", "data.task = copy: say again what stood before the gap")
          .add("length", &O::length, "symbols to copy", at_least(1))
          .add("symbols", &O::symbols, "different symbols that there are", between(2, 1e6))
          .add("gap", &O::gap, "tokens of filler before the separator; -1: any that fit", at_least(-1));
  return table;
}

TaskKind copy_task() { return task_kind_from<Copy>(copy_options()); }

}  // namespace tapestry
