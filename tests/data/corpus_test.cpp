#include "data/corpus.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace tapestry {
namespace {
namespace fs = std::filesystem;

std::string reason_of(const Corpus& corpus, const std::string& name) {
  for (const SkippedFile& file : corpus.skipped)
    if (file.path.ends_with("/" + name)) return file.reason;
  return "not skipped";
}

TEST(Corpus, FoldersAreReadInOrderAndWhatIsNoTextIsSkipped) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "b/c");
  fs::create_directories(folder / ".git");
  write_text(folder / "b/c/deep.txt", "deep");
  write_text(folder / "b/a.txt", "a");
  write_text(folder / "z.txt", "zzz");
  write_text(folder / "empty.txt", "");
  write_text(folder / "image.png", std::string("\x89PNG\0\0", 6));
  write_text(folder / "latin.txt", "caf\xe9");
  write_text(folder / ".hidden", "hidden");
  write_text(folder / ".git/config", "hidden");
  write_text(folder / "out.h5", "an older output");
  fs::create_symlink("z.txt", folder / "link.txt");
  fs::create_symlink(".", folder / "loop");
  fs::create_symlink("nowhere", folder / "dangling");
  fs::create_hard_link(folder / "z.txt", folder / "zz.txt");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);

  const Corpus utf8 = find_corpus({folder.path()}, folder / "out.h5", true);
  EXPECT_EQ(utf8.files.size(), 3u);
  EXPECT_EQ(utf8.bytes, 8);
  EXPECT_EQ(reason_of(utf8, "empty.txt"), "empty");
  EXPECT_EQ(reason_of(utf8, "image.png"), "binary");
  EXPECT_EQ(reason_of(utf8, "latin.txt"), "not UTF-8");
  EXPECT_EQ(reason_of(utf8, ".hidden"), "hidden");
  EXPECT_EQ(reason_of(utf8, ".git"), "hidden");
  EXPECT_EQ(reason_of(utf8, "out.h5"), "the output");
  EXPECT_EQ(reason_of(utf8, "link.txt"), "a link");
  EXPECT_EQ(reason_of(utf8, "loop"), "a link");
  EXPECT_EQ(reason_of(utf8, "dangling"), "a link");
  EXPECT_EQ(reason_of(utf8, "pipe"), "not a regular file");
  EXPECT_EQ(utf8.skipped.size(), 11u);  // one of the two hard links too

  const Corpus bytes = find_corpus({folder / "latin.txt", folder.path()}, folder / "out.h5", false);
  EXPECT_EQ(bytes.files.size(), 4u);
  EXPECT_EQ(bytes.files[0].label, folder / "latin.txt");
  EXPECT_EQ(bytes.files[1].label, "b/a.txt");
  EXPECT_EQ(bytes.files[2].label, "b/c/deep.txt");
  EXPECT_EQ(reason_of(bytes, "latin.txt"), "given twice");
}

TEST(Corpus, FilesGivenByNameAreTakenOrRefused) {
  const TemporaryFolder folder;
  write_text(folder / "a.bin", std::string("a\0b", 3));
  write_text(folder / "empty", "");
  fs::create_symlink("a.bin", folder / "link");
  fs::create_symlink("nowhere", folder / "dangling");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(find_corpus({folder / "a.bin"}, "out.h5", false).bytes, 3);
  EXPECT_EQ(find_corpus({folder / "link"}, "out.h5", false).bytes, 3);
  const auto refuse = [&](const std::string& path, Exit exit, const std::string& part) {
    expect_error(exit, part, [&] { find_corpus({path}, "out.h5", false); });
  };
  refuse(folder / "none", Exit::input, "none': No such file");
  refuse(folder / "dangling", Exit::input, "dangling': No such file");
  refuse(folder / "pipe", Exit::input, "pipe' is not a regular file");
  refuse("/dev/zero", Exit::input, "/dev/zero' is not a regular file");
  refuse(folder / "empty", Exit::input, "there is no text");
  expect_error(Exit::usage, "both input and output",
               [&] { find_corpus({folder / "a.bin"}, folder / "a.bin", false); });
  fs::create_directory(folder / "none.d");
  refuse(folder / "none.d", Exit::input, "there is no text in the input");
}

Corpus made_of(const std::vector<int64_t>& sizes) {
  Corpus corpus;
  for (const int64_t bytes : sizes) {
    corpus.files.push_back({"", join("f", corpus.files.size()), bytes});
    corpus.bytes += bytes;
  }
  return corpus;
}

int64_t bytes_of(const std::vector<CorpusPart>& parts, Split split) {
  int64_t bytes = 0;
  for (const CorpusPart& part : parts) bytes += part.split == split ? part.end - part.begin : 0;
  return bytes;
}

TEST(Corpus, FewDocumentsAreEachCut) {
  const auto parts = split_corpus(made_of({1'115'394}), 0.1, 0);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].end, 1'003'854);
  EXPECT_EQ(parts[1].begin, 1'003'854);
  EXPECT_EQ(parts[1].end, 1'115'394);
  EXPECT_EQ(parts[1].split, Split::valid);
  EXPECT_EQ(bytes_of(split_corpus(made_of({100, 200}), 0.25, 0), Split::valid), 75);
  EXPECT_EQ(split_corpus(made_of({100, 200}), 0, 0).size(), 2u);
}

TEST(Corpus, ManyDocumentsAreDistributedWhole) {
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < 500; ++i) sizes.push_back(1 + i * i % 997);
  const Corpus corpus = made_of(sizes);
  std::set<std::vector<size_t>> choices;
  for (int64_t seed = 0; seed < 5; ++seed) {
    for (const double fraction : {0.01, 0.1, 0.5, 0.9}) {
      const auto parts = split_corpus(corpus, fraction, seed);
      ASSERT_EQ(parts.size(), corpus.files.size());
      std::vector<size_t> chosen;
      for (size_t i = 0; i < parts.size(); ++i) {
        EXPECT_EQ(parts[i].file, i);
        EXPECT_EQ(parts[i].begin, 0);
        EXPECT_EQ(parts[i].end, sizes[i]);
        if (parts[i].split == Split::valid) chosen.push_back(i);
      }
      EXPECT_NEAR(static_cast<double>(bytes_of(parts, Split::valid)),
                  fraction * static_cast<double>(corpus.bytes), 500);
      choices.insert(chosen);
    }
  }
  EXPECT_EQ(choices.size(), 20u);
}

TEST(Corpus, EitherSideHasADocument) {
  const auto tiny = split_corpus(made_of(std::vector<int64_t>(30, 1000)), 0.001, 1);
  EXPECT_EQ(bytes_of(tiny, Split::valid), 1000);
  const auto huge = split_corpus(made_of(std::vector<int64_t>(30, 1000)), 0.999, 1);
  EXPECT_EQ(bytes_of(huge, Split::train), 1000);
  std::vector<int64_t> one_giant(30, 10);
  one_giant[7] = 1'000'000;
  const auto parts = split_corpus(made_of(one_giant), 0.1, 1);
  EXPECT_EQ(parts[7].split, Split::train);
  EXPECT_GT(bytes_of(parts, Split::valid), 0);
}

}  // namespace
}  // namespace tapestry
