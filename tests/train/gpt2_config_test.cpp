#include "train/gpt2_config.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/error_text.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

Json gpt2_small() {
  return {{"model_type", "gpt2"}, {"vocab_size", 50257}, {"n_positions", 1024},
          {"n_embd", 768},        {"n_layer", 12},       {"n_head", 12}};
}

ModelOptions parse(const Json& json) { return parse_gpt2_config(json.dump(), "config.json"); }
ModelOptions parse_with(const std::string& key, const Json& value) {
  Json json = gpt2_small();
  json[key] = value;
  return parse(json);
}
std::string refusal(const Json& json) {
  return error_text(Exit::input, [&] { parse(json); });
}
std::string refusal_of(const std::string& key, const Json& value) {
  return error_text(Exit::input, [&] { parse_with(key, value); });
}

TEST(Gpt2Config, ReadsTheKeysAndTheirDefaults) {
  const ModelOptions model = parse(gpt2_small());
  EXPECT_EQ(model.attention, std::vector<std::string>{"standard"});
  EXPECT_EQ(model.vocab_size, 50257);
  EXPECT_EQ(model.n_ctx, 1024);
  EXPECT_EQ(model.n_embd, 768);
  EXPECT_EQ(model.n_layer, 12);
  EXPECT_EQ(model.n_head, 12);
  EXPECT_EQ(model.inner(), 3072);
  EXPECT_EQ(model.positions, "learned");
  EXPECT_EQ(model.activation, "gelu");
  EXPECT_EQ(model.norm_eps, 1e-5);
  EXPECT_TRUE(model.bias);
  EXPECT_TRUE(model.tie_embeddings);
  EXPECT_EQ(parse_with("n_inner", nullptr).inner(), 3072);
  EXPECT_EQ(parse_with("n_inner", 100).inner(), 100);
  EXPECT_EQ(parse_with("layer_norm_epsilon", 1e-6).norm_eps, 1e-6);
  EXPECT_EQ(parse_with("activation_function", "gelu").activation, "gelu_exact");
  EXPECT_EQ(parse_with("activation_function", "gelu_pytorch_tanh").activation, "gelu");
  EXPECT_FALSE(parse_with("tie_word_embeddings", false).tie_embeddings);
}

TEST(Gpt2Config, KnowsTheAliases) {
  Json json = gpt2_small();
  for (const auto& [name, alias] :
       std::map<std::string, std::string>{{"n_embd", "hidden_size"},
                                          {"n_layer", "num_hidden_layers"},
                                          {"n_head", "num_attention_heads"},
                                          {"n_positions", "max_position_embeddings"}}) {
    json[alias] = json[name];
    EXPECT_EQ(refusal(json), "no error") << alias;
    json.erase(name);
  }
  EXPECT_EQ(parse(json).n_embd, 768);
  EXPECT_EQ(parse(json).n_ctx, 1024);
  EXPECT_THAT(refusal_of("hidden_size", 512), HasSubstr("n_embd = 768 and hidden_size = 512 contradict"));
}

TEST(Gpt2Config, RefusesWhatIsNotImplementedByName) {
  for (const auto& [key, value] : std::map<std::string, Json>{{"scale_attn_by_inverse_layer_idx", true},
                                                              {"reorder_and_upcast_attn", true},
                                                              {"scale_attn_weights", false},
                                                              {"add_cross_attention", true},
                                                              {"quantization_config", {{"bits", 4}}},
                                                              {"activation_function", "relu"},
                                                              {"activation_function", 3},
                                                              {"model_type", "gpt_neox"}}) {
    EXPECT_THAT(refusal_of(key, value), HasSubstr("config.json: " + key)) << value;
    EXPECT_THAT(refusal_of(key, value), HasSubstr("implemented")) << value;
  }
}

TEST(Gpt2Config, RefusesValuesThatAreNoneOrDoNotFit) {
  for (const char* key : {"vocab_size", "n_positions", "n_embd", "n_layer", "n_head"}) {
    for (const Json& value : {Json(0), Json(-1), Json(1.5), Json("12"), Json(true), Json(1ll << 40)})
      EXPECT_THAT(refusal_of(key, value), HasSubstr(std::string(key) + " = " + value.dump())) << value;
    Json missing = gpt2_small();
    missing.erase(key);
    EXPECT_THAT(refusal(missing), HasSubstr(std::string(key) + " is missing"));
  }
  EXPECT_THAT(refusal_of("n_head", 5), HasSubstr("n_head = 5 does not divide n_embd = 768"));
  EXPECT_THAT(refusal_of("n_layer", 1001), HasSubstr("at most 1000"));
  EXPECT_THAT(refusal_of("layer_norm_epsilon", 0), HasSubstr("layer_norm_epsilon = 0"));
  EXPECT_THAT(refusal_of("resid_pdrop", "0.1"), HasSubstr("resid_pdrop"));
  EXPECT_THAT(refusal_of("tie_word_embeddings", 1), HasSubstr("tie_word_embeddings = 1"));
  EXPECT_THAT(refusal(Json::array()), HasSubstr("expected an object"));
  const auto of_text = [](const std::string& text) {
    return error_text(Exit::input, [&] { parse_gpt2_config(text, "config.json"); });
  };
  EXPECT_THAT(of_text("{\"n_embd\": 8, \"n_embd\": 16}"), HasSubstr("'n_embd' is there twice"));
  EXPECT_THAT(of_text(std::string(100'000, '[')), HasSubstr("nested deeper"));
}

TEST(Gpt2Config, ListsEverythingThatIsWrong) {
  Json json = gpt2_small();
  json["n_embd"] = "wide";
  json["reorder_and_upcast_attn"] = true;
  EXPECT_THAT(refusal(json), HasSubstr("2 problems"));
}

TEST(Gpt2Config, WritesWhatItReadsBack) {
  ModelOptions model = parse(gpt2_small());
  model.n_inner = 1536;  // the default of another width
  model.activation = "gelu_exact";
  model.norm_eps = 1e-6;
  model.tie_embeddings = false;
  const std::string text = format_gpt2_config(model, "", 50256);
  const ModelOptions again = parse_gpt2_config(text, "config.json");
  for (const Option& option : model_options().options)
    EXPECT_EQ(option.get(&again), option.get(&model)) << option.name;
  EXPECT_EQ(Json::parse(text)["eos_token_id"], 50256);
}

TEST(Gpt2Config, KeepsTheOriginalsOtherKeysAndNames) {
  Json json = gpt2_small();
  json["task_specific_params"] = {{"text-generation", {{"max_length", 50}}}};
  json["activation_function"] = "gelu_pytorch_tanh";
  json["n_inner"] = nullptr;
  json["n_ctx"] = 1024;
  json["hidden_size"] = 768;
  json.erase("n_embd");
  EXPECT_EQ(Json::parse(format_gpt2_config(parse(json), json.dump(), 7)), json);
  ModelOptions longer = parse(json);
  longer.n_ctx = 4096;
  const Json written = Json::parse(format_gpt2_config(longer, json.dump(), 7));
  EXPECT_EQ(written["n_positions"], 4096);
  EXPECT_EQ(written["n_ctx"], 4096);
  EXPECT_FALSE(written.contains("n_embd"));
}

}  // namespace
}  // namespace tapestry::test
