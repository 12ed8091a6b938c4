#include "data/prepare.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <span>

#include "data/bpe_trainer.h"
#include "data/loader.h"
#include "data/piece_reader.h"
#include "data/token_file_faults.h"
#include "tests/support/expect_error.h"
#include "tests/support/small_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_data.h"

namespace tapestry {
namespace {
namespace fs = std::filesystem;

// Progress goes to standard error, where a test has no use for it.
PrepareSummary quietly(const PrepareOptions& options, int64_t seed = 0) {
  testing::internal::CaptureStderr();
  try {
    const PrepareSummary summary = prepare(options, seed);
    testing::internal::GetCapturedStderr();
    return summary;
  } catch (...) {
    testing::internal::GetCapturedStderr();
    throw;
  }
}

std::vector<int32_t> all_tokens(const TokenFile& file, Split split) {
  const auto tokens = file.tokens(split);
  std::vector<int32_t> all(static_cast<size_t>(tokens->size()));
  tokens->read(0, tokens->size(), all.data());
  return all;
}

std::string decoded(const TokenFile& file, Split split) {
  return file.tokenizer()->decode(all_tokens(file, split));
}

// Three words of any number of characters a line, in files of different lengths.
void write_many_documents(const std::string& folder, int count) {
  for (int i = 0; i < count; ++i)
    write_text(join(folder, "/", i, ".txt"),
               join("document ", i, "\n", small_text(static_cast<size_t>(20 + i), 3)));
}

TEST(Prepare, BytesOfASingleFileAreCutAtTheFraction) {
  const TemporaryFolder folder;
  const std::string text = small_text(2000, 1) + "\xff\xfe not UTF-8";
  write_text(folder / "a.txt", text);
  const auto summary =
      quietly({.input = {folder / "a.txt"}, .output = folder / "a.h5", .valid_fraction = 0.1});
  const TokenFile file(folder / "a.h5");
  const auto cut = static_cast<size_t>(0.9 * static_cast<double>(text.size()));
  EXPECT_EQ(decoded(file, Split::train), text.substr(0, cut));
  EXPECT_EQ(decoded(file, Split::valid), text.substr(cut));
  EXPECT_EQ(summary.train.bytes, static_cast<int64_t>(cut));
  EXPECT_EQ(summary.train.tokens, static_cast<int64_t>(cut));
  EXPECT_EQ(summary.sha256, file.sha256());
  EXPECT_EQ(summary.tokenizer, "bytes");
  FaultList faults;
  find_token_file_faults(file.path(), faults);
  EXPECT_TRUE(faults.lines().empty());
}

TEST(Prepare, WordsAreThoseOfTheOriginalText) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", " one two\n\nthree\tfour  ");
  const auto summary = quietly({.input = {folder / "a.txt"}, .output = folder / "a.h5", .valid_fraction = 0});
  EXPECT_EQ(summary.train.words, 4);
  EXPECT_EQ(TokenFile(folder / "a.h5").text(Split::train).words, 4);
  EXPECT_EQ(summary.valid.tokens, 0);
}

TEST(Prepare, TrainsAVocabularyAndNeverCutsACharacter) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "語";
  write_text(folder / "a.txt", text);
  const auto summary = quietly({.input = {folder / "a.txt"},
                                .tokenizer = "bpe:260",
                                .output = folder / "a.h5",
                                .valid_fraction = 0.1115});
  const TokenFile file(folder / "a.h5");
  EXPECT_LE(summary.vocab_size, 260);
  EXPECT_EQ(decoded(file, Split::train) + decoded(file, Split::valid), text);
  EXPECT_EQ(summary.train.bytes % 3, 0);
}

TEST(Prepare, VocabularyAndIdsAreThoseOfTheWholeText) {
  const TemporaryFolder folder;
  BpeTrainer trainer;
  trainer.add(small_text(5000, 1));
  const auto tokenizer = trainer.train(400);
  save_tokenizer(*tokenizer, folder / "vocabulary");
  const std::string text = small_text(400'000, 2);  // longer than a block
  ASSERT_GT(text.size(), PieceReader::kBlock);
  write_text(folder / "a.txt", text);
  quietly({.input = {folder / "a.txt"},
           .tokenizer = folder / "vocabulary",
           .output = folder / "a.h5",
           .valid_fraction = 0});
  const TokenFile file(folder / "a.h5");
  EXPECT_TRUE(all_tokens(file, Split::train) == tokenizer->encode(text));
  EXPECT_EQ(file.tokenizer()->identity(), tokenizer->identity());

  BpeTrainer whole;
  whole.add(text);
  const auto summary = quietly(
      {.input = {folder / "a.txt"}, .tokenizer = "bpe:300", .output = folder / "b.h5", .valid_fraction = 0});
  EXPECT_EQ(summary.tokenizer, whole.train(300)->identity());
}

TEST(Prepare, DocumentsStayWholeAndSeparate) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "text");
  write_many_documents(folder / "text", 60);
  const auto summary = quietly(
      {.input = {folder / "text"}, .tokenizer = "bpe:300", .output = folder / "a.h5", .valid_fraction = 0.2});
  EXPECT_EQ(summary.train.documents + summary.valid.documents, 60);
  const TokenFile file(folder / "a.h5");
  const auto tokenizer = file.tokenizer();
  std::multiset<std::string> found, expected;
  for (const Split split : {Split::train, Split::valid}) {
    const auto ids = all_tokens(file, split);
    auto starts = file.documents(split);
    for (size_t i = 0; i < starts.size(); ++i) {
      const bool is_last = i + 1 == starts.size();
      const auto end = static_cast<size_t>(is_last ? static_cast<int64_t>(ids.size()) : starts[i + 1] - 1);
      if (!is_last) {
        EXPECT_EQ(ids[end], *tokenizer->end_of_text());
      }
      const auto first = static_cast<size_t>(starts[i]);
      found.insert(tokenizer->decode(std::span(ids).subspan(first, end - first)));
    }
  }
  for (const auto& entry : fs::directory_iterator(folder / "text")) expected.insert(read_text(entry.path()));
  EXPECT_EQ(found, expected);
}

TEST(Prepare, NoValidationTextIsInATrainingWindow) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "text");
  for (int i = 0; i < 40; ++i)  // each document of one letter of its own
    write_text(join(folder / "text", "/", i),
               std::string(static_cast<size_t>(100 + i), static_cast<char>('A' + i)));
  for (const double fraction : {0.05, 0.3, 0.7}) {
    quietly({.input = {folder / "text"}, .output = folder / "a.h5", .valid_fraction = fraction});
    const TokenFile file(folder / "a.h5");
    const auto valid = all_tokens(file, Split::valid);
    const std::set<int32_t> forbidden(valid.begin(), valid.end());
    EXPECT_FALSE(forbidden.empty());
    const Loader loader(file.tokens(Split::train),
                        {.seq_len = 33, .batch_size = 2, .grad_accum = 1, .seed = 1});
    for (int64_t step = 0; step < 2 * loader.windows_per_epoch(); ++step) {
      const Batch batch = loader.batch(step);
      for (const int32_t id : batch.tokens) ASSERT_FALSE(forbidden.contains(id));
      for (const int32_t id : batch.targets) ASSERT_FALSE(forbidden.contains(id));
    }
  }
}

TEST(Prepare, ARerunGivesTheSameBytesAndAnotherSeedAnotherSplit) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "text");
  write_many_documents(folder / "text", 50);
  for (const std::string tokenizer : {"bytes", "bpe:280"}) {
    const auto run = [&](const std::string& name, int64_t seed) {
      quietly({.input = {folder / "text"}, .tokenizer = tokenizer, .output = folder / name}, seed);
      return read_text(folder / name);
    };
    const std::string first = run("a.h5", 1);
    EXPECT_TRUE(first == run("b.h5", 1));
    EXPECT_TRUE(first == run("a.h5", 1));
    EXPECT_FALSE(first == run("c.h5", 2));
  }
}

TEST(Prepare, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "some text that is long enough");
  write_text(folder / "latin.txt", "caf\xe9 and more text");
  write_text(folder / "one", "x");
  const auto refuse = [&](Exit exit, const std::string& part, PrepareOptions options) {
    expect_error(exit, part, [&] { quietly(options); });
    EXPECT_FALSE(fs::exists(folder / "out.h5"));
  };
  const std::string text = folder / "a.txt", out = folder / "out.h5";
  refuse(Exit::usage, "--input is missing", {.input = {}, .output = out});
  refuse(Exit::usage, "--output is missing", {.input = {text}, .output = ""});
  refuse(Exit::usage, "valid-fraction 1", {.input = {text}, .output = out, .valid_fraction = 1});
  for (const std::string size : {"", "x", "256", "9999999", "300x", "-5"})
    refuse(Exit::usage, "tokenizer 'bpe:" + size,
           {.input = {text}, .tokenizer = "bpe:" + size, .output = out});
  refuse(Exit::input, "neither bytes nor a folder", {.input = {text}, .tokenizer = "gpt9", .output = out});
  refuse(Exit::input, "latin.txt is not UTF-8 at byte offset 3",
         {.input = {folder / "latin.txt"}, .tokenizer = "bpe:300", .output = out});
  refuse(Exit::input, "none", {.input = {folder / "none"}, .output = out});
  refuse(Exit::input, "no text is left for training", {.input = {folder / "one"}, .output = out});
  refuse(Exit::input, "no text is left for validation",
         {.input = {text}, .output = out, .valid_fraction = 1e-17});
  refuse(Exit::io, "none/out.h5", {.input = {text}, .output = folder / "none/out.h5"});
  EXPECT_EQ(count_files(folder.path()), 3);
}

TEST(Prepare, TinyShakespeareSplitsAsIsUsual) {
  const std::string path = text_data("tinyshakespeare.txt");
  SKIP_WITHOUT(path, "tinyshakespeare.txt");
  const TemporaryFolder folder;
  const auto summary = quietly({.input = {path}, .output = folder / "a.h5"});
  EXPECT_EQ(summary.train.tokens, 1'003'854);
  EXPECT_EQ(summary.valid.tokens, 111'540);
}

}  // namespace
}  // namespace tapestry
