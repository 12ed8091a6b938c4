#include "data/bpe_trainer.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "tests/support/small_text.h"

namespace tapestry {
namespace {

// The definition: count all pairs anew for every merge.
std::vector<std::pair<std::string, std::string>> train_plainly(const std::string& text, int merges) {
  std::map<std::string, int32_t> id_of;
  std::vector<std::string> tokens = byte_vocabulary().tokens;
  for (size_t id = 0; id < tokens.size(); ++id) id_of[tokens[id]] = static_cast<int32_t>(id);
  std::vector<std::vector<int32_t>> words;
  WordSplitter().split(text, true, [&](std::string_view word) {
    words.emplace_back();
    for (const char byte : word) words.back().push_back(id_of[std::string(1, byte)]);
  });
  std::vector<std::pair<std::string, std::string>> result;
  while (static_cast<int>(result.size()) < merges) {
    std::map<std::pair<int32_t, int32_t>, int64_t> counts;
    for (const auto& word : words)
      for (size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
    const auto best = std::max_element(counts.begin(), counts.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    if (best == counts.end() || best->second < 2) break;
    const auto [left, right] = best->first;
    result.emplace_back(tokens[static_cast<size_t>(left)], tokens[static_cast<size_t>(right)]);
    tokens.push_back(result.back().first + result.back().second);
    for (auto& word : words)
      for (size_t i = 0; i + 1 < word.size(); ++i)
        if (word[i] == left && word[i + 1] == right) {
          word[i] = static_cast<int32_t>(tokens.size()) - 1;
          word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
  }
  return result;
}

std::vector<std::pair<std::string, std::string>> merges_of(const BpeTokenizer& tokenizer) {
  const auto files = tokenizer.files();
  const BpeVocabulary vocabulary = parse_bpe(files.at("vocab.json"), files.at("merges.txt"), "test");
  std::vector<std::pair<std::string, std::string>> merges;
  for (const auto& merge : vocabulary.merges)
    merges.emplace_back(vocabulary.tokens[static_cast<size_t>(merge.left)],
                        vocabulary.tokens[static_cast<size_t>(merge.right)]);
  return merges;
}

TEST(BpeTrainer, LearnsWhatTheDefinitionLearns) {
  for (unsigned seed = 0; seed < 4; ++seed) {
    const std::string text = small_text(600, seed) + " aaaa aaa aaaaaa aaa";
    BpeTrainer trainer;
    trainer.add(text);
    EXPECT_EQ(merges_of(*trainer.train(257 + 60)), train_plainly(text, 60)) << seed;
  }
}

TEST(BpeTrainer, StopsWhenNoPairComesTwice) {
  BpeTrainer trainer;
  trainer.add("abab cd");
  const auto tokenizer = trainer.train(1000);
  EXPECT_EQ(tokenizer->vocab_size(), 257 + 1);
  EXPECT_EQ(tokenizer->encode("abab").size(), 2u);
}

TEST(BpeTrainer, TheSmallestVocabularyIsTheBytes) {
  BpeTrainer trainer;
  trainer.add("some text");
  EXPECT_EQ(trainer.train(257)->vocab_size(), 257);
  EXPECT_THROW(trainer.train(256), Error);
}

TEST(BpeTrainer, PiecesAndOrderOfTextDoNotMatter) {
  const std::string first = small_text(400, 1) + "end\n", second = "start " + small_text(400, 2);
  BpeTrainer whole, pieces;
  whole.add(first);
  whole.add(second);
  pieces.add(second);
  std::string piece;
  for (size_t at = 0; at < first.size(); at += 11) {
    piece += first.substr(at, 11);
    piece.erase(0, pieces.add_piece(piece, at + 11 >= first.size()));
  }
  EXPECT_EQ(whole.train(350)->identity(), pieces.train(350)->identity());
}

TEST(BpeTrainer, ForgetsRareWordsBeyondItsMemory) {
  BpeTrainer trainer(1000);
  std::string text;
  for (int i = 0; i < 20'000; ++i)
    text += " w" + std::string(1, static_cast<char>('a' + i % 26)) + std::to_string(i);
  for (int i = 0; i < 3000; ++i) text += " loom";
  for (size_t at = 0; at < text.size(); at += 5000) trainer.add(text.substr(at, 5000));
  EXPECT_EQ(trainer.train(300)->encode(" loom").size(), 1u);
}

}  // namespace
}  // namespace tapestry
