#include "data/tokenizer_store.h"

namespace tapestry {

void write_tokenizer(Hdf5File& file, const Tokenizer& tokenizer) {
  file.create_group("tokenizer/files");
  file.write_attribute("tokenizer", "kind", tokenizer.kind());
  file.write_attribute("tokenizer", "identity", tokenizer.identity());
  file.write_attribute("tokenizer", "vocab_size", tokenizer.vocab_size());
  for (const auto& [name, content] : tokenizer.files()) file.write_text("tokenizer/files/" + name, content);
}

std::unique_ptr<Tokenizer> read_tokenizer(const Hdf5File& file, Exit bad_content) {
  std::map<std::string, std::string> files;
  for (const std::string& name : file.list("tokenizer/files"))
    files[name] = file.read_text("tokenizer/files/" + name);
  const std::string kind = file.read_attribute<std::string>("tokenizer", "kind");
  auto tokenizer = make_tokenizer(kind, files, file.path());
  check(identity_of(kind, files) == file.read_attribute<std::string>("tokenizer", "identity"), bad_content,
        "'", file.path(), "': the tokenizer's files do not fit its identity");
  return tokenizer;
}

}  // namespace tapestry
