#include "tests/fuzz/forge_by_bytes.h"
#include "tests/fuzz/property.h"
#include "tests/support/tiny_checkpoint.h"
#include "train/checkpoint_faults.h"

using namespace tapestry;
using namespace tapestry::fuzz;

namespace {

const std::vector<Target> kTargets = {{"state",
                                       {"step", "tokens", "best_loss", "best_step", "grad_norm", "unfinished",
                                        "since_log_nll", "since_log_tokens", "seconds"},
                                       {"tokens_sha256"}},
                                      {"/", {"format_version"}, {"format"}},
                                      {"tokenizer", {"vocab_size"}, {"kind", "identity"}},
                                      {"optimizer", {"steps"}},
                                      {"config"},
                                      {"history/step"},
                                      {"history/tokens"},
                                      {"history/train_loss"},
                                      {"model"},
                                      {"model/embedding.weight"},
                                      {"model/final_norm.weight"},
                                      {"optimizer/m/embedding.weight"},
                                      {"optimizer/v"},
                                      {"tokenizer/files"}};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TemporaryFolder folder;
  static const std::string path = folder / "checkpoint.h5";
  static const std::string good = [] {
    // Every dataset costs time: those that are there are of each kind, and few.
    test::TinyCheckpoint(2, true, "bias = false\npositions = none\n").save(path, 3);
    return read_text(path);
  }();
  const bool spoilt = forge_by_bytes(good, path, "checkpoint", kTargets, data, size);
  FaultList faults;
  find_checkpoint_faults(path, faults);
  hold(!spoilt || !faults.lines().empty(), "changed bytes are found");
  const auto loaded = accepted({Exit::checkpoint}, [&] { return load_model(path); });
  hold(loaded || !faults.lines().empty(), "a checkpoint without faults loads");
  hold(!loaded || loaded->model->parameter_count() > 0, "a model has parameters");
  return 0;
}
