#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "tests/support/paths.h"
#include "tests/support/temporary_folder.h"

namespace tapestry {

struct ShellResult {
  int status;  // exit status, or minus the signal that ended it
  std::string output;
  std::string errors;
};

/// Runs a line of sh; in it "tapestry" is the program under test.
inline ShellResult shell(const std::string& line) {
  const TemporaryFolder folder;
  write_text(folder / "script", "tapestry() { \"" + program_path() + "\" \"$@\"; }\n" + line + "\n");
  const std::string command =
      "sh " + (folder / "script") + " > " + (folder / "output") + " 2> " + (folder / "errors");
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), read_text(folder / "output"),
          read_text(folder / "errors")};
}

}  // namespace tapestry
