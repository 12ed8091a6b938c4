#include "base/folder.h"

#include <dirent.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace tapestry {

std::vector<std::string> names_in_folder(const std::string& folder, std::error_code& fault) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  for (bool more = entries != nullptr; more;) {
    errno = 0;
    const dirent* entry = ::readdir(entries.get());
    more = entry != nullptr;
    if (more && std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
      names.emplace_back(entry->d_name);
  }
  fault.assign(errno, std::generic_category());
  return names;
}

}  // namespace tapestry
