#include "data/tokenizer_json.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/bpe_tokenizer.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace tapestry::test {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

/// The 256 bytes, the end of text, "th" and "the".
std::unique_ptr<Tokenizer> tiny() {
  BpeVocabulary vocabulary = byte_vocabulary();
  const auto& id = vocabulary.byte_ids;
  vocabulary.tokens.insert(vocabulary.tokens.end(), {kEndOfText, "th", "the"});
  vocabulary.merges = {{id['t'], id['h'], 257}, {257, id['e'], 258}};
  return std::make_unique<BpeTokenizer>(format_vocab_json(vocabulary), format_merges(vocabulary), "tiny");
}

class TokenizerJson : public testing::Test {
 protected:
  std::unique_ptr<Tokenizer> read() { return make_tokenizer("bpe", bpe_files_of(json_.dump(), "x"), "x"); }
  std::string refusal() {
    return error_text(Exit::input, [&] { read(); });
  }
  Json json_ = Json::parse(tokenizer_json_of(*tiny()));
};

TEST_F(TokenizerJson, RoundTrips) {
  EXPECT_EQ(read()->identity(), tiny()->identity());
  EXPECT_EQ(read()->end_of_text(), 256);
  EXPECT_EQ(read()->encode("the other thing"), tiny()->encode("the other thing"));
}

TEST_F(TokenizerJson, MergesMayBePairsAndOldFilesLackKeys) {
  json_["model"]["merges"] = Json::parse(R"([["t", "h"], ["th", "e"]])");
  EXPECT_EQ(read()->identity(), tiny()->identity());
  for (const char* key : {"type", "byte_fallback", "ignore_merges", "dropout"}) json_["model"].erase(key);
  for (const char* key : {"post_processor", "decoder", "truncation", "version"}) json_.erase(key);
  json_["pre_tokenizer"].erase("use_regex");
  EXPECT_EQ(read()->identity(), tiny()->identity());
}

TEST_F(TokenizerJson, AddedTokensJoinTheVocabulary) {
  json_["added_tokens"].push_back({{"id", 259}, {"content", "<|pad|>"}, {"special", true}});
  EXPECT_EQ(read()->vocab_size(), 260);
  EXPECT_EQ(read()->bytes_of(259), "<|pad|>");
  json_["added_tokens"].back()["id"] = 261;
  EXPECT_THAT(refusal(), HasSubstr("no holes"));
  json_["added_tokens"].back() = {{"id", 3}, {"content", "the"}, {"special", true}};
  EXPECT_THAT(refusal(), HasSubstr("'the' has the id 3, the vocabulary says 258"));
  json_["added_tokens"].back() = {{"id", 259}, {"content", "other"}, {"special", false}};
  EXPECT_THAT(refusal(), HasSubstr("'other' is not special"));
}

TEST_F(TokenizerJson, WhatIsNotGpt2IsRefusedByName) {
  json_["model"]["type"] = "Unigram";
  json_["model"]["byte_fallback"] = true;
  json_["model"]["end_of_word_suffix"] = "</w>";
  json_["normalizer"] = {{"type", "NFC"}};
  json_["pre_tokenizer"]["add_prefix_space"] = true;
  json_["post_processor"] = {{"type", "TemplateProcessing"}};
  json_["decoder"] = {{"type", "Metaspace"}};
  EXPECT_THAT(refusal(), AllOf(HasSubstr("x/tokenizer.json"), HasSubstr("the model is Unigram"),
                               HasSubstr("model.byte_fallback"), HasSubstr("end_of_word_suffix = \"</w>\""),
                               HasSubstr("normalizer is NFC"), HasSubstr("add_prefix_space = true"),
                               HasSubstr("post_processor is TemplateProcessing")));
  EXPECT_THAT(refusal(), HasSubstr("decoder is Metaspace"));
}

TEST_F(TokenizerJson, AnotherPreTokenizerIsRefused) {
  json_["pre_tokenizer"] = nullptr;
  EXPECT_THAT(refusal(), HasSubstr("the pre_tokenizer is null"));
}

TEST_F(TokenizerJson, BrokenContentIsRefused) {
  const Json good = json_;
  json_["model"].erase("merges");
  EXPECT_THAT(refusal(), HasSubstr("without merges"));
  json_ = good;
  json_["model"]["merges"][0] = 3;
  EXPECT_THAT(refusal(), HasSubstr("the merge '3' is no pair"));
  json_ = good;
  json_["model"]["vocab"] = Json::array();
  EXPECT_THAT(refusal(), HasSubstr("model.vocab"));
  json_ = Json::array();
  EXPECT_THAT(refusal(), HasSubstr("expected an object"));
}

TEST_F(TokenizerJson, AFolderMayHoldNothingElse) {
  const TemporaryFolder folder;
  save_tokenizer(*tiny(), folder.path());
  EXPECT_EQ(Json::parse(read_text(folder / kTokenizerJson)), json_);
  for (const char* name : {"vocab.json", "merges.txt"}) std::filesystem::remove(folder / name);
  EXPECT_TRUE(has_tokenizer(folder.path()));
  EXPECT_EQ(load_tokenizer(folder.path())->identity(), tiny()->identity());
  std::filesystem::remove(folder / kTokenizerJson);
  EXPECT_FALSE(has_tokenizer(folder.path()));
  EXPECT_THAT(error_text(Exit::input, [&] { load_tokenizer(folder.path()); }), HasSubstr("vocab.json"));
}

}  // namespace
}  // namespace tapestry::test
