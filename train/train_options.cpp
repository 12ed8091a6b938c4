#include "train/train_options.h"

namespace tapestry {

const OptionTable<TrainOptions>& train_options() {
  using T = TrainOptions;
  static const OptionTable<T> table =
      OptionTable<T>("train", "the training run")
          .add("max_steps", &T::max_steps, "optimizer steps of the whole run", at_least(1))
          .add("batch_size", &T::batch_size, "sequences in a micro-batch", at_least(1))
          .add("grad_accum", &T::grad_accum, "micro-batches in an optimizer step", at_least(1))
          .add("log_every", &T::log_every, "steps from one logged step to the next", at_least(1))
          .add("eval_every", &T::eval_every, "steps between validations; 0: only at the start and the end",
               at_least(0))
          .add("eval_tokens", &T::eval_tokens, "validate on the first so many tokens; 0: on all", at_least(0))
          .add("checkpoint_every", &T::checkpoint_every,
               "steps between checkpoints; 0: none but at the start and the end", at_least(0))
          .add("keep", &T::keep, "numbered checkpoints to keep beside last.h5 and best.h5", at_least(0))
          .add("out", &T::out, "folder of the run")
          .add("init", &T::init,
               "model to start from, with a new optimizer: a checkpoint, a folder with GPT-2 in the Hugging "
               "Face layout or one that convert wrote; [model] and data.seq_len are its own")
          .add("recompute", &T::recompute,
               "block: keep only the input of each block and run it again for its gradient",
               one_of({"none", "block"}))
          .add("teacher", &T::teacher,
               "model to learn from as well as from the data, a checkpoint or folder as for init")
          .add("teacher_weight", &T::teacher_weight,
               "share of the loss that measures predictions against the teacher's, the data have the rest",
               between(0, 1))
          .add("temperature", &T::temperature, "softens both predictions, student's and teacher's", above(0))
          .add("match_attention", &T::match_attention,
               "times the mean, over the layers, of the share of the teacher's attention output that is "
               "missed, added to the loss",
               at_least(0));
  return table;
}

const OptionTable<TrainCommandOptions>& train_command_options() {
  using T = TrainCommandOptions;
  static const OptionTable<T> table =
      OptionTable<T>("", "train")
          .add("resume", &T::resume, "go on with the run in train.out, bit for bit")
          .add("overwrite", &T::overwrite, "replace the run in train.out")
          .add("dry-run", &T::dry_run, "print sizes and the memory forecast, and stop");
  return table;
}

}  // namespace tapestry
