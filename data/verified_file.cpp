#include "data/verified_file.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <vector>

#include "base/signals.h"
#include "data/hdf5_probe.h"
#include "data/input_file.h"
#include "data/sha256.h"

namespace tapestry {
namespace {

constexpr int64_t kUserBlock = 512;
constexpr size_t kPiece = size_t{1} << 20;
constexpr std::string_view kMagic = "TAPESTRY 1\n";

// The only user block that fits kind, length and hash: reading compares all 512 bytes with it.
std::string make_user_block(const VerifiedHeader& header) {
  // Not through a stream, which would come out short where memory is.
  std::string block(kMagic);
  block += "kind " + header.kind + "\nlength " + std::to_string(header.length) + "\nsha256 " + header.sha256 +
           "\n";
  require(block.size() <= kUserBlock, "the kind of a verified file has a short name");
  block.resize(kUserBlock, '\0');
  return block;
}

std::string field(const std::string& block, const std::string& key) {
  const size_t start = block.find("\n" + key + " ");
  if (start == std::string::npos) return "";
  const size_t from = start + key.size() + 2;
  return block.substr(from, block.find('\n', from) - from);
}

VerifiedHeader parse_user_block(const std::string& block, const std::string& path, Exit exit) {
  check(block.size() >= kMagic.size() && block.starts_with(kMagic), exit, "'", path,
        "' is not a file of this program: it does not start with its magic");
  VerifiedHeader header{field(block, "kind"), -1, field(block, "sha256")};
  const std::string length = field(block, "length");
  std::from_chars(length.data(), length.data() + length.size(), header.length);
  const bool plausible = header.kind.size() < 64 && header.sha256.size() == 64;
  check(plausible && block == make_user_block(header), exit, "'", path,
        "' is damaged: bad header; restore it from a copy");
  return header;
}

// SHA-256 of everything after the user block, read in pieces until `read` gives nothing; `expected` bytes, or
// more.
std::string hash_pieces(int64_t expected,
                        const std::function<size_t(int64_t offset, char* data, size_t size)>& read) {
  Sha256 hash;
  std::vector<char> piece(std::clamp(static_cast<size_t>(expected), size_t{1}, kPiece));
  int64_t offset = kUserBlock;
  while (const size_t got = read(offset, piece.data(), piece.size())) {
    hash.update(piece.data(), got);
    offset += static_cast<int64_t>(got);
  }
  return hash.hex();
}

Hdf5File start_hdf5(const AtomicFile& file, bool in_memory, const FileKind& kind) {
  Hdf5File hdf5 = in_memory ? Hdf5File::create_in_memory(file.path(), kUserBlock)
                            : Hdf5File::create(file.temporary_path(), kUserBlock, file.path());
  hdf5.write_attribute("/", "format", kind.name);
  hdf5.write_attribute("/", "format_version", kind.version);
  return hdf5;
}

std::string read_start(const InputFile& file, size_t size) {
  std::string start(size, '\0');
  start.resize(file.read_at(0, start.data(), size));
  return start;
}

VerifiedHeader header_of(const InputFile& file, const std::string& path, Exit exit) {
  const std::string block = read_start(file, kUserBlock);
  check(block.size() == kUserBlock || !block.starts_with(kMagic), exit, "'", path,
        "' is truncated: expected at least ", kUserBlock, " bytes, found ", block.size());
  return parse_user_block(block, path, exit);
}

}  // namespace

VerifiedWriter::VerifiedWriter(const std::string& path, const FileKind& kind, int64_t expected_bytes,
                               FileCalls calls, int64_t memory_limit)
    : file_(path, std::move(calls)),
      in_memory_(expected_bytes <= memory_limit),
      hdf5_(start_hdf5(file_, in_memory_, kind)),
      kind_(kind.name) {}

std::string VerifiedWriter::commit() {
  VerifiedHeader header{kind_, 0, ""};
  if (in_memory_) {
    const std::vector<std::byte> image = hdf5_->image();
    hdf5_.reset();
    file_.write_at(kUserBlock, image.data(), image.size());
    header.length = static_cast<int64_t>(image.size());
    header.sha256 = Sha256().update(image.data(), image.size()).hex();
  } else {
    hdf5_->close();
    hdf5_.reset();
    header.sha256 = hash_pieces(kPiece, [&](int64_t offset, char* data, size_t size) {
      const size_t got = file_.read_at(offset, data, size);
      header.length += static_cast<int64_t>(got);
      return got;
    });
  }
  file_.write_at(0, make_user_block(header).data(), kUserBlock);
  file_.commit();
  return header.sha256;
}

bool has_verified_magic(const std::string& path) {
  return read_start(InputFile(path), kMagic.size()) == kMagic;
}

VerifiedHeader read_verified_header(const std::string& path, Exit exit) {
  return header_of(InputFile(path, exit), path, exit);
}

VerifiedHeader verify_file(const std::string& path, Exit exit) {
  const InputFile file(path, exit);
  const VerifiedHeader header = header_of(file, path, exit);
  const int64_t expected = kUserBlock + header.length;
  check(file.size() >= expected, exit, "'", path, "' is truncated: expected ", expected, " bytes, found ",
        file.size());
  check(file.size() == expected, exit, "'", path, "' is damaged: expected ", expected, " bytes, found ",
        file.size());
  const std::string actual = hash_pieces(header.length, [&](int64_t offset, char* data, size_t size) {
    throw_if_stop_requested();
    return file.read_at(offset, data, size);
  });
  check(actual == header.sha256, exit, "'", path,
        "' is damaged: its content does not fit its SHA-256; restore it from a copy");
  return header;
}

VerifiedFile open_verified(const std::string& path, const FileKind& kind) {
  const VerifiedHeader header = verify_file(path, kind.exit);
  check(header.kind == kind.name, kind.exit, "'", path, "' is a ", header.kind, ", expected a ", kind.name);
  probe_hdf5(path, kind.exit);
  Hdf5File file = Hdf5File::open(path, kind.exit);
  const auto version = file.read_attribute<int64_t>("/", "format_version");
  check(version >= 1 && version <= kind.version, kind.exit, "'", path, "' has format version ", version,
        ", this program reads versions up to ", kind.version, "; use a newer program");
  const bool replaced = read_verified_header(path, kind.exit).sha256 != header.sha256;
  return replaced ? open_verified(path, kind) : VerifiedFile{std::move(file), header.sha256};
}

}  // namespace tapestry
