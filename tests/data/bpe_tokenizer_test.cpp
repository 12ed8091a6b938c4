#include "data/bpe_tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "data/bpe_trainer.h"
#include "data/sha256.h"
#include "tests/support/expect_error.h"
#include "tests/support/fixture_file.h"
#include "tests/support/small_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_data.h"

namespace tapestry {
namespace {

std::unique_ptr<BpeTokenizer> small_tokenizer() {
  BpeTrainer trainer;
  trainer.add(small_text(5000, 7));
  return trainer.train(400);
}

// GPT-2's loop as published: the pair of lowest rank, everywhere, until there is none.
std::vector<int32_t> merge_plainly(const BpeVocabulary& vocabulary, std::string_view word) {
  std::vector<int32_t> ids;
  for (const char byte : word) ids.push_back(vocabulary.byte_ids[static_cast<unsigned char>(byte)]);
  for (const auto& merge : vocabulary.merges) {
    std::vector<int32_t> merged;
    for (size_t i = 0; i < ids.size(); ++i) {
      const bool here = i + 1 < ids.size() && ids[i] == merge.left && ids[i + 1] == merge.right;
      merged.push_back(here ? merge.result : ids[i]);
      i += here ? 1 : 0;
    }
    ids = merged;
  }
  return ids;
}

TEST(BpeTokenizer, MergesAsTheDefinitionDoes) {
  const auto tokenizer = small_tokenizer();
  const auto files = tokenizer->files();
  const BpeVocabulary vocabulary = parse_bpe(files.at("vocab.json"), files.at("merges.txt"), "test");
  const WordSplitter splitter;
  for (unsigned seed = 0; seed < 20; ++seed) {
    const std::string text = small_text(100, seed) + "zzzzzzzz" + std::string(seed, 'e') + "thethethe";
    std::vector<int32_t> expected;
    splitter.split(text, true, [&](std::string_view word) {
      const auto ids = merge_plainly(vocabulary, word);
      expected.insert(expected.end(), ids.begin(), ids.end());
    });
    EXPECT_EQ(tokenizer->encode(text), expected);
    EXPECT_LT(expected.size(), text.size());
  }
}

TEST(BpeTokenizer, DecodingGivesTheTextBack) {
  const auto tokenizer = small_tokenizer();
  for (unsigned seed = 0; seed < 20; ++seed) {
    const std::string text = small_text(200, seed) + std::string("\0 zero", 6);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  }
  EXPECT_TRUE(tokenizer->encode("").empty());
}

// The whole point of encode_piece: any cutting of a text gives the ids of the whole.
TEST(BpeTokenizer, PiecesGiveTheIdsOfTheWhole) {
  const auto tokenizer = small_tokenizer();
  for (unsigned seed = 0; seed < 30; ++seed) {
    const std::string text = small_text(150, seed);
    const auto whole = tokenizer->encode(text);
    for (const size_t block : {1, 2, 3, 5, 7, 16, 64, 250}) {
      std::vector<int32_t> ids;
      std::string piece;
      for (size_t at = 0; at < text.size(); at += block) {
        piece += text.substr(at, block);
        piece.erase(0, tokenizer->encode_piece(piece, at + block >= text.size(), ids));
      }
      EXPECT_EQ(piece, "");
      EXPECT_EQ(ids, whole) << "seed " << seed << " block " << block;
    }
  }
}

TEST(BpeTokenizer, NamesFileAndOffsetOfBadUtf8) {
  const auto tokenizer = small_tokenizer();
  std::vector<int32_t> ids;
  expect_error(Exit::input, "a.txt is not UTF-8 at byte offset 1002", [&] {
    tokenizer->encode_piece("ab\xff", true, ids, {"a.txt", 1000});
  });
  expect_error(Exit::input, "offset 1", [&] { tokenizer->encode("a\xe2\x82"); });
}

TEST(BpeTokenizer, SpecialTokensInATextAreText) {
  const auto tokenizer = small_tokenizer();
  ASSERT_EQ(tokenizer->end_of_text(), tokenizer->vocab_size() - 1);
  const auto ids = tokenizer->encode("<|endoftext|>");
  EXPECT_GT(ids.size(), 1u);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), *tokenizer->end_of_text()), 0);
  EXPECT_EQ(tokenizer->bytes_of(*tokenizer->end_of_text()), "<|endoftext|>");
}

TEST(BpeTokenizer, LongWordsAndLongWhitespaceAreNoProblem) {
  const auto tokenizer = small_tokenizer();
  for (const std::string unit : {"a", " ", "the", "日", "\n", "!"}) {
    std::string text;
    while (text.size() < 300'000) text += unit;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  }
}

TEST(BpeTokenizer, ThreadsMayShareIt) {
  const auto tokenizer = small_tokenizer();
  const std::string text = small_text(3000, 3);
  const auto expected = tokenizer->encode(text);
  const auto fresh = small_tokenizer();
  const auto work = [&] { EXPECT_EQ(fresh->encode(text), expected); };
  std::thread first(work), second(work);
  first.join();
  second.join();
}

// One vocabulary has many spellings: escapes, spaces, order of the keys, the version of the merges.
TEST(BpeTokenizer, TheSameVocabularyIsTheSameTokenizer) {
  const auto files = small_tokenizer()->files();
  const auto vocab = nlohmann::json::parse(files.at("vocab.json"));
  std::string merges = files.at("merges.txt");
  merges.replace(0, merges.find('\n'), "#version: 0.1 - of another library");
  const BpeTokenizer other(vocab.dump(2, ' ', true), merges, "other");
  EXPECT_EQ(other.identity(), small_tokenizer()->identity());
  EXPECT_EQ(other.files(), files);
  merges.erase(merges.rfind('\n', merges.size() - 2) + 1);
  EXPECT_NE(BpeTokenizer(vocab.dump(), merges, "less").identity(), small_tokenizer()->identity());
}

TEST(BpeTokenizer, AddedTokensAreSpecial) {
  const TemporaryFolder folder;
  const auto plain = small_tokenizer();
  for (const auto& [name, content] : plain->files()) write_text(folder / name, content);
  write_text(folder / "added_tokens.json", R"({"<| pad é|>": 400, "<|endoftext|>": 399})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->vocab_size(), 401);
  EXPECT_EQ(tokenizer->bytes_of(400), "<| pad é|>");
  EXPECT_EQ(tokenizer->encode("a <| pad é|>"), plain->encode("a <| pad é|>"));
  save_tokenizer(*tokenizer, folder / "saved");
  const auto json = nlohmann::json::parse(read_text(folder / "saved/tokenizer.json"));
  ASSERT_EQ(json["added_tokens"].size(), 2u);
  EXPECT_EQ(json["added_tokens"][1]["content"], "<| pad é|>");
  EXPECT_EQ(load_tokenizer(folder / "saved")->identity(), tokenizer->identity());
  std::filesystem::remove(folder / "saved/tokenizer.json");
  EXPECT_EQ(load_tokenizer(folder / "saved")->identity(), tokenizer->identity());
  write_text(folder / "added_tokens.json", R"({"<|endoftext|>": 400})");
  expect_error(Exit::input, "added_tokens.json: '<|endoftext|>' has the id 400, vocab.json says 399",
               [&] { load_tokenizer(folder.path()); });
}

TEST(BpeTokenizer, SavedFolderGivesTheSameTokenizer) {
  const TemporaryFolder folder;
  const auto tokenizer = small_tokenizer();
  save_tokenizer(*tokenizer, folder / "vocabulary");
  const auto back = load_tokenizer(folder / "vocabulary");
  EXPECT_EQ(back->identity(), tokenizer->identity());
  EXPECT_EQ(back->encode(small_text(100, 1)), tokenizer->encode(small_text(100, 1)));
  EXPECT_EQ(load_tokenizer("bytes")->kind(), "bytes");
  expect_error(Exit::input, "neither bytes nor a folder", [&] { load_tokenizer(folder / "none"); });
  expect_error(Exit::input, "vocab.json", [&] { load_tokenizer(folder.path()); });
  expect_error(Exit::input, "token.h5: unknown tokenizer 'word'",
               [&] { make_tokenizer("word", {}, "token.h5"); });
  expect_error(Exit::input, "merges.txt is missing", [&] {
    make_tokenizer("bpe", {{"vocab.json", "{}"}}, "token.h5");
  });
}

std::unique_ptr<Tokenizer> gpt2() {
  const std::string vocab = text_data("gpt2/vocab.json");
  return vocab.empty() ? nullptr : load_tokenizer(vocab.substr(0, vocab.rfind('/')));
}

nlohmann::json read_json(const std::string& path) { return nlohmann::json::parse(read_text(path)); }

TEST(BpeFixture, Vectors) {
  const auto tokenizer = gpt2();
  if (!tokenizer) GTEST_SKIP() << "no gpt2/vocab.json in the folder that TAPESTRY_DATA names";
  ASSERT_EQ(tokenizer->end_of_text(), 50256);
  int cases = 0;
  for (const std::string& path : test::fixture_files("bpe", "", "_vectors.json"))
    for (const auto& vector : read_json(path)) {
      const auto text = vector.at("text").get<std::string>();
      EXPECT_EQ(tokenizer->encode(text), vector.at("ids").get<std::vector<int32_t>>()) << text;
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
      ++cases;
    }
  EXPECT_GT(cases, 0);
}

TEST(BpeFixture, Corpora) {
  const auto tokenizer = gpt2();
  if (!tokenizer) GTEST_SKIP() << "no gpt2/vocab.json in the folder that TAPESTRY_DATA names";
  for (const std::string& path : test::fixture_files("bpe", "", "_corpora.json"))
    for (const auto& corpus : read_json(path)) {
      const std::string file = text_data(corpus.at("file").get<std::string>());
      SKIP_WITHOUT(file, corpus.at("file"));
      const auto ids = tokenizer->encode(read_text(file));
      EXPECT_EQ(ids.size(), corpus.at("tokens").get<size_t>());
      const std::vector<uint16_t> narrow(ids.begin(), ids.end());
      EXPECT_EQ(Sha256().update(narrow.data(), narrow.size() * sizeof(uint16_t)).hex(),
                corpus.at("sha256_u16le"));
    }
}

}  // namespace
}  // namespace tapestry
