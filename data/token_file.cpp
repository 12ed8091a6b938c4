#include "data/token_file.h"

#include <algorithm>
#include <limits>

#include "base/signals.h"
#include "data/tokenizer_store.h"

namespace tapestry {

const FileKind kTokenFile{"token file", 1, Exit::input};

std::string split_name(Split split) { return split == Split::train ? "train" : "valid"; }

/// Collects what goes to a growing dataset until a chunk is full.
template <class T>
class ChunkedStream {
 public:
  ChunkedStream(Hdf5File& file, const std::string& name, int64_t chunk)
      : dataset_(file.create_stream<T>(name, chunk)), chunk_(static_cast<size_t>(chunk)) {}
  void push(T value) {
    pending_.push_back(value);
    if (pending_.size() == chunk_) flush();
  }
  void flush() {
    dataset_.append(pending_.data(), static_cast<int64_t>(pending_.size()));
    pending_.clear();
  }
  int64_t size() const { return dataset_.size() + static_cast<int64_t>(pending_.size()); }

 private:
  Hdf5Dataset dataset_;
  size_t chunk_;
  std::vector<T> pending_;
};

namespace {

constexpr Split kSplits[] = {Split::train, Split::valid};
// Elements a chunk. Tokens: long enough to read fast, short enough for random windows. Every chunk takes its
// whole room, so that a file of few tokens has shorter ones.
constexpr int64_t kTokenChunk = 65'536, kShortestTokenChunk = 64;
constexpr int64_t kDocumentChunk = 1024;

bool fits_16_bits(int64_t vocab_size) {
  return vocab_size <= int64_t{std::numeric_limits<uint16_t>::max()} + 1;
}

// The tokens of one split, stored in 16 or 32 bits.
class StoredTokens : public TokenSource {
 public:
  StoredTokens(std::shared_ptr<const Hdf5File> file, Split split, int64_t vocab_size)
      : file_(std::move(file)),
        split_(split_name(split)),
        vocab_size_(vocab_size),
        dataset_(file_->dataset(split_ + "/tokens")) {
    const char* wanted = fits_16_bits(vocab_size) ? "uint16" : "uint32";
    check(dataset_.type() == wanted && dataset_.shape().size() == 1, Exit::input, name(), " are stored as ",
          dataset_.type(), " ", format_shape(dataset_.shape()), ", expected one axis of ", wanted);
  }
  int64_t size() const override { return dataset_.size(); }
  std::string name() const override { return split_ + " tokens of '" + file_->path() + "'"; }
  void read(int64_t first, int64_t count, int32_t* tokens) const override {
    if (fits_16_bits(vocab_size_))
      read_as<uint16_t>(first, count, tokens);
    else
      read_as<uint32_t>(first, count, tokens);
  }

 private:
  template <class T>
  void read_as(int64_t first, int64_t count, int32_t* tokens) const {
    std::vector<T> stored(static_cast<size_t>(std::max<int64_t>(count, 0)));
    dataset_.read_range(first, count, stored.data());
    for (size_t i = 0; i < stored.size(); ++i) {
      check(stored[i] < vocab_size_, Exit::input, name(), ": id ", stored[i], " at ",
            first + static_cast<int64_t>(i), " is outside the vocabulary of ", vocab_size_);
      tokens[i] = static_cast<int32_t>(stored[i]);
    }
  }

  std::shared_ptr<const Hdf5File> file_;
  std::string split_;
  int64_t vocab_size_;
  Hdf5Dataset dataset_;
};

void check_documents(const std::vector<int64_t>& starts, int64_t size, const std::string& name) {
  check((size == 0 || !starts.empty()) && (starts.empty() || starts[0] == 0), Exit::input, name,
        ": the first document does not start at token 0");
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t end = i + 1 < starts.size() ? starts[i + 1] : size;
    check(starts[i] <= end, Exit::input, name, ": document ", i, " starts at ", starts[i], " and ends at ",
          end);
  }
}

}  // namespace

struct TokenFileWriter::SplitWriter {
  SplitWriter(Hdf5File& file, Split split, int64_t vocab_size, int64_t chunk)
      : group(split_name(split)), documents(file, group + "/documents", std::min(kDocumentChunk, chunk)) {
    if (fits_16_bits(vocab_size))
      narrow.emplace(file, group + "/tokens", chunk);
    else
      wide.emplace(file, group + "/tokens", chunk);
  }
  void push(int32_t id) {
    if (narrow)
      narrow->push(static_cast<uint16_t>(id));
    else
      wide->push(static_cast<uint32_t>(id));
  }
  int64_t size() const { return narrow ? narrow->size() : wide->size(); }
  void finish(Hdf5File& file) {
    documents.flush();
    if (narrow) narrow->flush();
    if (wide) wide->flush();
    file.write_attribute(group, "bytes", text.bytes);
    file.write_attribute(group, "words", text.words);
  }

  std::string group;
  ChunkedStream<int64_t> documents;
  std::optional<ChunkedStream<uint16_t>> narrow;
  std::optional<ChunkedStream<uint32_t>> wide;
  TextCounts text;
};

TokenFileWriter::TokenFileWriter(const std::string& path, const Tokenizer& tokenizer, int64_t expected_tokens,
                                 FileCalls calls)
    : file_(path, kTokenFile, expected_tokens * int64_t{sizeof(uint32_t)}, std::move(calls)),
      vocab_size_(tokenizer.vocab_size()),
      end_of_text_(tokenizer.end_of_text()) {
  Hdf5File& file = file_.hdf5();
  write_tokenizer(file, tokenizer);
  const int64_t chunk = std::clamp(expected_tokens, kShortestTokenChunk, kTokenChunk);
  for (const Split split : kSplits)
    splits_[static_cast<size_t>(split)] = std::make_unique<SplitWriter>(file, split, vocab_size_, chunk);
}

TokenFileWriter::~TokenFileWriter() = default;

void TokenFileWriter::start_document(Split split) {
  SplitWriter& to = writer(split);
  if (end_of_text_ && to.documents.size() > 0) to.push(*end_of_text_);
  to.documents.push(to.size());
}

void TokenFileWriter::append(Split split, std::span<const int32_t> tokens) {
  SplitWriter& to = writer(split);
  require(to.documents.size() > 0 || tokens.empty(), "tokens before the first start_document()");
  for (const int32_t id : tokens) {
    require(id >= 0 && id < vocab_size_, "token id ", id, " is outside the vocabulary of ", vocab_size_);
    to.push(id);
  }
}

void TokenFileWriter::add_text(Split split, const TextCounts& counts) {
  writer(split).text.bytes += counts.bytes;
  writer(split).text.words += counts.words;
}

int64_t TokenFileWriter::size(Split split) const { return writer(split).size(); }
int64_t TokenFileWriter::documents(Split split) const { return writer(split).documents.size(); }
const TextCounts& TokenFileWriter::text(Split split) const { return writer(split).text; }

std::string TokenFileWriter::commit() {
  for (auto& split : splits_) {
    split->finish(file_.hdf5());
    split.reset();
  }
  return file_.commit();
}

TokenFile::TokenFile(const std::string& path) : TokenFile(path, open_verified(path, kTokenFile)) {}

TokenFile::TokenFile(const std::string& path, VerifiedFile file)
    : path_(path), sha256_(file.sha256), file_(std::make_shared<Hdf5File>(std::move(file.hdf5))) {
  vocab_size_ = file_->read_attribute<int64_t>("tokenizer", "vocab_size");
  check(vocab_size_ > 0 && vocab_size_ <= std::numeric_limits<int32_t>::max(), Exit::input, "'", path,
        "' has a vocabulary of ", vocab_size_);
  for (const Split split : kSplits)
    splits_[static_cast<size_t>(split)] = std::make_shared<StoredTokens>(file_, split, vocab_size_);
}

std::vector<int64_t> TokenFile::documents(Split split) const {
  const std::string name = split_name(split) + "/documents";
  auto starts = file_->read<int64_t>(name);
  check_documents(starts, tokens(split)->size(), name + " of '" + path_ + "'");
  return starts;
}

TextCounts TokenFile::text(Split split) const {
  const std::string group = split_name(split);
  return {file_->read_attribute<int64_t>(group, "bytes"), file_->read_attribute<int64_t>(group, "words")};
}

std::unique_ptr<Tokenizer> TokenFile::tokenizer() const {
  auto tokenizer = read_tokenizer(*file_, kTokenFile.exit);
  check(tokenizer->vocab_size() == vocab_size_, Exit::input, "'", path_, "': the tokenizer has ",
        tokenizer->vocab_size(), " tokens, but vocab_size is ", vocab_size_);
  return tokenizer;
}

void TokenFile::check_tokens(Split split) const {
  const int64_t size = tokens(split)->size();
  std::vector<int32_t> piece(static_cast<size_t>(std::min(kTokenChunk, size)));
  for (int64_t first = 0; first < size; first += kTokenChunk) {
    throw_if_stop_requested();
    tokens(split)->read(first, std::min(kTokenChunk, size - first), piece.data());
  }
}

}  // namespace tapestry
