#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "autograd/random.h"
#include "data/bpe_tokenizer.h"
#include "data/tokenizer_json.h"
#include "tests/support/error_text.h"
#include "tests/support/gpt2_folder.h"
#include "tests/support/shell.h"
#include "train/gpt2_config.h"
#include "train/model_source.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

class ConvertCommand : public testing::Test {
 protected:
  ConvertCommand() { files_.write(folder_ / "gpt2"); }
  ShellResult convert(const std::string& from, const std::string& to, const std::string& more = "") {
    return shell("tapestry convert --from " + (folder_ / from) + " --output " + (folder_ / to) + " " + more);
  }
  void expect_done(const ShellResult& result) { ASSERT_EQ(result.status, 0) << result.errors; }

  Gpt2Files files_;
  TemporaryFolder folder_;
};

std::map<std::string, std::vector<float>> tensors_of(const std::string& folder) {
  const SafetensorsModel model(folder);
  std::map<std::string, std::vector<float>> all;
  for (const std::string& name : model.names()) {
    std::vector<float> values(static_cast<size_t>(model.entry(name).size));
    model.read(name, values);
    all[name] = values;
  }
  return all;
}

TEST_F(ConvertCommand, ImportExportImportKeepsEveryBit) {
  files_.config["custom"] = {{"a", 1}};
  files_.put_prefix();
  files_.write(folder_ / "gpt2");
  expect_done(convert("gpt2", "model.h5"));
  expect_done(convert("model.h5", "exported", "--to gpt2"));
  EXPECT_EQ(Json::parse(read_text(folder_ / "exported/config.json")), files_.config);
  EXPECT_EQ(tensors_of(folder_ / "exported"), tensors_of(folder_ / "gpt2"));
  expect_done(convert("exported", "again.h5"));
  expect_done(convert("again.h5", "exported-again", "--to gpt2"));
  EXPECT_EQ(read_text(folder_ / "exported-again/model.safetensors"),
            read_text(folder_ / "exported/model.safetensors"));
}

TEST_F(ConvertCommand, SaysWhatItReadAndWhatItLeftOut) {
  files_.add("h.0.attn.bias", {1, 1, 24, 24});
  files_.write(folder_ / "gpt2");
  const ShellResult result =
      convert("gpt2", "model.h5", "--attention bsbr --layers 1 --bsbr.read state --json -");
  expect_done(result);
  const Json report = Json::parse(result.output);
  const auto source = open_model_source(folder_ / "gpt2");
  EXPECT_EQ(report["parameters_read"], source->parameter_count());
  EXPECT_EQ(report["tensors_used"], 40);
  EXPECT_EQ(report["tensors_ignored"], 1);
  EXPECT_EQ(report["ignored"][0]["first"], "h.0.attn.bias");
  EXPECT_EQ(report["parameters_kept"], source->parameter_count());
  EXPECT_EQ(report["parameters"], source->parameter_count() + 2 * (16 * 16 + 16) + 2);
  EXPECT_EQ(report["attention"], "standard,bsbr,standard");
  EXPECT_EQ(report["new_parameters"].size(), 5u);
  expect_done(convert("model.h5", "local.h5", "--attention standard --json " + (folder_ / "back.json")));
  const Json back = Json::parse(read_text(folder_ / "back.json"));
  EXPECT_EQ(back["parameters_dropped"], 2 * (16 * 16 + 16) + 2);
  EXPECT_EQ(back["dropped_parameters"].size(), 5u);
  expect_done(convert("gpt2", "short.h5", "--n-ctx 20 --json " + (folder_ / "short.json")));
  EXPECT_EQ(Json::parse(read_text(folder_ / "short.json"))["parameters_dropped"], 4 * 16);
}

TEST_F(ConvertCommand, OptionsOfALayerSaySomethingAboutIt) {
  const ShellResult result =
      convert("gpt2", "model.h5", "--attention bsbr --layers 1 --layer.0.chunk 4 --layer.3.chunk 4");
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.errors, HasSubstr("layer 0 is standard, which has no chunk"));
  EXPECT_THAT(result.errors, HasSubstr("layers are 0 to 2"));
}

TEST_F(ConvertCommand, WeightsThatAreNotFiniteGoNowhere) {
  expect_done(convert("gpt2", "model.h5"));
  files_.tensors["h.1.mlp.c_fc.weight"].values[5] = std::nanf("");
  files_.write(folder_ / "bad");
  for (const std::string to : {"checkpoint", "gpt2", "tapestry"}) {
    const ShellResult result = convert("bad", "out-" + to, "--to " + to);
    EXPECT_EQ(result.status, 5);
    EXPECT_THAT(result.errors, HasSubstr("bad': element 5 of blocks.1.mlp.up.weight is nan"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / ("out-" + to)));
  }
  const ShellResult compared =
      shell("tapestry compare --tokens random --a " + (folder_ / "gpt2") + " --b " + (folder_ / "bad"));
  EXPECT_EQ(compared.status, 5) << compared.errors;
}

TEST_F(ConvertCommand, TheExportSaysOfWhatTypeItsWeightsAre) {
  files_.config["torch_dtype"] = "float16";
  files_.write(folder_ / "gpt2");
  expect_done(convert("gpt2", "exported", "--to gpt2"));
  EXPECT_EQ(Json::parse(read_text(folder_ / "exported/config.json"))["torch_dtype"], "float32");
}

TEST_F(ConvertCommand, ACheckpointConvertsFurther) {
  expect_done(convert("gpt2", "model.h5", "--attention bsbr --bsbr.chunk 6"));
  expect_done(convert("model.h5", "state.h5", "--attention bsbr --bsbr.read state"));
  expect_done(convert("state.h5", "back.h5", "--attention standard --n-ctx 48"));
  expect_done(convert("back.h5", "exported", "--to gpt2"));
  EXPECT_EQ(convert("back.h5", "exported", "--to gpt2").status, 2);
  auto expected = tensors_of(folder_ / "gpt2");
  const auto found = tensors_of(folder_ / "exported");
  for (const auto& [name, values] : expected) {
    if (name == "wpe.weight") continue;
    EXPECT_EQ(found.at(kGpt2Prefix + name), values) << name;
  }
  EXPECT_EQ(found.at("transformer.wpe.weight").size(), 2 * expected["wpe.weight"].size());
  EXPECT_EQ(Json::parse(read_text(folder_ / "exported/config.json"))["n_positions"], 48);
}

TEST_F(ConvertCommand, BsbrThatReadsAllTokensIsTheRotaryModelItCameFrom) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "abcdefgh"[random_bits(1, i) % 8];
  write_text(folder_ / "text.txt", text);
  expect_done(
      shell("cd " + folder_.path() +
            " && tapestry prepare --input text.txt --tokenizer bytes --output tokens.h5 && tapestry train "
            "--data.tokens tokens.h5 --data.seq_len 24 --model.attention standard --model.positions rotary "
            "--model.n_layer 2 --model.n_head 2 --model.n_embd 16 --train.max_steps 20 "
            "--optim.learning_rate 1e-2 --train.out run"));
  const auto kl = [&](const std::string& source, const std::string& options) {
    EXPECT_EQ(convert(source, "bsbr.h5", "--attention bsbr " + options).status, 0);
    const ShellResult result = shell("cd " + folder_.path() + " && tapestry compare --a " + source +
                                     " --b bsbr.h5 --tokens random --windows 5 --seq-len 24 --json -");
    EXPECT_EQ(result.status, 0) << result.errors;
    return Json::parse(result.output)["logits"]["kl"].get<double>();
  };
  const std::string all = "--bsbr.chunk 4 --bsbr.overlap 3 --bsbr.topk all ";
  EXPECT_LT(kl("run/last.h5", all), 1e-11);
  EXPECT_GT(kl("run/last.h5", all + "--bsbr.retrieved_positions edge"), 1e-9);

  // A layer that joins others that were trained as bsbr.
  expect_done(
      convert("run/last.h5", "half.h5",
              "--attention bsbr --layers 0 --bsbr.chunk 4 --bsbr.overlap 3 --bsbr.score_bias on "
              "--bsbr.softmax hierarchical --bsbr.retrieval_heads 1 --bsbr.retrieved_positions edge"));
  EXPECT_LT(kl("half.h5", "--layers 1 --layer.1.topk all"), 1e-11);
}

TEST_F(ConvertCommand, ConvertedModelsTrain) {
  write_text(folder_ / "text.txt", std::string(3000, 'a') + std::string(3000, 'b'));
  ModelOptions model = Gpt2Files::options();
  model.vocab_size = 256;
  Gpt2Files(model).write(folder_ / "gpt2");
  expect_done(convert("gpt2", "model.h5", "--tokenizer bytes --attention bsbr --bsbr.chunk 6"));
  expect_done(
      shell("cd " + folder_.path() +
            " && tapestry prepare --input text.txt --tokenizer bytes --output tokens.h5 && tapestry "
            "train --data.tokens tokens.h5 --train.init model.h5 --train.max_steps 2 --train.batch_size 2 "
            "--train.out run && tapestry eval --checkpoint model.h5 --tokens tokens.h5"));
  // Tuned in part and brought back, what was frozen is still the original's.
  expect_done(shell("cd " + folder_.path() +
                    " && tapestry train --data.tokens tokens.h5 --train.init model.h5 --train.max_steps 2 "
                    "--train.batch_size 2 --optim.freeze 'blocks.*.attention.*' --train.out part"));
  expect_done(convert("part/last.h5", "exported", "--attention standard --to gpt2"));
  auto original = tensors_of(folder_ / "gpt2"), tuned = tensors_of(folder_ / "exported");
  EXPECT_EQ(tuned["transformer.h.1.attn.c_attn.weight"], original["h.1.attn.c_attn.weight"]);
  EXPECT_NE(tuned["transformer.h.1.mlp.c_fc.weight"], original["h.1.mlp.c_fc.weight"]);
}

TEST_F(ConvertCommand, ModelsThatGpt2CannotExpressAreNotExported) {
  expect_done(convert("gpt2", "model.h5", "--attention bsbr --layers 1"));
  const ShellResult result = convert("model.h5", "exported", "--to gpt2");
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.errors, HasSubstr("layer 1 is bsbr"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "exported"));
}

TEST_F(ConvertCommand, AnyModelSurvivesAFolderOfItsOwn) {
  files_.config["custom"] = 7;
  files_.write(folder_ / "gpt2");
  expect_done(convert("gpt2", "model.h5",
                      "--attention bsbr,standard,delta_net --bsbr.read state --bsbr.chunk 6 --layer.0.sink 2 "
                      "--n-ctx 48"));
  expect_done(convert("model.h5", "exported", "--to tapestry"));
  EXPECT_EQ(Json::parse(read_text(folder_ / "exported/config.json"))["model_type"], "tapestry");
  expect_done(convert("exported", "back.h5"));
  const auto model = open_model_source(folder_ / "model.h5"), back = open_model_source(folder_ / "back.h5");
  const LoadedModel a = load_model(*model), b = load_model(*back);
  const auto parameters = a.model->parameters(), again = b.model->parameters();
  ASSERT_EQ(parameters.size(), again.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_EQ(parameters[i].name, again[i].name);
    EXPECT_EQ(parameters[i].parameter.value().values<float>(), again[i].parameter.value().values<float>());
  }
  EXPECT_EQ(a.config.find("layer.0.sink")->text, b.config.find("layer.0.sink")->text);
  EXPECT_EQ(b.config.find("data.seq_len")->text, "48");
  expect_done(convert("back.h5", "exported-again", "--to tapestry"));
  for (const char* name : {"/config.json", "/model.safetensors"})
    EXPECT_EQ(read_text(folder_ / "exported-again" + name), read_text(folder_ / "exported" + name));
  Json older = Json::parse(read_text(folder_ / "exported/config.json"));
  EXPECT_EQ(older["options"]["bsbr"].erase("softmax"), 1u);
  write_text(folder_ / "exported/config.json", older.dump());
  EXPECT_EQ(open_model_source(folder_ / "exported")->config().find("bsbr.softmax")->text, "flat");
  expect_done(convert("exported", "standard", "--attention standard --to gpt2"));
  EXPECT_EQ(Json::parse(read_text(folder_ / "standard/config.json"))["custom"], 7);
}

TEST_F(ConvertCommand, AFolderOfOurOwnIsReadStrictly) {
  expect_done(convert("gpt2", "own", "--to tapestry --tokenizer ''"));
  const Json good = Json::parse(read_text(folder_ / "own/config.json"));
  const auto refusal = [&](const Json& config) {
    write_text(folder_ / "own/config.json", config.dump());
    const ShellResult result = convert("own", "x.h5");
    EXPECT_EQ(result.status, 3);
    return result.errors;
  };
  Json config = good;
  config["options"]["model"]["n_heads"] = 2;
  config["options"]["model"]["dropout"] = 2;
  EXPECT_THAT(refusal(config),
              testing::AllOf(HasSubstr("did you mean model.n_head"), HasSubstr("dropout = 2")));
  config = good;
  config["options"]["model"]["n_layer"] = 4;
  EXPECT_THAT(refusal(config), HasSubstr("has no tensor 'blocks.3."));
  config["options"]["model"]["n_layer"] = 2;
  EXPECT_THAT(refusal(config), HasSubstr("holds the tensor 'blocks.2."));
  config["options"]["model"]["n_layer"] = 3;
  config["options"]["model"]["n_inner"] = 41;
  EXPECT_THAT(refusal(config), HasSubstr("[16, 40], its config.json needs [16, 41]"));
  config["options"]["model"]["n_head"] = 3;
  EXPECT_THAT(refusal(config), HasSubstr("does not divide"));
}

TEST_F(ConvertCommand, RefusesPathsThatCannotBeMeant) {
  EXPECT_EQ(convert("gpt2", "gpt2", "--to gpt2").status, 2);
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_THAT(convert("gpt2", "empty").errors, HasSubstr("did you mean --to gpt2"));
  EXPECT_EQ(convert("empty", "x.h5").status, 3);
  EXPECT_EQ(convert("nothing", "x.h5").status, 7);
  EXPECT_EQ(shell("tapestry convert --from x").status, 2);
}

// Nothing of the model that was there stays: a shard's index or a tokenizer would be read with the new one.
TEST_F(ConvertCommand, AnExportReplacesAModelWhenToldTo) {
  files_.write_shards(folder_ / "exported", 2);
  write_text(folder_ / "exported/added_tokens.json", "{}");
  EXPECT_THAT(convert("gpt2", "exported", "--to gpt2").errors, HasSubstr("--overwrite"));
  expect_done(convert("gpt2", "model.h5", "--attention bsbr"));
  EXPECT_EQ(convert("model.h5", "exported", "--to gpt2 --overwrite").status, 2);
  EXPECT_EQ(tensors_of(folder_ / "exported"), tensors_of(folder_ / "gpt2"));
  for (const std::string to : {"gpt2", "tapestry"}) {
    expect_done(convert("gpt2", "exported", "--overwrite --to " + to));
    EXPECT_TRUE(std::filesystem::exists(folder_ / "exported/model.safetensors"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "exported/model.safetensors.index.json"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "exported/added_tokens.json"));
  }
}

TEST_F(ConvertCommand, AnOutputProjectionOfItsOwnSurvives) {
  ModelOptions model = Gpt2Files::options();
  model.tie_embeddings = false;
  files_ = Gpt2Files(model);
  files_.config["tie_word_embeddings"] = false;
  files_.put_prefix();
  files_.write(folder_ / "untied");
  expect_done(convert("untied", "model.h5", "--attention bsbr"));
  expect_done(convert("model.h5", "exported", "--attention standard --to gpt2"));
  EXPECT_EQ(tensors_of(folder_ / "exported"), tensors_of(folder_ / "untied"));
  EXPECT_EQ(Json::parse(read_text(folder_ / "exported/config.json"))["tie_word_embeddings"], false);
}

TEST_F(ConvertCommand, ATokenizerThatIsNotWantedMayHaveFaults) {
  write_text(folder_ / "gpt2/tokenizer.json", R"({"model": {"type": "Unigram"}})");
  EXPECT_THAT(convert("gpt2", "model.h5").errors, HasSubstr("the model is Unigram"));
  expect_done(convert("gpt2", "model.h5", "--tokenizer ids"));
  EXPECT_EQ(open_model_source(folder_ / "model.h5")->tokenizer()->kind(), "ids");
}

TEST_F(ConvertCommand, ATokenizerJsonIsEnough) {
  ModelOptions model = Gpt2Files::options();
  model.vocab_size = 256;
  Gpt2Files(model).write(folder_ / "gpt2");
  const BpeVocabulary bytes = byte_vocabulary();
  const BpeTokenizer tokenizer(format_vocab_json(bytes), format_merges(bytes), "bytes");
  write_text(folder_ / "gpt2/tokenizer.json", tokenizer_json_of(tokenizer));
  expect_done(convert("gpt2", "model.h5"));
  expect_done(convert("model.h5", "exported", "--to gpt2"));
  for (const char* file : {"vocab.json", "merges.txt"})
    EXPECT_EQ(read_text(folder_ / "exported/" + file), tokenizer.files().at(file));
  EXPECT_EQ(Json::parse(read_text(folder_ / "exported/tokenizer.json")),
            Json::parse(tokenizer_json_of(tokenizer)));
}

TEST_F(ConvertCommand, AModelWithoutATokenizerTakesNoText) {
  expect_done(convert("gpt2", "model.h5"));
  const ShellResult result = shell("tapestry generate --checkpoint " + (folder_ / "model.h5"));
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.errors, HasSubstr("came without a tokenizer"));
}

}  // namespace
}  // namespace tapestry::test
