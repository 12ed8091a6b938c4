#pragma once

#include "data/safetensors.h"
#include "train/gpt2_layout.h"
#include "train/model_source.h"

namespace tapestry {

/// A folder with GPT-2 in the Hugging Face layout: config.json; model.safetensors, or shards and their index,
/// of F32, F16, BF16 or F64, names with or without "transformer."; vocab.json and merges.txt, or
/// tokenizer.json, if there. A tensor that is missing, unknown, of another shape, or an lm_head.weight that
/// contradicts tie_word_embeddings, is an Error(input) that names it.
class Gpt2Source : public ModelSource {
 public:
  explicit Gpt2Source(const std::string& folder);
  void read_values(const std::string& name, Tensor out) const override;
  std::shared_ptr<const Tokenizer> read_tokenizer() const override;

 private:
  /// Where a parameter is: a tensor, or the columns of one from `column` on.
  struct Place {
    std::string tensor;
    int64_t column, columns;
  };

  void read_config();
  void place(const Gpt2Tensor& tensor);
  void account_for(const std::string& name);
  bool output_repeats_embedding() const;
  std::string stored_name(const std::string& name) const;
  const std::vector<float>& fused(const std::string& tensor) const;

  SafetensorsModel weights_;
  ModelOptions model_;
  std::string prefix_;
  std::map<std::string, Place> places_;
  // The tensor that was read last for some of its columns: the others are asked for next.
  mutable std::string fused_name_;
  mutable std::vector<float> fused_;
};

}  // namespace tapestry
