#include "data/token_file_faults.h"
#include "tests/fuzz/forge_by_bytes.h"
#include "tests/fuzz/property.h"
#include "tests/support/byte_token_file.h"

using namespace tapestry;
using namespace tapestry::fuzz;

namespace {

const std::vector<Target> kTargets = {{"train", {"bytes", "words"}},
                                      {"train/tokens"},
                                      {"train/documents"},
                                      {"valid/tokens"},
                                      {"valid/documents"},
                                      {"/", {"format_version"}, {"format"}},
                                      {"tokenizer", {"vocab_size"}, {"kind", "identity"}},
                                      {"tokenizer/files"}};

/// Reads every token, as training would.
bool read_all(const TokenFile& file) {
  for (const Split split : {Split::train, Split::valid}) {
    std::vector<int32_t> tokens(static_cast<size_t>(file.tokens(split)->size()));
    file.tokens(split)->read(0, file.tokens(split)->size(), tokens.data());
    for (const int32_t id : tokens) hold(id >= 0 && id < file.vocab_size(), "ids are in the vocabulary");
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TemporaryFolder folder;
  static const std::string path = folder / "tokens.h5";
  static const std::string good = [] {
    test::write_byte_token_file(path, "some text to read and to check", 0.3);
    return read_text(path);
  }();
  const bool spoilt = forge_by_bytes(good, path, "token file", kTargets, data, size);
  FaultList faults;
  find_token_file_faults(path, faults);
  hold(!spoilt || !faults.lines().empty(), "changed bytes are found");
  const auto read = accepted({Exit::input}, [&] { return read_all(TokenFile(path)); });
  hold(read || !faults.lines().empty(), "a token file without faults can be read");
  return 0;
}
