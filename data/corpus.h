#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/token_file.h"

namespace tapestry {

/// One file, one document.
struct CorpusFile {
  std::string path;
  std::string label;  // the path below the folder that was given, or the path as given
  int64_t bytes = 0;
};

struct SkippedFile {
  std::string path, reason;
};

struct Corpus {
  std::vector<CorpusFile> files;
  std::vector<SkippedFile> skipped;
  int64_t bytes = 0;
};

/// The documents in `inputs`, files and folders (with all below, in the order of their paths). In folders,
/// whatever is hidden, a link, no regular file, empty, unreadable, binary (a zero byte at the start) or, if
/// `utf8`, not UTF-8 is skipped, as is `output` and a file met before. A file given by name is taken as it
/// is; one that cannot be is an Error, as is a corpus without any text (Exit::input).
Corpus find_corpus(const std::vector<std::string>& inputs, const std::string& output, bool utf8);

/// Bytes [begin, end) of a file of the corpus that go to a split.
struct CorpusPart {
  size_t file = 0;
  int64_t begin = 0, end = 0;
  Split split = Split::train;
};

/// Fewer documents than this are cut, each with its first part for training.
inline constexpr size_t kFewDocuments = 20;

/// Cuts or distributes the documents so that about `valid_fraction` of the bytes are for validation. Few
/// documents: the first int((1 - valid_fraction) * bytes) bytes of each are for training. Many: whole
/// documents, chosen by a hash of (seed, label), at least one on either side.
std::vector<CorpusPart> split_corpus(const Corpus& corpus, double valid_fraction, int64_t seed);

}  // namespace tapestry
