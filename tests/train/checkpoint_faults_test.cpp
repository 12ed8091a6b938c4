#include "train/checkpoint_faults.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <limits>
#include <optional>

#include "layers/attention/bsbr_options.h"
#include "tests/support/expect_error.h"
#include "tests/support/forged_file.h"
#include "tests/support/tiny_checkpoint.h"

namespace tapestry::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CheckpointFaults : public testing::Test {
 protected:
  void SetUp() override { TinyCheckpoint().save(folder_ / "good.h5", 3); }

  std::vector<std::string> faults_of(const std::string& path) {
    FaultList faults;
    find_checkpoint_faults(path, faults);
    return faults.lines();
  }

  /// A copy of the good file with the change.
  std::string forged(const std::function<void(hid_t)>& change, const std::string& kind = "checkpoint") {
    const std::string path = folder_ / "forged.h5";
    std::filesystem::copy_file(folder_ / "good.h5", path, std::filesystem::copy_options::overwrite_existing);
    forge(path, change, kind);
    return path;
  }

  TemporaryFolder folder_;
};

TEST_F(CheckpointFaults, AGoodFileHasNone) {
  EXPECT_THAT(faults_of(folder_ / "good.h5"), IsEmpty());
  EXPECT_THAT(faults_of(forged([](hid_t) {})), IsEmpty());
}

TEST_F(CheckpointFaults, WeightsOnlyIsAWholeFileThatCannotBeResumed) {
  TinyCheckpoint(8, false).save(folder_ / "weights.h5", 3);
  EXPECT_THAT(faults_of(folder_ / "weights.h5"), IsEmpty());
  const Checkpoint weights(folder_ / "weights.h5");
  const auto model = make_unset_model(weights);
  const auto optimizer = make_optimizer(weights.config().get(optim_options()), model->parameters());
  expect_error(Exit::checkpoint, "train.init", [&] { weights.load_optimizer(*optimizer); });
}

TEST_F(CheckpointFaults, AModelKeepsTheMeaningItHadBeforeAnOptionWasThere) {
  const auto softmax = [](const Config& config) { return config.get(bsbr_options()).softmax; };
  EXPECT_EQ(softmax(Checkpoint(folder_ / "good.h5").config()), "flat");  // its config does not have the key
  EXPECT_EQ(softmax(Config()), "auto");
  TinyCheckpoint(8, false, "[bsbr]\nsoftmax = auto\n").save(folder_ / "newer.h5", 3);
  EXPECT_EQ(softmax(Checkpoint(folder_ / "newer.h5").config()), "auto");
}

/// One fault, which the check names and loading refuses, with exit 7.
struct Forgery {
  std::string name;
  std::string message;
  std::function<void(hid_t)> change;
  std::string kind = "checkpoint";
  bool stops_loading = true;
};

std::vector<Forgery> forgeries() {
  const std::string w = "model/embedding.weight";
  return {
      {"Missing", "/model/embedding.weight is missing", [=](hid_t f) { remove_link(f, w); }},
      {"Extra", "/model/more belongs to no part",
       [](hid_t f) { replace_dataset(f, "model/more", H5T_IEEE_F32LE, {3}); }},
      {"Float64", "element type float64, expected float32",
       [=](hid_t f) {
         replace_dataset(f, w, H5T_IEEE_F64LE, {256, 8});
       }},
      {"Int32", "element type int32",
       [=](hid_t f) {
         replace_dataset(f, w, H5T_STD_I32LE, {256, 8});
       }},
      {"BigEndian", "element type other",
       [=](hid_t f) {
         replace_dataset(f, w, H5T_IEEE_F32BE, {256, 8});
       }},
      {"OffByOne", "shape [257, 8]",
       [=](hid_t f) {
         replace_dataset(f, w, H5T_IEEE_F32LE, {257, 8});
       }},
      {"Transposed", "shape [8, 256]",
       [=](hid_t f) {
         replace_dataset(f, w, H5T_IEEE_F32LE, {8, 256});
       }},
      {"Flat", "shape [2048]", [=](hid_t f) { replace_dataset(f, w, H5T_IEEE_F32LE, {2048}); }},
      {"Empty", "shape [0, 8]",
       [=](hid_t f) {
         replace_dataset(f, w, H5T_IEEE_F32LE, {0, 8});
       }},
      {"Scalar", "shape []", [=](hid_t f) { replace_dataset(f, w, H5T_IEEE_F32LE, {}); }},
      {"Config", "'config'", [](hid_t f) { replace_dataset(f, "config", H5T_IEEE_F32LE, {2}); }},
      {"StateMissing", "'step'", [](hid_t f) { remove_attribute(f, "state", "step"); }},
      {"TokenizerMissing", "tokenizer", [](hid_t f) { remove_link(f, "tokenizer/files"); }},
      {"Identity", "tokenizer", [](hid_t f) { remove_attribute(f, "tokenizer", "identity"); }},
      {"HistoryLength", "/history/train_loss has 1 rows",
       [](hid_t f) { replace_dataset(f, "history/train_loss", H5T_IEEE_F64LE, {1}); }},
      {"NewerVersion", "format version 2", [](hid_t f) { set_attribute(f, "/", "format_version", 2); }},
      {"OtherKind", "is a token file", [](hid_t) {}, "token file"},
      {"UnknownPart", "/more belongs to no part",
       [](hid_t f) { replace_dataset(f, "more", H5T_IEEE_F32LE, {3}); }, "checkpoint", false},
      {"OptimizerSteps", "has made 9 updates in 3 steps",
       [](hid_t f) { set_attribute(f, "optimizer", "steps", 9); }, "checkpoint", false},
      {"Moment", "/optimizer/v/embedding.weight is missing",
       [](hid_t f) { remove_link(f, "optimizer/v/embedding.weight"); }, "checkpoint", false},
      {"MomentShape", "shape [3]",
       [](hid_t f) { replace_dataset(f, "optimizer/v/embedding.weight", H5T_IEEE_F32LE, {3}); }, "checkpoint",
       false},
  };
}

TEST_F(CheckpointFaults, EachIsNamedAndStopsLoading) {
  for (const Forgery& forgery : forgeries()) {
    SCOPED_TRACE(forgery.name);
    const std::string path = forged(forgery.change, forgery.kind);
    EXPECT_THAT(faults_of(path), ElementsAre(HasSubstr(forgery.message)));
    if (forgery.stops_loading) expect_error(Exit::checkpoint, "forged.h5", [&] { load_model(path); });
  }
}

TEST_F(CheckpointFaults, RenamedIsOneMissingAndOneExtra) {
  const std::string path = forged([](hid_t file) {
    H5Lmove(file, "model/embedding.weight", file, "model/embeddings.weight", H5P_DEFAULT, H5P_DEFAULT);
  });
  EXPECT_THAT(faults_of(path), ElementsAre(HasSubstr("embeddings.weight belongs to no part"),
                                           HasSubstr("embedding.weight is missing")));
}

TEST_F(CheckpointFaults, NumbersThatAreNotFiniteAreFound) {
  for (const char* name : {"model/final_norm.bias", "optimizer/m/final_norm.bias"}) {
    const std::string path = forged([&](hid_t file) {
      const hid_t data = H5Dopen2(file, name, H5P_DEFAULT);
      std::vector<float> values(8, 1.f);
      values[5] = std::numeric_limits<float>::infinity();
      H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
      H5Dclose(data);
    });
    EXPECT_THAT(faults_of(path), ElementsAre(HasSubstr(join("element 5 of /", name, " is inf"))));
  }
}

}  // namespace
}  // namespace tapestry::test
