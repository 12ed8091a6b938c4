#include "data/corpus.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>
#include <tuple>

#include "base/folder.h"
#include "base/signals.h"
#include "data/input_file.h"
#include "data/piece_reader.h"
#include "data/sha256.h"
#include "data/utf8.h"

namespace tapestry {
namespace fs = std::filesystem;
namespace {

using Identity = std::pair<dev_t, ino_t>;

std::optional<Identity> identity_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return Identity{status.st_dev, status.st_ino};
}

bool looks_binary(const InputFile& file) {
  std::string start(8192, '\0');
  start.resize(file.read_at(0, start.data(), start.size()));
  return start.find('\0') != std::string::npos;
}

bool is_utf8(const InputFile& file) {
  PieceReader reader(file, 0, file.size());
  while (reader.next()) {
    throw_if_stop_requested();
    const Utf8Prefix prefix = valid_utf8(reader.piece());
    const bool good = prefix.valid == reader.piece().size() || (prefix.incomplete && !reader.last());
    if (!good) return false;
    reader.consume(prefix.valid);
  }
  return true;
}

class CorpusFinder {
 public:
  CorpusFinder(const std::string& output, bool utf8) : output_(identity_of(output)), utf8_(utf8) {}

  void add_input(const std::string& path) {
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
      const size_t first = corpus_.files.size();
      add_folder(path, "");
      std::sort(corpus_.files.begin() + static_cast<std::ptrdiff_t>(first), corpus_.files.end(),
                [](const CorpusFile& a, const CorpusFile& b) { return a.label < b.label; });
      return;
    }
    const InputFile file(path);
    check(identity_of(path) != output_, Exit::usage, "'", path, "' is both input and output");
    if (const std::string reason = file.size() == 0 ? "empty" : seen_before(path); !reason.empty())
      skip(path, reason);
    else
      take(path, path, file.size());
  }

  Corpus finish() && {
    std::sort(corpus_.skipped.begin(), corpus_.skipped.end(), [](const auto& a, const auto& b) {
      return std::tie(a.reason, a.path) < std::tie(b.reason, b.path);
    });
    return std::move(corpus_);
  }

 private:
  void add_folder(const std::string& folder, const std::string& label) {
    std::error_code error, vanished;
    for (const std::string& name : names_in_folder(folder, error)) {
      throw_if_stop_requested();
      const std::string path = (fs::path(folder) / name).string();
      const fs::file_status status = fs::symlink_status(path, vanished);
      if (name.starts_with("."))
        skip(path, "hidden");
      else if (fs::is_directory(status))
        add_folder(path, label + name + "/");
      else if (const std::string reason = reason_to_skip(path, status); !reason.empty())
        skip(path, reason);
      else
        take(path, label + name, static_cast<int64_t>(fs::file_size(path)));
    }
    if (error) skip(folder, "unreadable");
  }

  // Empty for a text file.
  std::string reason_to_skip(const std::string& path, const fs::file_status& status) {
    if (fs::is_symlink(status)) return "a link";
    if (!fs::is_regular_file(status)) return "not a regular file";
    if (identity_of(path) == output_) return "the output";
    try {
      const InputFile file(path);
      if (file.size() == 0) return "empty";
      if (looks_binary(file)) return "binary";
      if (utf8_ && !is_utf8(file)) return "not UTF-8";
    } catch (const Error& error) {
      if (error.exit() == Exit::stopped) throw;
      return "unreadable";
    }
    return seen_before(path);
  }

  std::string seen_before(const std::string& path) {
    const auto identity = identity_of(path);
    return identity && seen_.insert(*identity).second ? "" : "given twice";
  }

  void skip(const std::string& path, const std::string& reason) { corpus_.skipped.push_back({path, reason}); }

  void take(const std::string& path, const std::string& label, int64_t bytes) {
    corpus_.files.push_back({path, label, bytes});
    corpus_.bytes += bytes;
  }

  std::optional<Identity> output_;
  bool utf8_;
  std::set<Identity> seen_;
  Corpus corpus_;
};

std::vector<CorpusPart> cut_each(const Corpus& corpus, double valid_fraction) {
  std::vector<CorpusPart> parts;
  for (size_t i = 0; i < corpus.files.size(); ++i) {
    const int64_t bytes = corpus.files[i].bytes;
    const auto cut = static_cast<int64_t>((1.0 - valid_fraction) * static_cast<double>(bytes));
    if (cut > 0) parts.push_back({i, 0, cut, Split::train});
    if (cut < bytes) parts.push_back({i, cut, bytes, Split::valid});
  }
  return parts;
}

// Goes through the documents in the order of their hashes and takes each that brings the validation bytes
// nearer to what is wanted.
std::vector<CorpusPart> distribute(const Corpus& corpus, double valid_fraction, int64_t seed) {
  std::vector<std::pair<std::string, size_t>> order;
  for (size_t i = 0; i < corpus.files.size(); ++i)
    order.emplace_back(Sha256().update(join(seed, " ", corpus.files[i].label)).hex(), i);
  std::sort(order.begin(), order.end());
  const double wanted = valid_fraction * static_cast<double>(corpus.bytes);
  std::vector<Split> splits(order.size(), Split::train);
  double taken = 0;
  for (const auto& [hash, i] : order) {
    const auto bytes = static_cast<double>(corpus.files[i].bytes);
    if (std::abs(taken + bytes - wanted) >= std::abs(taken - wanted)) continue;
    splits[i] = Split::valid;
    taken += bytes;
  }
  const auto in_order = [&](Split split) { return std::find(splits.begin(), splits.end(), split); };
  const auto smallest = [&] {
    return std::min_element(order.begin(), order.end(),
                            [&](const auto& a, const auto& b) {
                              return corpus.files[a.second].bytes < corpus.files[b.second].bytes;
                            })
        ->second;
  };
  if (in_order(Split::valid) == splits.end()) splits[smallest()] = Split::valid;
  if (in_order(Split::train) == splits.end()) splits[smallest()] = Split::train;
  std::vector<CorpusPart> parts;
  for (size_t i = 0; i < splits.size(); ++i) parts.push_back({i, 0, corpus.files[i].bytes, splits[i]});
  return parts;
}

}  // namespace

Corpus find_corpus(const std::vector<std::string>& inputs, const std::string& output, bool utf8) {
  CorpusFinder finder(output, utf8);
  for (const std::string& path : inputs) finder.add_input(path);
  Corpus corpus = std::move(finder).finish();
  const size_t skipped = corpus.skipped.size();
  check(corpus.bytes > 0, Exit::input, "there is no text in the input",
        skipped ? join(" (", skipped, " skipped, '", corpus.skipped[0].path, "' because it is ",
                       corpus.skipped[0].reason, ")")
                : "");
  return corpus;
}

std::vector<CorpusPart> split_corpus(const Corpus& corpus, double valid_fraction, int64_t seed) {
  const bool cut = corpus.files.size() < kFewDocuments || valid_fraction == 0;
  return cut ? cut_each(corpus, valid_fraction) : distribute(corpus, valid_fraction, seed);
}

}  // namespace tapestry
