#include "data/data_options.h"

namespace tapestry {

const OptionTable<DataOptions>& data_options() {
  static const auto table =
      OptionTable<DataOptions>("data", "What to learn from")
          .add("tokens", &DataOptions::tokens, "token file that prepare made")
          .add("seq_len", &DataOptions::seq_len, "tokens a window, which is one sequence of a batch",
               at_least(1))
          .add("task", &DataOptions::task,
               "synthetic task in place of a token file: recall, passkey, copy or induction")
          .add("held_out", &DataOptions::held_out, "sequences of a task that validation uses", at_least(1));
  return table;
}

}  // namespace tapestry
