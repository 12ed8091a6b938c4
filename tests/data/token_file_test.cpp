#include "data/token_file.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <cstdlib>
#include <numeric>

#include "data/bpe_trainer.h"
#include "data/byte_tokenizer.h"
#include "data/token_file_faults.h"
#include "tests/support/expect_error.h"
#include "tests/support/small_text.h"
#include "tests/support/temporary_folder.h"

namespace tapestry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A vocabulary of any size, to see 32-bit storage without training one.
class ManyTokens : public ByteTokenizer {
 public:
  int64_t vocab_size() const override { return 70'000; }
};

std::unique_ptr<BpeTokenizer> small_bpe() {
  BpeTrainer trainer;
  trainer.add(small_text(1000, 1));
  return trainer.train(300);
}

std::vector<int32_t> all_tokens(const TokenFile& file, Split split) {
  const auto tokens = file.tokens(split);
  std::vector<int32_t> all(static_cast<size_t>(tokens->size()));
  tokens->read(0, tokens->size(), all.data());
  return all;
}

std::vector<int32_t> cycling(size_t count, int32_t size) {
  std::vector<int32_t> ids(count);
  for (size_t i = 0; i < count; ++i) ids[i] = static_cast<int32_t>(i * 7919 % static_cast<size_t>(size));
  return ids;
}

TEST(TokenFile, RoundTripsBothWidthsAndAnyNumberOfChunks) {
  const TemporaryFolder folder;
  const ByteTokenizer narrow;
  const ManyTokens wide;
  for (const Tokenizer* tokenizer :
       {static_cast<const Tokenizer*>(&narrow), static_cast<const Tokenizer*>(&wide)}) {
    for (const int64_t expected : {int64_t{0}, int64_t{1} << 40}) {  // in memory and streamed
      const auto train = cycling(200'000, static_cast<int32_t>(tokenizer->vocab_size()));
      const std::vector<int32_t> valid = {1, 2, 3};
      TokenFileWriter writer(folder / "a.h5", *tokenizer, expected);
      writer.start_document(Split::train);
      writer.append(Split::train, std::span(train).first(70'001));
      writer.start_document(Split::valid);
      writer.append(Split::valid, valid);
      writer.start_document(Split::train);
      writer.append(Split::train, std::span(train).subspan(70'001));
      writer.add_text(Split::train, {123, 45});
      writer.add_text(Split::train, {1, 1});
      EXPECT_EQ(writer.size(Split::train), 200'000);
      const std::string hash = writer.commit();

      const TokenFile file(folder / "a.h5");
      EXPECT_EQ(file.sha256(), hash);
      EXPECT_EQ(all_tokens(file, Split::train), train);
      EXPECT_EQ(all_tokens(file, Split::valid), valid);
      EXPECT_EQ(file.documents(Split::train), (std::vector<int64_t>{0, 70'001}));
      EXPECT_EQ(file.documents(Split::valid), (std::vector<int64_t>{0}));
      EXPECT_EQ(file.text(Split::train).bytes, 124);
      EXPECT_EQ(file.text(Split::train).words, 46);
      EXPECT_EQ(file.vocab_size(), tokenizer->vocab_size());
      int32_t part[3];
      file.tokens(Split::train)->read(65'535, 3, part);
      EXPECT_TRUE(std::equal(part, part + 3, train.begin() + 65'535));
      EXPECT_THROW(file.tokens(Split::train)->read(199'999, 2, part), Error);
    }
  }
}

TEST(TokenFile, TheEndOfTextTokenStandsBetweenDocuments) {
  const TemporaryFolder folder;
  const auto tokenizer = small_bpe();
  const std::vector<int32_t> ids = {5, 6};
  TokenFileWriter writer(folder / "a.h5", *tokenizer, 0);
  for (int i = 0; i < 3; ++i) {
    writer.start_document(Split::train);
    writer.append(Split::train, ids);
  }
  writer.commit();
  const TokenFile file(folder / "a.h5");
  const int32_t end = *tokenizer->end_of_text();
  EXPECT_EQ(all_tokens(file, Split::train), (std::vector<int32_t>{5, 6, end, 5, 6, end, 5, 6}));
  EXPECT_EQ(file.documents(Split::train), (std::vector<int64_t>{0, 3, 6}));
  EXPECT_EQ(file.tokens(Split::valid)->size(), 0);
  EXPECT_TRUE(file.documents(Split::valid).empty());
  FaultList faults;
  find_token_file_faults(file.path(), faults);
  EXPECT_THAT(faults.lines(), IsEmpty());
}

TEST(TokenFile, CarriesItsTokenizer) {
  const TemporaryFolder folder;
  const auto tokenizer = small_bpe();
  TokenFileWriter(folder / "a.h5", *tokenizer, 0).commit();
  const TokenFile file(folder / "a.h5");
  EXPECT_EQ(file.tokenizer()->identity(), tokenizer->identity());
  EXPECT_EQ(file.tokenizer()->encode(small_text(50, 2)), tokenizer->encode(small_text(50, 2)));
}

/// The spelling of another library.
class Respelled : public BpeTokenizer {
 public:
  using BpeTokenizer::BpeTokenizer;
  std::map<std::string, std::string> files() const override {
    auto files = BpeTokenizer::files();
    files["vocab.json"].insert(1, "\n  ");
    return files;
  }
};

TEST(TokenFile, TheSameVocabularyIsKnownInAnySpelling) {
  const TemporaryFolder folder;
  const auto tokenizer = small_bpe();
  const auto files = tokenizer->files();
  const Respelled respelled(files.at("vocab.json"), files.at("merges.txt"), "x");
  ASSERT_NE(respelled.identity(), tokenizer->identity());
  TokenFileWriter(folder / "a.h5", respelled, 0).commit();
  const TokenFile file(folder / "a.h5");
  EXPECT_EQ(file.tokenizer()->identity(), tokenizer->identity());
}

TEST(TokenFile, OfFewTokensIsSmall) {
  const TemporaryFolder folder;
  TokenFileWriter writer(folder / "a.h5", ByteTokenizer(), 100);
  writer.start_document(Split::train);
  writer.append(Split::train, cycling(300, 256));
  writer.commit();
  EXPECT_LT(std::filesystem::file_size(folder / "a.h5"), 20'000);
  EXPECT_EQ(all_tokens(TokenFile(folder / "a.h5"), Split::train), cycling(300, 256));
}

TEST(TokenFile, SameTokensGiveTheSameBytes) {
  const TemporaryFolder folder;
  const auto tokenizer = small_bpe();
  for (const int64_t expected : {int64_t{0}, int64_t{1} << 40}) {
    for (const char* name : {"a.h5", "b.h5"}) {
      TokenFileWriter writer(folder / name, *tokenizer, expected);
      writer.start_document(Split::train);
      writer.append(Split::train, cycling(1000, 300));
      writer.commit();
    }
    EXPECT_TRUE(read_text(folder / "a.h5") == read_text(folder / "b.h5"));
  }
}

TEST(TokenFile, RefusesIdsOutsideTheVocabulary) {
  const TemporaryFolder folder;
  TokenFileWriter writer(folder / "a.h5", ByteTokenizer(), 0);
  writer.start_document(Split::train);
  for (const int32_t id : {256, -1, 65'536})
    expect_error(Exit::usage, join("token id ", id),
                 [&] { writer.append(Split::train, std::vector<int32_t>{id}); });
}

// Files that pass the hash but were made by something else.
void expect_refused(const std::string& part, const std::function<void(Hdf5File&)>& spoil) {
  const TemporaryFolder folder;
  VerifiedWriter writer(folder / "a.h5", kTokenFile, 0);
  Hdf5File& file = writer.hdf5();
  const std::vector<uint16_t> tokens = {1, 2, 3};
  const std::vector<int64_t> documents = {0};
  file.create_group("tokenizer/files");
  for (const std::string split : {"train", "valid"}) {
    file.create_group(split);
    file.write_attribute(split, "bytes", 3);
    file.write_attribute(split, "words", 1);
  }
  file.write("valid/tokens", {3}, tokens.data());
  file.write("valid/documents", {1}, documents.data());
  spoil(file);
  if (!file.has("train/tokens")) file.write("train/tokens", {3}, tokens.data());
  if (!file.has("train/documents")) file.write("train/documents", {1}, documents.data());
  if (!file.has_attribute("tokenizer", "vocab_size")) file.write_attribute("tokenizer", "vocab_size", 256);
  if (!file.has_attribute("tokenizer", "kind")) file.write_attribute("tokenizer", "kind", "bytes");
  if (!file.has_attribute("tokenizer", "identity")) file.write_attribute("tokenizer", "identity", "bytes");
  writer.commit();
  FaultList faults;
  find_token_file_faults(folder / "a.h5", faults);
  if (part.empty()) {
    EXPECT_THAT(faults.lines(), IsEmpty());
  } else {
    EXPECT_THAT(faults.lines(), ElementsAre(HasSubstr(part)));
  }
}

TEST(TokenFile, RefusesContentThatDoesNotFit) {
  expect_refused("", [](Hdf5File&) {});
  expect_refused("id 300 at 1 is outside the vocabulary of 256", [](Hdf5File& file) {
    const std::vector<uint16_t> bad = {1, 300, 2};
    file.write("train/tokens", {3}, bad.data());
  });
  expect_refused("expected one axis of uint16", [](Hdf5File& file) {
    const std::vector<int32_t> bad = {1, -3, 2};
    file.write("train/tokens", {3}, bad.data());
  });
  expect_refused("expected one axis of uint16", [](Hdf5File& file) {
    const std::vector<uint16_t> bad = {1, 3, 2, 4};
    file.write("train/tokens", {2, 2}, bad.data());
  });
  expect_refused("document 1 starts at 4 and ends at 3", [](Hdf5File& file) {
    const std::vector<int64_t> bad = {0, 4};
    file.write("train/documents", {2}, bad.data());
  });
  expect_refused("does not start at token 0",
                 [](Hdf5File& file) { file.write<int64_t>("train/documents", {0}, nullptr); });
  expect_refused("a vocabulary of -5",
                 [](Hdf5File& file) { file.write_attribute("tokenizer", "vocab_size", -5); });
  expect_refused("do not fit its identity",
                 [](Hdf5File& file) { file.write_attribute("tokenizer", "identity", "bpe:1234"); });
  expect_refused("unknown tokenizer 'word'",
                 [](Hdf5File& file) { file.write_attribute("tokenizer", "kind", "word"); });
}

TEST(TokenFile, H5pyReadsIt) {
  if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) GTEST_SKIP() << "no python3-h5py";
  const TemporaryFolder folder;
  TokenFileWriter writer(folder / "a.h5", *small_bpe(), 0);
  writer.start_document(Split::train);
  writer.append(Split::train, cycling(100'000, 300));
  writer.commit();
  const std::string script =
      "import h5py,sys; f=h5py.File(sys.argv[1],'r'); t=f['train/tokens']; "
      "assert t.dtype=='uint16' and t.shape==(100000,) and t.chunks; "
      "assert (t[:]==[i*7919%300 for i in range(100000)]).all(); "
      "assert f['tokenizer/files/merges.txt'][()].decode().startswith('#version'); "
      "assert f['tokenizer'].attrs['kind']=='bpe'";
  EXPECT_EQ(std::system(("/usr/bin/python3 -c \"" + script + "\" " + (folder / "a.h5")).c_str()), 0);
}

}  // namespace
}  // namespace tapestry
