#pragma once

#include <string>

#include "tests/support/byte_token_file.h"
#include "tests/support/shell.h"

namespace tapestry::test {

/// A folder with a small token file and a config of a tiny model, and the commands on them.
class TinyRun {
 public:
  TinyRun() {
    std::string text;
    for (int i = 0; i < 400; ++i) text += "the cat sat on mat number " + std::to_string(i * i) + ". ";
    write_byte_token_file(folder_ / "tokens.h5", text);
    write_text(folder_ / "tiny.ini",
               "[model]\nattention = bsbr,standard\nn_layer = 2\nn_head = 2\nn_embd = 16\ndropout = 0.1\n"
               "[bsbr]\nchunk = 8\n[data]\nseq_len = 24\ntokens = " +
                   (folder_ / "tokens.h5") +
                   "\n"
                   "[train]\nmax_steps = 12\nbatch_size = 2\ngrad_accum = 3\nlog_every = 2\neval_every = 5\n"
                   "eval_tokens = 300\ncheckpoint_every = 4\n[optim]\nlearning_rate = 1e-2\n"
                   "[run]\nthreads = 1\n");
  }

  /// The options come after those of the config and win.
  ShellResult train(const std::string& out, const std::string& options = "") {
    return shell(train_line(out, options));
  }
  std::string train_line(const std::string& out, const std::string& options = "") {
    return "tapestry train --config " + (folder_ / "tiny.ini") + " --train.out " + (folder_ / out) + " " +
           options;
  }
  std::string file(const std::string& run, const std::string& name) { return folder_ / (run + "/" + name); }

 protected:
  TemporaryFolder folder_;
};

}  // namespace tapestry::test
