#pragma once

#include <memory>

#include "data/hdf5_file.h"
#include "data/tokenizer.h"

namespace tapestry {

/// Group /tokenizer of an HDF5 file: kind, identity, vocab_size and the files that rebuild the tokenizer.
void write_tokenizer(Hdf5File& file, const Tokenizer& tokenizer);
/// Files that do not fit the identity stored beside them are an Error(bad_content).
std::unique_ptr<Tokenizer> read_tokenizer(const Hdf5File& file, Exit bad_content);

}  // namespace tapestry
