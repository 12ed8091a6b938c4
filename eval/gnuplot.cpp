#include "eval/gnuplot.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "data/atomic_file.h"

namespace tapestry {

bool draw_with_gnuplot(const std::string& folder, const std::string& name, const std::string& script) {
  const std::string path = folder + "/" + name + ".gp";
  write_file_atomically(path, script);
  std::string program = "gnuplot", change = "cd " + gnuplot_quoted(folder),
              load = "load " + gnuplot_quoted(name + ".gp");
  std::string flag = "-e", both = change + "; " + load;
  char* const words[] = {program.data(), flag.data(), both.data(), nullptr};
  pid_t child = 0;
  const int failed = posix_spawnp(&child, "gnuplot", nullptr, nullptr, words, environ);
  if (failed == ENOENT) return false;
  check(failed == 0, Exit::io, "cannot start gnuplot: ", std::strerror(failed));
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    check(errno == EINTR, Exit::io, "gnuplot was lost: ", std::strerror(errno));
  check(WIFEXITED(status) && WEXITSTATUS(status) == 0, Exit::io, "gnuplot failed on ", path);
  return true;
}

void say_not_drawn(const std::string& verb, const std::string& folder) {
  std::cerr << "tapestry " << verb << ": gnuplot is not installed; its scripts and data are in " << folder
            << std::endl;
}

void make_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error, Exit::io, "cannot make the folder '", folder, "': ", error.message());
}

std::string gnuplot_quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace tapestry
