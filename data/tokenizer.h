#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tapestry {

/// Where a text comes from, for error messages.
struct TextOrigin {
  std::string name = "the text";
  int64_t offset = 0;  // bytes before this piece of it
};

/// Text to token ids and back, losslessly. Safe to share between threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// "bytes", "bpe" or "ids".
  virtual std::string kind() const = 0;
  virtual int64_t vocab_size() const = 0;
  /// The token between documents, where the vocabulary has one. Never the result of encoding text.
  virtual std::optional<int32_t> end_of_text() const = 0;
  /// The files that make_tokenizer() rebuilds it from, by name: the same for the same vocabulary, however it
  /// was written where it came from.
  virtual std::map<std::string, std::string> files() const = 0;

  /// Appends the ids of a piece of a longer text and returns how many of its bytes they cover. What is left
  /// has to stand at the front of the next piece; then the ids are those of the whole text at once. The
  /// `last` piece is covered whole. Text that the tokenizer cannot take is an Error(Exit::input) with the
  /// origin's name and the byte offset.
  virtual size_t encode_piece(std::string_view piece, bool last, std::vector<int32_t>& ids,
                              const TextOrigin& origin = {}) const = 0;
  std::vector<int32_t> encode(std::string_view text) const;

  /// The bytes of one token.
  virtual std::string_view bytes_of(int32_t id) const = 0;
  std::string decode(std::span<const int32_t> ids) const;

  /// Equal for equal vocabularies only: identity_of() of kind() and files().
  std::string identity() const;

 protected:
  /// Throws Error(usage) unless `id` is in the vocabulary.
  void check_id(int32_t id) const;
};

/// "bytes" or "bpe:<SHA-256 of the files>".
std::string identity_of(const std::string& kind, const std::map<std::string, std::string>& files);

/// Throws Error(input) unless `data`, a path, that was made with the tokenizer `used`, is for `model`,
/// another, that knows `known`. A model that knows none (null) or only ids takes any.
void check_tokenizer(const Tokenizer& used, const std::string& data, const Tokenizer* known,
                     const std::string& model);

/// From what kind() and files() gave. `origin` is named in errors, which carry Exit::input.
std::unique_ptr<Tokenizer> make_tokenizer(const std::string& kind,
                                          const std::map<std::string, std::string>& files,
                                          const std::string& origin);
/// `spec` is "bytes" or a folder with tokenizer.json or, where that is not, vocab.json, merges.txt and
/// perhaps added_tokens.json.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& spec);
/// Whether a folder has files that load_tokenizer reads.
bool has_tokenizer(const std::string& folder);
/// Writes files(), and for bpe tokenizer.json as well, into a folder, which is made when missing.
void save_tokenizer(const Tokenizer& tokenizer, const std::string& folder);

}  // namespace tapestry
