#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/token_source.h"
#include "data/tokenizer.h"
#include "data/verified_file.h"

namespace tapestry {

enum class Split { train, valid };
std::string split_name(Split split);

/// Size of the text that a split was made from.
struct TextCounts {
  int64_t bytes = 0;
  int64_t words = 0;  // parts between ASCII whitespace
};

extern const FileKind kTokenFile;

/// Writes a token file, streaming: memory stays bounded for any number of tokens. For each split
/// `/<split>/tokens` (uint16 for vocabularies of up to 65,536, else uint32), `/<split>/documents` (int64, the
/// first token of each document) and attributes `bytes` and `words`; `/tokenizer` holds kind, identity,
/// vocab_size and files. Equal calls give equal bytes.
class TokenFileWriter {
 public:
  /// `expected_tokens` need not be exact; it decides whether the file is built in memory, and in
  /// chunks of what length.
  TokenFileWriter(const std::string& path, const Tokenizer& tokenizer, int64_t expected_tokens,
                  FileCalls calls = FileCalls::system());
  ~TokenFileWriter();

  /// Tokens that follow belong to a new document. Between documents of a split stands the vocabulary's
  /// end-of-text token, if it has one, as the last of the earlier document.
  void start_document(Split split);
  /// Ids outside the vocabulary are an Error(usage).
  void append(Split split, std::span<const int32_t> tokens);
  void add_text(Split split, const TextCounts& counts);

  int64_t size(Split split) const;
  int64_t documents(Split split) const;
  const TextCounts& text(Split split) const;

  /// Returns the SHA-256 of the content.
  std::string commit();

 private:
  struct SplitWriter;
  SplitWriter& writer(Split split) const { return *splits_[static_cast<size_t>(split)]; }

  VerifiedWriter file_;
  int64_t vocab_size_;
  std::optional<int32_t> end_of_text_;
  std::array<std::unique_ptr<SplitWriter>, 2> splits_;
};

/// A token file, open for reading. Bad content is an Error(Exit::input). Cheap to copy.
class TokenFile {
 public:
  /// Checks the SHA-256 of the whole file, about a second for 1.5 GB.
  explicit TokenFile(const std::string& path);

  const std::string& path() const { return path_; }
  /// SHA-256 of the content, which names exactly this data.
  const std::string& sha256() const { return sha256_; }
  /// Reading checks that the ids are in the vocabulary.
  std::shared_ptr<const TokenSource> tokens(Split split) const { return splits_[static_cast<size_t>(split)]; }
  /// The first token of each document.
  std::vector<int64_t> documents(Split split) const;
  TextCounts text(Split split) const;

  int64_t vocab_size() const { return vocab_size_; }
  std::unique_ptr<Tokenizer> tokenizer() const;

  /// Reads all tokens of a split once.
  void check_tokens(Split split) const;

 private:
  TokenFile(const std::string& path, VerifiedFile file);

  std::string path_, sha256_;
  int64_t vocab_size_ = 0;
  std::shared_ptr<const Hdf5File> file_;
  std::array<std::shared_ptr<const TokenSource>, 2> splits_;
};

}  // namespace tapestry
