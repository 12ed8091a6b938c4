#include "data/synthetic/passkey.h"

#include <cmath>

#include "autograd/random.h"
#include "data/synthetic/filler.h"
#include "data/synthetic/random_stream.h"

namespace tapestry {
namespace {

enum PasskeyStream : uint64_t { kNumber, kDepth, kFillerText };

void append(std::vector<int32_t>& tokens, const std::vector<int32_t>& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
}

/// filler, "The pass key is NUMBER. Remember it.", filler, "What is the pass key? The pass key is NUMBER".
class Passkey : public SyntheticTask {
 public:
  Passkey(const PasskeyOptions& options, int64_t seq_len)
      : options_(options), length_(seq_len + 1), filler_(options.filler) {
    check(options.depth == -1 || (options.depth >= 0 && options.depth <= 1), Exit::usage,
          "passkey.depth = ", options.depth, " is neither between 0 and 1 nor -1");
    const int64_t least = length_ - filler_length(tokens_of(digits(0)));
    check(least < length_, Exit::usage, "data.task = passkey with ", options.digits,
          " digits needs sequences of ", least, " tokens, data.seq_len is ", seq_len);
  }

  std::shared_ptr<const Tokenizer> tokenizer() const override { return filler_.tokenizer(); }
  std::string filler_sha256() const override { return filler_.sha256(); }

  Example example(uint64_t key, Split split) const override {
    const std::vector<int32_t> number = tokens_of(digits(combine_keys(key, kNumber)));
    const auto filler = filler_.tokens(combine_keys(key, kFillerText), filler_length(number), split);
    const double depth = options_.depth >= 0 ? options_.depth : random_uniform(combine_keys(key, kDepth), 0);
    const auto told = filler.begin() + std::llround(depth * static_cast<double>(filler.size()));
    std::vector<int32_t> sequence(filler.begin(), told);
    append(sequence, before_);
    const int64_t told_at = std::ssize(sequence);
    append(sequence, number);
    append(sequence, after_);
    sequence.insert(sequence.end(), told, filler.end());
    append(sequence, question_);
    const int64_t asked_at = std::ssize(sequence);
    append(sequence, number);
    return make_example(
        sequence, {{.first = asked_at - 1, .length = std::ssize(number), .distance = asked_at - told_at}});
  }

 private:
  std::vector<int32_t> tokens_of(const std::string& text) const { return tokenizer()->encode(text); }
  int64_t filler_length(const std::vector<int32_t>& number) const {
    return length_ - std::ssize(before_) - std::ssize(after_) - std::ssize(question_) -
           2 * std::ssize(number);
  }
  /// " 48213": with its space, as a vocabulary of words has it.
  std::string digits(uint64_t key) const {
    RandomStream random(key);
    std::string text = " ";
    for (int64_t i = 0; i < options_.digits; ++i) text += static_cast<char>('0' + random.below(10));
    return text;
  }

  PasskeyOptions options_;
  int64_t length_;  // with the last target
  Filler filler_;
  std::vector<int32_t> before_ = tokens_of(" The pass key is"), after_ = tokens_of(". Remember it. "),
                       question_ = tokens_of(" What is the pass key? The pass key is");
};

}  // namespace

const OptionTable<PasskeyOptions>& passkey_options() {
  using O = PasskeyOptions;
  static const auto table =
      OptionTable<O>("passkey", "data.task = passkey: a number in filler text, asked for at the end")
          .add("digits", &O::digits, "of the number", between(1, 1000))
          .add("depth", &O::depth,
               "where it stands, 0 is the start and 1 the end of the filler; -1: anywhere", between(-1, 1))
          .add("filler", &O::filler, "token file to take the filler from; empty: random short sentences");
  return table;
}

TaskKind passkey_task() { return task_kind_from<Passkey>(passkey_options()); }

}  // namespace tapestry
