#pragma once

#include <string>
#include <vector>

#include "base/options.h"

namespace tapestry {

struct BlockOptions {
  int64_t chunk = 64;
  double dropout = 0.1;
  bool overlap = false;
  std::string read = "both";
};

inline const OptionTable<BlockOptions>& block_options() {
  static const auto table =
      OptionTable<BlockOptions>("block", "Blocks")
          .add("chunk", &BlockOptions::chunk, "tokens a chunk", at_least(1))
          .add("dropout", &BlockOptions::dropout, "share of dropped weights", half_open(0, 1))
          .add("overlap", &BlockOptions::overlap, "read the previous chunk too")
          .add("read", &BlockOptions::read, "what is read", one_of({"state", "tokens", "both"}))
          .per_layer();
  return table;
}

struct NetOptions {
  std::vector<std::string> attention = {"block"};
  int64_t width = 256;
};

inline const OptionTable<NetOptions>& net_options() {
  static const auto table =
      OptionTable<NetOptions>("net", "The network")
          .add("attention", &NetOptions::attention, "one, or a list by layer", one_of({"block", "plain"}))
          .add("width", &NetOptions::width, "width of the hidden states", between(1, 4096))
          .per_layer("attention");
  return table;
}

struct FileOptions {
  std::vector<std::string> input;
  std::string output = "out.h5";
};

inline const OptionTable<FileOptions>& file_options() {
  static const auto table = OptionTable<FileOptions>("", "Files")
                                .add("input", &FileOptions::input, "files to read")
                                .add("output", &FileOptions::output, "file to write");
  return table;
}

struct NoteOptions {
  std::string note;
};

/// Shares the section without a name with file_options().
inline const OptionTable<NoteOptions>& note_options() {
  static const auto table = OptionTable<NoteOptions>("", "Note").add("note", &NoteOptions::note, "any text");
  return table;
}

inline std::vector<const OptionSection*> example_sections() {
  return {&file_options(), &block_options(), &net_options(), &note_options()};
}

/// The message of the Error(usage) that `run` throws; empty if it throws none.
template <class Run>
std::string usage_error(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.exit() == Exit::usage ? error.what() : join("exit ", static_cast<int>(error.exit()));
  }
  return "";
}

}  // namespace tapestry
