#include <sstream>

#include "base/known_options.h"
#include "layers/model_options.h"
#include "tests/fuzz/property.h"
#include "train/model_config.h"
#include "train/train_options.h"

using namespace tapestry;
using namespace tapestry::fuzz;

namespace {

/// Words of a command line, one a line, if the text begins with "--"; else the INI text of a file.
Config read(const std::string& text, const std::vector<const OptionSection*>& sections) {
  Config config;
  if (!text.starts_with("--")) {
    read_config_text(text, "a file", sections, config);
    return config;
  }
  std::istringstream lines(text);
  std::vector<std::string> words;
  for (std::string line; std::getline(lines, line);) words.push_back(line);
  read_command_line(words, sections, config);
  return config;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto sections = [] {
    auto all = run_sections();
    all.push_back(&train_command_options());
    return all;
  }();
  const std::string text(text_of(data, size));
  const auto config = accepted({Exit::usage}, [&] { return read(text, sections); });
  if (!config) return 0;
  Config again;
  read_config_text(format_config(*config, sections), "what was written", sections, again);
  for (const auto& [key, value] : config->values()) {
    const Config::Value* written = again.find(key);
    hold(written && written->text == value.text, "what is written reads back");
  }
  accepted({Exit::usage}, [&] {
    const ModelOptions model = config->get(model_options());
    check_model_options(model);
    return model;
  });
  return 0;
}
