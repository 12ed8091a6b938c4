#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "data/input_file.h"

namespace tapestry {

/// Reads a range of a file in pieces for Tokenizer::encode_piece, in bounded memory: what a piece leaves
/// uncovered stands at the front of the next. A word longer than `longest` bytes, which no text of a language
/// has, is cut there between two characters; only then may ids differ from those of the whole text at once.
class PieceReader {
 public:
  static constexpr size_t kBlock = size_t{1} << 20;
  static constexpr size_t kLongest = size_t{4} << 20;

  PieceReader(const InputFile& file, int64_t begin, int64_t end, size_t block = kBlock,
              size_t longest = kLongest);

  /// Moves on; false at the end of the range. A file that became shorter is an Error(Exit::io).
  bool next();
  std::string_view piece() const { return std::string_view(buffer_).substr(0, size_); }
  /// Nothing that follows belongs to the words of this piece: it has to be covered whole.
  bool last() const { return last_; }
  /// Where the piece starts in the file.
  int64_t offset() const { return offset_; }
  /// The bytes of the range that were read for this piece, each in one piece only. For use before consume().
  std::string_view fresh() const { return std::string_view(buffer_).substr(fresh_from_); }
  /// Drops the first `count` bytes of the piece, which were dealt with.
  void consume(size_t count);

 private:
  const InputFile& file_;
  int64_t offset_, next_, end_;
  size_t block_, longest_;
  std::string buffer_;
  size_t size_ = 0, fresh_from_ = 0;
  bool last_ = false;
};

}  // namespace tapestry
