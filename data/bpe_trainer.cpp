#include "data/bpe_trainer.h"

#include <algorithm>
#include <queue>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tapestry {
namespace {

using Pair = std::pair<int32_t, int32_t>;

struct PairHash {
  size_t operator()(const Pair& pair) const {
    return std::hash<uint64_t>()(
        (static_cast<uint64_t>(pair.first) << 32 | static_cast<uint32_t>(pair.second)) * 0x9E3779B97F4A7C15u);
  }
};

struct Word {
  std::vector<int32_t> ids;
  int64_t count;
};

struct PairUse {
  int64_t count = 0;
  std::vector<size_t> words;  // every word that holds the pair, and some that once did
};

struct CountedPair {
  int64_t count;
  Pair pair;
  bool operator<(const CountedPair& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

// Words as ids, with the counts of neighbouring pairs kept up to date.
class PairCounts {
 public:
  explicit PairCounts(std::vector<Word> words) : words_(std::move(words)) {
    for (size_t i = 0; i < words_.size(); ++i) count(i, 1);
    for (const auto& [pair, use] : uses_) candidates_.push({use.count, pair});
  }

  // The most frequent pair; counts below 2 are not worth a token.
  bool best(Pair& pair) {
    while (!candidates_.empty()) {
      const CountedPair top = candidates_.top();
      const int64_t count = uses_[top.pair].count;
      if (count == top.count && count >= 2) {
        pair = top.pair;
        return true;
      }
      candidates_.pop();
      if (count >= 2) candidates_.push({count, top.pair});
    }
    return false;
  }

  void replace(Pair pair, int32_t result) {
    std::vector<size_t> touched = std::exchange(uses_[pair].words, {});
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    changed_.clear();
    for (const size_t i : touched) {
      count(i, -1);
      merge_in(words_[i].ids, pair, result);
      count(i, 1);
    }
    uses_.erase(pair);
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const Pair& other : changed_)
      if (other != pair) candidates_.push({uses_[other].count, other});
  }

 private:
  static void merge_in(std::vector<int32_t>& ids, Pair pair, int32_t result) {
    size_t to = 0;
    for (size_t from = 0; from < ids.size(); ++to) {
      const bool here = from + 1 < ids.size() && ids[from] == pair.first && ids[from + 1] == pair.second;
      ids[to] = here ? result : ids[from];
      from += here ? 2 : 1;
    }
    ids.resize(to);
  }

  void count(size_t i, int sign) {
    const Word& word = words_[i];
    for (size_t at = 0; at + 1 < word.ids.size(); ++at) {
      const Pair pair{word.ids[at], word.ids[at + 1]};
      PairUse& use = uses_[pair];
      use.count += sign * word.count;
      if (sign < 0) continue;
      if (use.words.empty() || use.words.back() != i) use.words.push_back(i);
      changed_.push_back(pair);
    }
  }

  std::vector<Word> words_;
  std::unordered_map<Pair, PairUse, PairHash> uses_;
  std::priority_queue<CountedPair> candidates_;
  std::vector<Pair> changed_;
};

std::vector<Word> words_as_ids(const WordMap<int64_t>& counts, const std::array<int32_t, 256>& byte_ids) {
  std::vector<Word> words;
  for (const auto& [text, count] : counts) {
    Word word{{}, count};
    for (const char byte : text) word.ids.push_back(byte_ids[static_cast<unsigned char>(byte)]);
    words.push_back(std::move(word));
  }
  return words;
}

}  // namespace

size_t BpeTrainer::add_piece(std::string_view piece, bool last, const TextOrigin& origin) {
  const auto count = [&](std::string_view word) {
    const auto found = counts_.find(word);
    ++(found != counts_.end() ? found->second : counts_[std::string(word)]);
  };
  const size_t covered = splitter_.split(piece, last, count, origin);
  if (counts_.size() > most_words_) forget_rare_words();
  return covered;
}

void BpeTrainer::forget_rare_words() {
  for (int64_t rare = 1; counts_.size() > most_words_ / 2; rare *= 2)
    std::erase_if(counts_, [&](const auto& word) { return word.second <= rare; });
}

std::unique_ptr<BpeTokenizer> BpeTrainer::train(int64_t vocab_size,
                                                const std::function<void(int64_t, int64_t)>& progress) const {
  require(vocab_size >= kSmallestVocabulary, "a BPE vocabulary has at least ", kSmallestVocabulary,
          " tokens, not ", vocab_size);
  BpeVocabulary vocabulary = byte_vocabulary();
  PairCounts pairs(words_as_ids(counts_, vocabulary.byte_ids));
  const int64_t wanted = vocab_size - kSmallestVocabulary;
  for (Pair pair; static_cast<int64_t>(vocabulary.merges.size()) < wanted && pairs.best(pair);) {
    const auto result = static_cast<int32_t>(vocabulary.tokens.size());
    vocabulary.tokens.push_back(vocabulary.tokens[static_cast<size_t>(pair.first)] +
                                vocabulary.tokens[static_cast<size_t>(pair.second)]);
    vocabulary.merges.push_back({pair.first, pair.second, result});
    pairs.replace(pair, result);
    if (progress) progress(static_cast<int64_t>(vocabulary.merges.size()), wanted);
  }
  vocabulary.tokens.emplace_back(kEndOfText);
  return std::make_unique<BpeTokenizer>(format_vocab_json(vocabulary), format_merges(vocabulary),
                                        "the trained vocabulary");
}

}  // namespace tapestry
