#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace tapestry {

/// Runs `work` in a child process, for what changes a whole process. Its result is the child's exit status;
/// minus the signal if one ended it.
inline int status_of_child(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace tapestry
