#include "data/prepare.h"

#include <charconv>
#include <optional>

#include "base/progress.h"
#include "base/signals.h"
#include "base/violations.h"
#include "data/bpe_trainer.h"
#include "data/input_file.h"
#include "data/piece_reader.h"
#include "data/word_counter.h"

namespace tapestry {
namespace {

constexpr const char* kTrainedPrefix = "bpe:";
constexpr int64_t kLargestVocabulary = 1'000'000;

// The size in "bpe:SIZE"; nothing for other tokenizers.
std::optional<int64_t> size_to_train(const std::string& tokenizer) {
  const std::string prefix = kTrainedPrefix;
  if (!tokenizer.starts_with(prefix)) return std::nullopt;
  const char* const end = tokenizer.data() + tokenizer.size();
  int64_t size = 0;
  const auto [stop, error] = std::from_chars(tokenizer.data() + prefix.size(), end, size);
  check(error == std::errc() && stop == end && size >= BpeTrainer::kSmallestVocabulary &&
            size <= kLargestVocabulary,
        Exit::usage, "tokenizer '", tokenizer, "': the size after bpe: is a whole number between ",
        BpeTrainer::kSmallestVocabulary, " and ", kLargestVocabulary);
  return size;
}

void check_options(const PrepareOptions& options) {
  Violations violations;
  violations.require(!options.input.empty(), "--input is missing: name text files or folders");
  violations.require(!options.output.empty(), "--output is missing: name the token file to write");
  violations.throw_if_any();
  require(options.valid_fraction >= 0 && options.valid_fraction < 1, "valid-fraction ",
          options.valid_fraction, " is not at least 0 and below 1");
}

// The first byte of the character that holds byte `at`; at most 3 bytes back.
int64_t character_start(const InputFile& file, int64_t at) {
  for (int back = 0; back < 4 && at - back >= 0; ++back) {
    char byte = 0;
    file.read_at(at - back, &byte, 1);
    if ((byte & 0xC0) != 0x80) return at - back;
  }
  return at;
}

std::unique_ptr<Tokenizer> train_bpe(const Corpus& corpus, const std::vector<CorpusPart>& parts,
                                     int64_t size) {
  BpeTrainer trainer;
  int64_t total = 0, done = 0;
  for (const CorpusPart& part : parts) total += part.split == Split::train ? part.end - part.begin : 0;
  Progress counting("count words", total, "bytes");
  for (const CorpusPart& part : parts) {
    if (part.split != Split::train) continue;
    const InputFile file(corpus.files[part.file].path);
    PieceReader reader(file, part.begin, part.end);
    while (reader.next()) {
      throw_if_stop_requested();
      counting.update(done += static_cast<int64_t>(reader.fresh().size()));
      reader.consume(trainer.add_piece(reader.piece(), reader.last(), {file.path(), reader.offset()}));
    }
  }
  counting.finish();
  Progress merging("train vocabulary", size - BpeTrainer::kSmallestVocabulary, "merges");
  return trainer.train(size, [&](int64_t merges, int64_t) {
    throw_if_stop_requested();
    merging.update(merges);
  });
}

void write_part(const std::string& path, const CorpusPart& part, const Tokenizer& tokenizer,
                TokenFileWriter& writer, const std::function<void(int64_t)>& progress) {
  const InputFile file(path);
  PieceReader reader(file, part.begin, part.end);
  WordCounter words;
  std::vector<int32_t> ids;
  writer.start_document(part.split);
  while (reader.next()) {
    throw_if_stop_requested();
    words.add(reader.fresh());
    progress(static_cast<int64_t>(reader.fresh().size()));
    ids.clear();
    reader.consume(tokenizer.encode_piece(reader.piece(), reader.last(), ids, {path, reader.offset()}));
    writer.append(part.split, ids);
  }
  writer.add_text(part.split, {part.end - part.begin, words.count()});
}

void write_tokens(const Corpus& corpus, const std::vector<CorpusPart>& parts, const Tokenizer& tokenizer,
                  TokenFileWriter& writer) {
  Progress progress("tokenize", corpus.bytes, "bytes");
  int64_t done = 0;
  for (const CorpusPart& part : parts)
    write_part(corpus.files[part.file].path, part, tokenizer, writer,
               [&](int64_t bytes) { progress.update(done += bytes); });
}

// Moves cuts that fall inside a character to its first byte.
void align_cuts(const Corpus& corpus, std::vector<CorpusPart>& parts) {
  for (CorpusPart& part : parts) {
    const CorpusFile& document = corpus.files[part.file];
    if (part.begin == 0 && part.end == document.bytes) continue;
    const InputFile file(document.path);
    if (part.begin > 0) part.begin = character_start(file, part.begin);
    if (part.end < document.bytes) part.end = character_start(file, part.end);
  }
  std::erase_if(parts, [](const CorpusPart& part) { return part.begin == part.end; });
}

SplitSummary summary_of(const TokenFileWriter& writer, Split split) {
  const TextCounts& text = writer.text(split);
  return {writer.documents(split), text.bytes, text.words, writer.size(split)};
}

}  // namespace

const OptionTable<PrepareOptions>& prepare_options() {
  static const auto table =
      OptionTable<PrepareOptions>("", "Text to tokens")
          .add("input", &PrepareOptions::input, "text files, and folders of them")
          .add("tokenizer", &PrepareOptions::tokenizer,
               "bytes, a folder with vocab.json and merges.txt, or bpe:SIZE to train one on the input")
          .add("output", &PrepareOptions::output, "token file to write")
          .add("valid-fraction", &PrepareOptions::valid_fraction, "share of the text for validation",
               half_open(0, 1));
  return table;
}

PrepareSummary prepare(const PrepareOptions& options, int64_t seed) {
  check_options(options);
  const auto trained_size = size_to_train(options.tokenizer);
  const bool utf8 = options.tokenizer != "bytes";
  auto tokenizer = trained_size ? nullptr : load_tokenizer(options.tokenizer);
  { const AtomicFile writable(options.output); }  // fails now rather than after the work
  const Corpus corpus = find_corpus(options.input, options.output, utf8);
  auto parts = split_corpus(corpus, options.valid_fraction, seed);
  if (utf8) align_cuts(corpus, parts);
  if (trained_size) tokenizer = train_bpe(corpus, parts, *trained_size);
  TokenFileWriter writer(options.output, *tokenizer, corpus.bytes);
  write_tokens(corpus, parts, *tokenizer, writer);
  PrepareSummary summary{summary_of(writer, Split::train),
                         summary_of(writer, Split::valid),
                         tokenizer->identity(),
                         tokenizer->vocab_size(),
                         corpus.skipped,
                         ""};
  check(summary.train.tokens > 0, Exit::input, "no text is left for training: ", corpus.bytes,
        " bytes are too few for valid-fraction ", options.valid_fraction);
  check(summary.valid.tokens > 0 || options.valid_fraction == 0, Exit::input,
        "no text is left for validation: ", corpus.bytes, " bytes are too few for valid-fraction ",
        options.valid_fraction, "; raise it, or give 0 for none");
  summary.sha256 = writer.commit();
  return summary;
}

}  // namespace tapestry
