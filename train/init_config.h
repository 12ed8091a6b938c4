#pragma once

#include <string>
#include <vector>

#include "train/model_source.h"

namespace tapestry {

/// Whether two texts stand for one value: "3e-4" and "0.0003", "yes" and "true".
bool same_value(const std::string& a, const std::string& b);

/// The config of a run that starts from `source`: the model is the source's, and so is data.seq_len unless it
/// is given; all else is `given`. A given key that would make it another model is an Error(usage) that lists
/// all of them; those that may differ, data.seq_len and model.dropout, add a line to `notes`.
Config init_config(const Config& given, const ModelSource& source, std::vector<std::string>& notes);

}  // namespace tapestry
