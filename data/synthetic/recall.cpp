#include "data/synthetic/recall.h"

#include <algorithm>

#include "autograd/random.h"
#include "data/id_tokenizer.h"
#include "data/permutation.h"
#include "data/synthetic/random_stream.h"

namespace tapestry {
namespace {

enum RecallStream : uint64_t { kTokens, kPlaces, kKeys };

/// A pair stands in a slot of two tokens; the value of slot s is token 2 s + 1.
class Recall : public SyntheticTask {
 public:
  Recall(const RecallOptions& options, int64_t seq_len)
      : options_(options),
        slots_((seq_len + 1) / 2),
        least_apart_(std::max<int64_t>(1, (options.gap + 1) / 2)),
        length_(seq_len + 1),
        tokenizer_(std::make_shared<IdTokenizer>(options.fillers + options.keys + options.values)) {
    check(options.keys >= options.pairs, Exit::usage, "recall.keys = ", options.keys, " are too few for ",
          options.pairs, " pairs of different keys");
    const int64_t occurrences = (1 + options.asked) * options.pairs;  // half of the slots stay free
    check(2 * occurrences <= slots_ - least_apart_, Exit::usage, "recall.pairs = ", options.pairs, ", each ",
          1 + options.asked, " times and ", options.gap, " tokens apart, need sequences of more than ",
          4 * occurrences + 2 * least_apart_, " tokens");
  }

  std::shared_ptr<const Tokenizer> tokenizer() const override { return tokenizer_; }

  Example example(uint64_t key, Split) const override {
    RandomStream tokens(combine_keys(key, kTokens)), places(combine_keys(key, kPlaces));
    const Permutation keys(options_.keys, combine_keys(key, kKeys));
    std::vector<int32_t> sequence = tokens.tokens(length_, 0, options_.fillers);
    std::vector<bool> taken(static_cast<size_t>(slots_));
    std::vector<Answer> answers;
    for (int64_t pair = 0; pair < options_.pairs; ++pair) {
      const std::vector<int64_t> slots = take_slots(places, taken);
      const int64_t value = options_.fillers + options_.keys + tokens.below(options_.values);
      for (const int64_t slot : slots) {
        sequence[2 * slot] = static_cast<int32_t>(options_.fillers + keys[pair]);
        sequence[2 * slot + 1] = static_cast<int32_t>(value);
      }
      for (size_t i = 1; i < slots.size(); ++i)
        answers.push_back({.first = 2 * slots[i], .distance = 2 * (slots[i] - slots[i - 1])});
    }
    return make_example(sequence, std::move(answers));
  }

 private:
  /// Free slots for a pair and its questions, in order. A further question whose slot is taken falls away.
  std::vector<int64_t> take_slots(RandomStream& random, std::vector<bool>& taken) const {
    std::vector<int64_t> slots = take_two_slots(random, taken);
    for (int64_t i = 1; i < options_.asked; ++i) {
      const int64_t slot = random.between(slots[1], slots_ - 1);
      if (taken[slot]) continue;
      taken[slot] = true;
      slots.push_back(slot);
    }
    std::sort(slots.begin(), slots.end());
    return slots;
  }
  std::vector<int64_t> take_two_slots(RandomStream& random, std::vector<bool>& taken) const {
    for (;;) {
      const int64_t apart = random.between(least_apart_, slots_ - 1);
      const int64_t told = random.below(slots_ - apart), asked = told + apart;
      if (taken[told] || taken[asked]) continue;
      taken[told] = taken[asked] = true;
      return {told, asked};
    }
  }

  RecallOptions options_;
  int64_t slots_, least_apart_, length_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

}  // namespace

const OptionTable<RecallOptions>& recall_options() {
  using O = RecallOptions;
  static const auto table =
      OptionTable<O>("recall", "data.task = recall: each key comes twice, which value followed it?")
          .add("pairs", &O::pairs, "keys asked for in a sequence", at_least(1))
          .add("keys", &O::keys, "different keys that there are", between(1, 1e6))
          .add("values", &O::values, "different values that there are", between(2, 1e6))
          .add("fillers", &O::fillers, "different tokens that fill the rest", between(1, 1e6))
          .add("gap", &O::gap, "least distance in tokens between a pair and its question", at_least(0))
          .add("asked", &O::asked, "questions for each key, at most: the more, the faster a model learns",
               at_least(1));
  return table;
}

TaskKind recall_task() { return task_kind_from<Recall>(recall_options()); }

}  // namespace tapestry
