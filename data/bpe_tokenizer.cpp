#include "data/bpe_tokenizer.h"

#include <algorithm>
#include <queue>

#include "base/error.h"

namespace tapestry {
namespace {

// Bounds of the cache: words that come early are the frequent ones.
constexpr size_t kMostCachedWords = size_t{1} << 18;
constexpr size_t kLongestCachedWord = 64;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

// One symbol of a word that is being merged, in a doubly linked list by index.
struct Symbol {
  int32_t id;
  int previous, next;  // -1: none
};

struct Candidate {
  int32_t rank;
  int at;  // index of the left symbol
  int32_t left, right, result;
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : at > other.at;
  }
};

}  // namespace

BpeTokenizer::BpeTokenizer(const std::string& vocab_json, const std::string& merges,
                           const std::string& origin, const std::string& added_tokens)
    : vocabulary_(parse_bpe(vocab_json, merges, origin, added_tokens)) {
  int32_t rank = 0;
  for (const auto& merge : vocabulary_.merges)
    rules_[pair_key(merge.left, merge.right)] = {rank++, merge.result};
  const auto end = std::find(vocabulary_.tokens.begin(), vocabulary_.tokens.end(), kEndOfText);
  if (end != vocabulary_.tokens.end()) end_of_text_ = static_cast<int32_t>(end - vocabulary_.tokens.begin());
}

std::map<std::string, std::string> BpeTokenizer::files() const {
  return {{kVocabFile, format_vocab_json(vocabulary_)}, {kMergesFile, format_merges(vocabulary_)}};
}

std::string_view BpeTokenizer::bytes_of(int32_t id) const {
  check_id(id);
  return vocabulary_.tokens[static_cast<size_t>(id)];
}

const BpeTokenizer::Rule* BpeTokenizer::rule(int32_t left, int32_t right) const {
  const auto found = rules_.find(pair_key(left, right));
  return found == rules_.end() ? nullptr : &found->second;
}

std::vector<int32_t> BpeTokenizer::merge(std::string_view word) const {
  const int size = static_cast<int>(word.size());
  std::vector<Symbol> symbols;
  for (int i = 0; i < size; ++i)
    symbols.push_back({vocabulary_.byte_ids[static_cast<unsigned char>(word[static_cast<size_t>(i)])], i - 1,
                       i + 1 < size ? i + 1 : -1});
  std::priority_queue<Candidate> candidates;
  const auto consider = [&](int at) {
    if (at < 0 || symbols[at].next < 0) return;
    const int32_t left = symbols[at].id, right = symbols[symbols[at].next].id;
    if (const Rule* found = rule(left, right)) candidates.push({found->rank, at, left, right, found->result});
  };
  for (int i = 0; i < size; ++i) consider(i);
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbols[best.at];
    // An earlier merge may have taken either side away.
    if (left.id != best.left || left.next < 0 || symbols[left.next].id != best.right) continue;
    const int gone = left.next;
    left.id = best.result;
    left.next = symbols[gone].next;
    symbols[gone].id = -1;
    if (left.next >= 0) symbols[left.next].previous = best.at;
    consider(left.previous);
    consider(best.at);
  }
  std::vector<int32_t> ids;
  for (int at = size > 0 ? 0 : -1; at >= 0; at = symbols[at].next) ids.push_back(symbols[at].id);
  return ids;
}

void BpeTokenizer::append_word(std::string_view word, std::vector<int32_t>& ids) const {
  const auto found = cache_.find(word);
  if (found != cache_.end()) {
    ids.insert(ids.end(), found->second.begin(), found->second.end());
    return;
  }
  std::vector<int32_t> merged = merge(word);
  ids.insert(ids.end(), merged.begin(), merged.end());
  if (word.size() <= kLongestCachedWord && cache_.size() < kMostCachedWords)
    cache_.emplace(word, std::move(merged));
}

size_t BpeTokenizer::encode_piece(std::string_view piece, bool last, std::vector<int32_t>& ids,
                                  const TextOrigin& origin) const {
  const std::lock_guard lock(cache_mutex_);
  return splitter_.split(
      piece, last, [&](std::string_view word) { append_word(word, ids); }, origin);
}

}  // namespace tapestry
