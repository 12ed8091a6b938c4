#include "data/tokenizer.h"

#include <filesystem>

#include "base/options.h"
#include "data/atomic_file.h"
#include "data/bpe_tokenizer.h"
#include "data/byte_tokenizer.h"
#include "data/id_tokenizer.h"
#include "data/input_file.h"
#include "data/sha256.h"
#include "data/tokenizer_json.h"

namespace tapestry {
namespace fs = std::filesystem;

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  encode_piece(text, true, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) text += bytes_of(id);
  return text;
}

std::string Tokenizer::identity() const { return identity_of(kind(), files()); }

std::string identity_of(const std::string& kind, const std::map<std::string, std::string>& files) {
  if (files.empty()) return kind;
  Sha256 hash;
  for (const auto& [name, content] : files)
    hash.update(join(name, " ", content.size(), "\n")).update(content);
  return kind + ":" + hash.hex();
}

void Tokenizer::check_id(int32_t id) const {
  require(id >= 0 && id < vocab_size(), "token id ", id, " is outside the vocabulary of ", vocab_size());
}

void check_tokenizer(const Tokenizer& used, const std::string& data, const Tokenizer* known,
                     const std::string& model) {
  if (!known || known->kind() == "ids") return;
  check(used.identity() == known->identity(), Exit::input, data, " was made with the tokenizer ",
        used.identity(), ", ", model, " with ", known->identity());
}

namespace {

std::unique_ptr<Tokenizer> make_id_tokenizer(const std::map<std::string, std::string>& files,
                                             const std::string& origin) {
  const auto size = files.find(IdTokenizer::kSizeFile);
  check(size != files.end(), Exit::input, origin, ": the tokenizer's ", IdTokenizer::kSizeFile,
        " is missing");
  int64_t tokens = 0;
  parse_value(size->second, between(1, INT32_MAX), tokens);
  return std::make_unique<IdTokenizer>(tokens);
}

}  // namespace

std::unique_ptr<Tokenizer> make_tokenizer(const std::string& kind,
                                          const std::map<std::string, std::string>& files,
                                          const std::string& origin) {
  if (kind == "bytes") return std::make_unique<ByteTokenizer>();
  if (kind == "ids") return make_id_tokenizer(files, origin);
  check(kind == "bpe", Exit::input, origin, ": unknown tokenizer '", kind, "', known are bytes, bpe and ids");
  for (const char* name : {BpeTokenizer::kVocabFile, BpeTokenizer::kMergesFile})
    check(files.contains(name), Exit::input, origin, ": the tokenizer's ", name, " is missing");
  const auto added = files.find(BpeTokenizer::kAddedTokensFile);
  return std::make_unique<BpeTokenizer>(files.at(BpeTokenizer::kVocabFile),
                                        files.at(BpeTokenizer::kMergesFile), origin,
                                        added == files.end() ? "" : added->second);
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& spec) {
  if (spec == "bytes") return std::make_unique<ByteTokenizer>();
  check(fs::is_directory(spec), Exit::input, "tokenizer '", spec,
        "' is neither bytes nor a folder with tokenizer.json or with vocab.json and merges.txt");
  if (fs::exists(spec + "/" + kTokenizerJson))
    return make_tokenizer("bpe", bpe_files_of(InputFile(spec + "/" + kTokenizerJson).read_all(), spec), spec);
  std::map<std::string, std::string> files;
  for (const char* name : {BpeTokenizer::kVocabFile, BpeTokenizer::kMergesFile})
    files[name] = InputFile(spec + "/" + name).read_all();
  if (const std::string added = spec + "/" + BpeTokenizer::kAddedTokensFile; fs::exists(added))
    files[BpeTokenizer::kAddedTokensFile] = InputFile(added).read_all();
  return make_tokenizer("bpe", files, spec);
}

bool has_tokenizer(const std::string& folder) {
  return fs::exists(folder + "/" + BpeTokenizer::kVocabFile) || fs::exists(folder + "/" + kTokenizerJson);
}

void save_tokenizer(const Tokenizer& tokenizer, const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, Exit::io, "cannot make the folder '", folder, "': ", error.message());
  const fs::path in = folder;
  for (const auto& [name, content] : tokenizer.files()) write_file_atomically(in / name, content);
  if (tokenizer.kind() == "bpe") write_file_atomically(in / kTokenizerJson, tokenizer_json_of(tokenizer));
}

}  // namespace tapestry
