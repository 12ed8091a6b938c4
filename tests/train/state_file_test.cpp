#include "train/state_file.h"

#include <gtest/gtest.h>

#include "autograd/random.h"
#include "layers/attention/attention.h"
#include "tests/support/expect_error.h"
#include "tests/support/forged_file.h"
#include "tests/support/temporary_folder.h"

namespace tapestry::test {
namespace {

const std::string kSha(64, 'a');

/// A model with a layer of each attention, in chunks and windows of 8.
std::unique_ptr<LanguageModel> model() {
  ModelOptions options{.n_layer = 0, .n_head = 2, .n_embd = 12, .vocab_size = 19};
  options.attention.clear();
  Config config;
  for (const AttentionKind& kind : attention_kinds()) {
    options.attention.push_back(kind.name);
    for (const char* size : {"chunk", "window"})
      if (kind.section->find(size)) config.set(kind.name + "." + size, "8", "test");
  }
  options.n_layer = static_cast<int64_t>(options.attention.size());
  return std::make_unique<LanguageModel>(options, config, ModuleContext{.seed = 5});
}

Tensor tokens(int64_t first, int64_t count) {
  std::vector<int32_t> ids;
  for (int64_t i = first; i < first + count; ++i) ids.push_back(static_cast<int32_t>(random_bits(3, i) % 19));
  return Tensor::from(ids, {1, count});
}

std::vector<float> go_on(const LanguageModel& model, DecodingState& state, int64_t count) {
  DecodingState* const states[] = {&state};
  return model.extend(tokens(state.position(), count), states).values<float>();
}

class StateFileTest : public testing::Test {
 protected:
  /// A file of a text of 21 tokens.
  void save() {
    go_on(*model_, text_.state, 21);
    save_state(path_, kSha, text_);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "state.h5";
  std::unique_ptr<LanguageModel> model_ = model();
  ReadText text_{model_->begin_decoding(), {7, 3}};
};

TEST_F(StateFileTest, ATextGoesOnFromItsFileAsWithoutTheBreak) {
  save();
  ReadText loaded = load_state(path_, kSha, *model_);
  EXPECT_EQ(loaded.state.position(), 21);
  EXPECT_EQ(loaded.pending, (std::vector<int32_t>{7, 3}));
  EXPECT_EQ(loaded.state.used_bytes(), text_.state.used_bytes());
  EXPECT_EQ(go_on(*model_, loaded.state, 30), go_on(*model_, text_.state, 30));
  FaultList faults;
  find_state_file_faults(path_, faults);
  EXPECT_EQ(faults.lines(), std::vector<std::string>{});
}

TEST_F(StateFileTest, AnotherCheckpointOrModelIsRefused) {
  save();
  expect_error(Exit::input, "another checkpoint", [&] { load_state(path_, std::string(64, 'b'), *model_); });
  ModelOptions wider = model_->options();
  wider.n_embd = 24;
  const LanguageModel other(wider);
  expect_error(Exit::input, "has shape", [&] { load_state(path_, kSha, other); });
}

TEST_F(StateFileTest, DamageIsFound) {
  save();
  std::string bytes = read_text(path_);
  bytes[bytes.size() / 2] ^= 1;
  write_text(path_, bytes);
  expect_error(Exit::input, "damaged", [&] { load_state(path_, kSha, *model_); });
  FaultList faults;
  find_state_file_faults(path_, faults);
  EXPECT_EQ(faults.lines().size(), 1u);
}

TEST_F(StateFileTest, AForgedFileWithTheRightHashIsFound) {
  save();
  forge(
      path_, [](hid_t file) { remove_link(file, "layers/2/state"); }, "decoding state");
  expect_error(Exit::input, "layers/2/state", [&] { load_state(path_, kSha, *model_); });
  text_.pending = {19};
  save_state(path_, kSha, text_);
  expect_error(Exit::input, "token 19", [&] { load_state(path_, kSha, *model_); });
}

TEST_F(StateFileTest, NumbersThatAreNotFiniteAreFound) {
  save();
  text_.state.layers()[2]["state"].data().fill(NAN);
  save_state(path_, kSha, text_);
  FaultList faults;
  find_state_file_faults(path_, faults);
  ASSERT_EQ(faults.lines().size(), 1u);
  EXPECT_NE(faults.lines()[0].find("layers/2/state"), std::string::npos) << faults.lines()[0];
}

}  // namespace
}  // namespace tapestry::test
