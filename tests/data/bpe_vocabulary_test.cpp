#include "data/bpe_vocabulary.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "tests/support/expect_error.h"

namespace tapestry {
namespace {

// The 256 bytes, "th" and "the".
BpeVocabulary tiny() {
  BpeVocabulary vocabulary = byte_vocabulary();
  const auto& id = vocabulary.byte_ids;
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"th", "the"});
  vocabulary.merges = {{id['t'], id['h'], 256}, {256, id['e'], 257}};
  return vocabulary;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

void expect_bad_vocab(const std::string& vocab, const std::string& part) {
  expect_error(Exit::input, "x/vocab.json", [&] { parse_bpe(vocab, format_merges(tiny()), "x"); });
  expect_error(Exit::input, part, [&] { parse_bpe(vocab, format_merges(tiny()), "x"); });
}

void expect_bad_merges(const std::string& merges, const std::string& part) {
  expect_error(Exit::input, "x/merges.txt:" + part,
               [&] { parse_bpe(format_vocab_json(tiny()), merges, "x"); });
}

TEST(BpeVocabulary, SymbolsAreThoseOfGpt2) {
  EXPECT_EQ(byte_symbols()[' '], "Ġ");
  EXPECT_EQ(byte_symbols()['\n'], "Ċ");
  EXPECT_EQ(byte_symbols()['a'], "a");
  EXPECT_EQ(byte_symbols()[0xAD], "Ń");
  EXPECT_EQ(std::set<std::string>(byte_symbols().begin(), byte_symbols().end()).size(), 256u);
  EXPECT_EQ(byte_vocabulary().tokens.front(), "!");
  EXPECT_EQ(byte_vocabulary().tokens[220], " ");
}

TEST(BpeVocabulary, RoundTrips) {
  const BpeVocabulary made = tiny();
  const BpeVocabulary back = parse_bpe(format_vocab_json(made), format_merges(made), "x");
  EXPECT_EQ(back.tokens, made.tokens);
  EXPECT_EQ(back.byte_ids, made.byte_ids);
  EXPECT_EQ(format_merges(back), format_merges(made));
  EXPECT_EQ(format_merges(made), "#version: 0.2\nt h\nth e\n");
}

// Also one whose characters would stand for bytes, as those of "<é>" do.
TEST(BpeVocabulary, ASpecialTokenIsItsOwnText) {
  const std::string vocab =
      replaced(format_vocab_json(tiny()), "\"the\": 257", "\"the\": 257, \"<a b>\": 258, \"<é>\": 259");
  const BpeVocabulary vocabulary = parse_bpe(vocab, format_merges(tiny()), "x");
  EXPECT_EQ(vocabulary.tokens[258], "<a b>");
  EXPECT_EQ(vocabulary.tokens[259], "<é>");
  EXPECT_EQ(special_tokens(vocabulary), (std::vector<int32_t>{258, 259}));
  EXPECT_EQ(format_vocab_json(vocabulary), vocab);
}

TEST(BpeVocabulary, AMergeGivesNoOtherCharacters) {
  const std::string vocab =
      replaced(format_vocab_json(tiny()), "\"the\": 257", "\"the\": 257, \"日\": 258, \"日a\": 259");
  expect_error(Exit::input, "x/vocab.json: the merged token '日a' has a character that stands for no byte",
               [&] { parse_bpe(vocab, format_merges(tiny()) + "日 a\n", "x"); });
}

TEST(BpeVocabulary, RefusesBadVocabularies) {
  const std::string good = format_vocab_json(tiny());
  expect_bad_vocab("", "line 1");
  expect_bad_vocab("{", "line 1");
  expect_bad_vocab(good + "x", "line");
  expect_bad_vocab("[]", "one object");
  expect_bad_vocab("3", "one object");
  expect_bad_vocab("{}", "no tokens");
  expect_bad_vocab(replaced(good, "\"th\": 256", "\"th\": -1"), "'th' is not a whole number");
  expect_bad_vocab(replaced(good, "\"th\": 256", "\"th\": 256.0"), "'th' is not a whole number");
  expect_bad_vocab(replaced(good, "\"th\": 256", "\"th\": 1e400"), "vocab.json");
  expect_bad_vocab(replaced(good, "\"th\": 256", "\"th\": \"256\""), "'th' is not a whole number");
  expect_bad_vocab(replaced(good, "\"th\": 256", "\"th\": [256]"), "'th' is not a whole number");
  expect_bad_vocab(replaced(good, "\"th\": 256", "\"th\": {\"a\": 1}"), "vocab.json");
  expect_bad_vocab(replaced(good, "\"th\": 256", "\"th\": 18446744073709551615"),
                   "'th' is not a whole number");
  expect_bad_vocab(replaced(good, "\"th\": 256", "\"th\": 257"), "two tokens");
  expect_bad_vocab(replaced(good, "\"th\": 256", "\"th\": 300"), "holes");
  expect_bad_vocab(replaced(good, "\"th\": 256", "\"the\": 256"), "'the' is there twice");
  expect_bad_vocab(replaced(good, "\"A\"", "\"AA\""), "symbol of byte 65: 'A'");
  expect_bad_vocab("{\"a\": " + std::string(100'000, '['), "vocab.json");
}

TEST(BpeVocabulary, RefusesBadMergesWithTheLine) {
  expect_bad_merges("", "1: expected '#version");
  expect_bad_merges("t h\nth e\n", "1: expected '#version: ...', found 't h'");
  expect_bad_merges("#version: 0.2\r\nt h\r\n", "2: Windows line end");
  expect_bad_merges("#version: 0.2\nt h\n\nth e\n", "3: expected two symbols");
  for (const char* line : {"th", " h", "t ", "t  h", "t h e", " "})
    expect_bad_merges(std::string("#version: 0.2\nt h\n") + line + "\n", "3: expected two symbols");
  expect_bad_merges("#version: 0.2\nt h\nq q\n", "3: 'qq' is not in the vocabulary");
  expect_bad_merges("#version: 0.2\nt h\nqq q\n", "3: 'qq' is not in the vocabulary");
  expect_bad_merges("#version: 0.2\nt h\nth e\nt h\n", "4: the pair 't h' is on line 2 already");
}

}  // namespace
}  // namespace tapestry
