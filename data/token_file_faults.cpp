#include "data/token_file_faults.h"

#include <optional>

#include "data/token_file.h"

namespace tapestry {

void find_token_file_faults(const std::string& path, FaultList& faults) {
  std::optional<TokenFile> file;
  if (!faults.run([&] { file.emplace(path); })) return;  // nothing more is safe to read
  faults.run([&] { file->tokenizer(); });
  for (const Split split : {Split::train, Split::valid}) {
    faults.run([&] { file->documents(split); });
    faults.run([&] { file->text(split); });
    faults.run([&] { file->check_tokens(split); });
  }
}

}  // namespace tapestry
