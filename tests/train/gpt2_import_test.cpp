#include "train/gpt2_import.h"

#include <gmock/gmock.h>

#include "data/bpe_vocabulary.h"
#include "tests/support/error_text.h"
#include "tests/support/gpt2_folder.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;

Tensor some_tokens() {
  std::vector<int32_t> tokens;
  for (int i = 0; i < 40; ++i) tokens.push_back(static_cast<int32_t>(random_bits(3, i) % 61));
  return Tensor::from(tokens, {2, 20});
}

std::vector<float> logits_of(const std::string& folder) {
  return load_model(*open_model_source(folder)).model->logits(some_tokens()).values<float>();
}

class Gpt2Import : public testing::Test {
 protected:
  std::string refusal() {
    files_.write(folder_.path());
    return error_text(Exit::input, [&] { Gpt2Source source(folder_.path()); });
  }

  Gpt2Files files_;
  TemporaryFolder folder_;
};

TEST_F(Gpt2Import, PrefixAndShardsDoNotMatter) {
  files_.write(folder_ / "plain");
  files_.write_shards(folder_ / "shards", 3);
  files_.put_prefix();
  files_.write(folder_ / "prefixed");
  const auto logits = logits_of(folder_ / "plain");
  EXPECT_EQ(logits_of(folder_ / "shards"), logits);
  EXPECT_EQ(logits_of(folder_ / "prefixed"), logits);
}

TEST_F(Gpt2Import, CountsWhatIsUsedAndSaysWhyTheRestIsNot) {
  files_.add("h.0.attn.bias", {1, 1, 24, 24});
  files_.add("h.2.attn.masked_bias", {});
  files_.tensors["lm_head.weight"] = files_.tensors["wte.weight"];
  files_.write(folder_.path());
  const Gpt2Source source(folder_.path());
  EXPECT_EQ(source.tensors_used(), 2 + 3 * 12 + 2);
  // Embeddings, three blocks, the final norm.
  EXPECT_EQ(source.parameter_count(),
            (61 + 24) * 16 + 3 * (16 * 48 + 48 + 16 * 16 + 16 + 2 * 32 + 2 * 16 * 40 + 40 + 16) + 32);
  ASSERT_EQ(source.ignored().size(), 3u);
  EXPECT_EQ(source.ignored()[0].tensor, "h.0.attn.bias");
  EXPECT_THAT(source.ignored()[0].reason, HasSubstr("mask"));
  EXPECT_THAT(source.ignored()[2].reason, HasSubstr("equal to wte.weight"));
  EXPECT_EQ(source.tokenizer(), nullptr);
}

TEST_F(Gpt2Import, AnOutputOfItsOwnMustBeSaidToBeUntied) {
  files_.write(folder_ / "tied");
  files_.add("lm_head.weight", {61, 16});
  EXPECT_THAT(refusal(), HasSubstr("lm_head.weight differs from wte.weight"));
  files_.config["tie_word_embeddings"] = false;
  files_.write(folder_ / "untied");
  EXPECT_NE(logits_of(folder_ / "untied"), logits_of(folder_ / "tied"));
  const auto loaded = load_model(*open_model_source(folder_ / "untied"));
  EXPECT_EQ(loaded.model->parameters().back().parameter.value().values<float>(),
            files_.tensors["lm_head.weight"].values);
  files_.tensors.erase("lm_head.weight");
  EXPECT_THAT(refusal(), HasSubstr("has no tensor 'lm_head.weight'"));
}

TEST_F(Gpt2Import, RefusesTensorsThatAreMissingUnknownOrOfAnotherShape) {
  EXPECT_EQ(refusal(), "no error");
  const auto good = files_.tensors;
  files_.tensors.erase("h.1.ln_2.bias");
  EXPECT_THAT(refusal(), HasSubstr("has no tensor 'h.1.ln_2.bias'"));
  files_.tensors = good;
  files_.add("h.3.ln_1.weight", {16});
  EXPECT_THAT(refusal(), HasSubstr("holds the tensor 'h.3.ln_1.weight', which GPT-2 does not have"));
  files_.tensors = good;
  files_.tensors["h.0.attn.c_attn.weight"].shape = {48, 16};
  EXPECT_THAT(refusal(), HasSubstr("'h.0.attn.c_attn.weight' is [48, 16], its config.json needs [16, 48]"));
  files_.tensors = good;
  files_.config["n_positions"] = 32;
  EXPECT_THAT(refusal(), HasSubstr("'wpe.weight' is [24, 16], its config.json needs [32, 16]"));
  files_.config["n_positions"] = 24;
  files_.config["vocab_size"] = 60;
  EXPECT_THAT(refusal(), HasSubstr("'wte.weight' is [61, 16], its config.json needs [60, 16]"));
}

TEST_F(Gpt2Import, NamesAMissingShardOrConfig) {
  files_.write_shards(folder_.path(), 2);
  std::filesystem::remove(folder_ / "part-1.safetensors");
  const auto open = [&] { Gpt2Source source(folder_.path()); };
  EXPECT_THAT(error_text(Exit::input, open), HasSubstr("part-1.safetensors"));
  files_.write(folder_.path());
  std::filesystem::remove(folder_ / "config.json");
  EXPECT_THAT(error_text(Exit::input, open), HasSubstr("config.json"));
}

TEST_F(Gpt2Import, BringsTheTokenizer) {
  const BpeVocabulary vocabulary = byte_vocabulary();
  ModelOptions model = Gpt2Files::options();
  model.vocab_size = 257;
  files_ = Gpt2Files(model);
  files_.write(folder_.path());
  write_text(folder_ / "vocab.json", format_vocab_json(vocabulary));
  write_text(folder_ / "merges.txt", format_merges(vocabulary));
  EXPECT_EQ(open_model_source(folder_.path())->tokenizer()->vocab_size(), 256);
  model.vocab_size = 200;
  Gpt2Files(model).write(folder_.path());
  const auto open = [&] { Gpt2Source(folder_.path()).tokenizer(); };
  EXPECT_THAT(error_text(Exit::input, open), HasSubstr("256 tokens, more than vocab_size = 200"));
}

}  // namespace
}  // namespace tapestry::test
