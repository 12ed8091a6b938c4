#include "data/piece_reader.h"

#include <algorithm>

#include "data/utf8.h"

namespace tapestry {

PieceReader::PieceReader(const InputFile& file, int64_t begin, int64_t end, size_t block, size_t longest)
    : file_(file), offset_(begin), next_(begin), end_(end), block_(block), longest_(longest) {}

bool PieceReader::next() {
  if (next_ == end_ && buffer_.empty()) return false;
  fresh_from_ = buffer_.size();
  if (buffer_.size() >= longest_) {
    const Utf8Prefix prefix = valid_utf8(buffer_);
    size_ = prefix.incomplete ? prefix.valid : buffer_.size();
    last_ = true;
    return true;
  }
  const auto wanted = static_cast<size_t>(std::min(static_cast<int64_t>(block_), end_ - next_));
  buffer_.resize(fresh_from_ + wanted);
  const size_t got = file_.read_at(next_, buffer_.data() + fresh_from_, wanted);
  check(got == wanted, Exit::io, "'", file_.path(), "' became shorter while it was read");
  next_ += static_cast<int64_t>(wanted);
  size_ = buffer_.size();
  last_ = next_ == end_;
  return true;
}

void PieceReader::consume(size_t count) {
  require(count <= size_ && (!last_ || count == size_), "a piece of ", size_, " bytes of '", file_.path(),
          "' was covered by ", count, " bytes only");
  buffer_.erase(0, count);
  offset_ += static_cast<int64_t>(count);
}

}  // namespace tapestry
