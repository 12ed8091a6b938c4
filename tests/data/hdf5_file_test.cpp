#include "data/hdf5_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "data/atomic_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace tapestry {
namespace {

template <class T>
std::vector<T> counting(size_t n, T from = T(1)) {
  std::vector<T> values(n);
  std::iota(values.begin(), values.end(), from);
  return values;
}

template <class T>
class Hdf5Element : public testing::Test {};
using Elements = testing::Types<int32_t, int64_t, uint8_t, uint16_t, uint32_t, float, double>;
TYPED_TEST_SUITE(Hdf5Element, Elements);

TYPED_TEST(Hdf5Element, RoundTripsOnDiskAndInMemory) {
  const TemporaryFolder folder;
  const auto values = counting<TypeParam>(24, TypeParam(100));
  const auto fill = [&](Hdf5File& file) {
    file.write("a/b/values", {2, 3, 4}, values.data());
    file.write("a/scalar", {}, values.data() + 5);
    file.write<TypeParam>("a/empty", {0, 3}, nullptr);
  };
  const auto expect = [&](const Hdf5File& file) {
    EXPECT_EQ(file.read<TypeParam>("a/b/values"), values);
    std::vector<TypeParam> back(24);
    file.read("a/b/values", {2, 3, 4}, back.data());
    EXPECT_EQ(back, values);
    EXPECT_EQ(file.read<TypeParam>("/a/scalar"), std::vector<TypeParam>{values[5]});
    EXPECT_TRUE(file.read<TypeParam>("a/empty").empty());
    EXPECT_EQ(file.dataset("a/empty").shape(), (Hdf5Shape{0, 3}));
  };
  Hdf5File disk = Hdf5File::create(folder / "a.h5");
  fill(disk);
  disk.close();
  expect(Hdf5File::open(folder / "a.h5"));
  for (const int64_t user_block : {0, 512}) {
    Hdf5File memory = Hdf5File::create_in_memory("image", user_block);
    fill(memory);
    const auto image = memory.image();
    expect(Hdf5File::open_image(image, "image"));
    write_file_atomically(folder / "b.h5",
                          std::string(static_cast<size_t>(user_block), 'u') +
                              std::string(reinterpret_cast<const char*>(image.data()), image.size()));
    expect(Hdf5File::open(folder / "b.h5"));
  }
}

TYPED_TEST(Hdf5Element, StreamsGrowAndReadRanges) {
  const TemporaryFolder folder;
  const auto values = counting<TypeParam>(100);
  Hdf5File file = Hdf5File::create(folder / "a.h5");
  {
    Hdf5Dataset stream = file.create_stream<TypeParam>("train/tokens", 16);
    for (int64_t at = 0, count = 0; at < 100; at += count, ++count)
      stream.append(values.data() + at, count = std::min(count, 100 - at));
  }
  file.close();
  const Hdf5File back = Hdf5File::open(folder / "a.h5");
  const Hdf5Dataset stream = back.dataset("train/tokens");
  ASSERT_EQ(stream.size(), 100);
  for (const int64_t first : {0, 15, 16, 99, 100}) {
    const int64_t count = std::min<int64_t>(33, 100 - first);
    std::vector<TypeParam> range(static_cast<size_t>(count));
    stream.read_range(first, count, range.data());
    EXPECT_EQ(range, std::vector<TypeParam>(values.begin() + first, values.begin() + first + count));
  }
  TypeParam one;
  EXPECT_THROW(stream.read_range(100, 1, &one), Error);
  EXPECT_THROW(stream.read_range(-1, 1, &one), Error);
}

TEST(Hdf5File, AttributesOfFileGroupAndDataset) {
  Hdf5File file = Hdf5File::create_in_memory("attributes");
  file.create_group("g");
  const double value = 1;
  file.write("g/d", {1}, &value);
  for (const std::string object : {"/", "g", "g/d"}) {
    file.write_attribute(object, "integer", int64_t{-5});
    file.write_attribute(object, "number", 2.5);
    file.write_attribute(object, "text", std::string("grüße"));
    file.write_attribute(object, "empty", "");
    file.write_attribute(object, "list", std::vector<std::string>{"a", "", "cde"});
  }
  const Hdf5File back = Hdf5File::open_image(file.image(), "attributes");
  for (const std::string object : {"/", "g", "g/d"}) {
    EXPECT_EQ(back.read_attribute<int64_t>(object, "integer"), -5);
    EXPECT_EQ(back.read_attribute<double>(object, "integer"), -5.0);
    EXPECT_EQ(back.read_attribute<double>(object, "number"), 2.5);
    EXPECT_EQ(back.read_attribute<std::string>(object, "text"), "grüße");
    EXPECT_EQ(back.read_attribute<std::string>(object, "empty"), "");
    EXPECT_EQ(back.read_attribute<std::vector<std::string>>(object, "list"),
              (std::vector<std::string>{"a", "", "cde"}));
    EXPECT_EQ(back.attributes(object),
              (std::vector<std::string>{"empty", "integer", "list", "number", "text"}));
    EXPECT_TRUE(back.has_attribute(object, "text"));
    EXPECT_FALSE(back.has_attribute(object, "none"));
  }
  expect_error(Exit::input, "number", [&] { back.read_attribute<int64_t>("g", "number"); });
  expect_error(Exit::input, "text", [&] { back.read_attribute<double>("g", "text"); });
  expect_error(Exit::input, "integer", [&] { back.read_attribute<std::string>("g", "integer"); });
  expect_error(Exit::input, "none", [&] { back.read_attribute<double>("g", "none"); });
}

TEST(Hdf5File, ListsAndKnowsWhatItHas) {
  Hdf5File file = Hdf5File::create_in_memory("list");
  const float value = 1;
  file.write("b/z", {1}, &value);
  file.write("b/a", {1}, &value);
  file.create_group("a");
  EXPECT_EQ(file.list(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(file.list("b"), (std::vector<std::string>{"a", "z"}));
  EXPECT_TRUE(file.list("a").empty());
  EXPECT_TRUE(file.has("/"));
  EXPECT_TRUE(file.has("b/a"));
  EXPECT_FALSE(file.has("b/q"));
  EXPECT_FALSE(file.has("q/a"));
  EXPECT_TRUE(file.is_group("b"));
  EXPECT_FALSE(file.is_group("b/a"));
  EXPECT_THROW(file.list("b/a"), Error);
}

TEST(Hdf5File, TextsOfAnyLength) {
  Hdf5File file = Hdf5File::create_in_memory("texts");
  const std::string text = "line\n" + std::string(100'000, 'x') + "é";
  file.write_text("t/long", text);
  file.write_text("t/empty", "");
  EXPECT_EQ(file.read_text("t/long"), text);
  EXPECT_EQ(file.read_text("t/empty"), "");
  EXPECT_EQ(file.dataset("t/long").type(), "text");
  EXPECT_THROW(file.write_text("t/zero", std::string("a\0b", 3)), Error);
}

TEST(Hdf5File, NamesFileObjectAndWhatWasExpected) {
  const TemporaryFolder folder;
  Hdf5File file = Hdf5File::create(folder / "a.h5");
  const auto values = counting<float>(6);
  file.write("m/w", {2, 3}, values.data());
  file.close();
  const Hdf5File back = Hdf5File::open(folder / "a.h5", Exit::checkpoint);
  float to[6];
  expect_error(Exit::checkpoint, "[2, 3], expected [3, 2]", [&] { back.read("m/w", {3, 2}, to); });
  expect_error(Exit::checkpoint, "float32, expected float64", [&] { back.read<double>("m/w"); });
  expect_error(Exit::checkpoint, "m/v", [&] { back.read<float>("m/v"); });
  expect_error(Exit::checkpoint, "a.h5", [&] { back.read_text("m/w"); });
  expect_error(Exit::checkpoint, "one axis", [&] { back.dataset("m/w").read_range(0, 1, to); });
}

TEST(Hdf5File, RefusesWhatIsNotHdf5) {
  const TemporaryFolder folder;
  write_text(folder / "text", "not an HDF5 file, and long enough to hold a superblock if it were one");
  expect_error(Exit::input, "text' is not an HDF5", [&] { Hdf5File::open(folder / "text"); });
  expect_error(Exit::input, "none': No such file", [&] { Hdf5File::open(folder / "none"); });
  expect_error(Exit::checkpoint, "not a regular", [&] { Hdf5File::open(folder.path(), Exit::checkpoint); });
  expect_error(Exit::input, "image", [&] { Hdf5File::open_image(std::vector<std::byte>(100), "image"); });
  expect_error(Exit::io, "none/a.h5", [&] { Hdf5File::create(folder / "none/a.h5"); });
}

TEST(Hdf5File, AFileThatAnotherProgramHasLockedIsNotABadFile) {
  const TemporaryFolder folder;
  Hdf5File::create(folder / "a.h5").close();
  const int file = open((folder / "a.h5").c_str(), O_RDWR);
  ASSERT_EQ(flock(file, LOCK_EX), 0);
  expect_error(Exit::io, "HDF5_USE_FILE_LOCKING", [&] { Hdf5File::open(folder / "a.h5"); });
  close(file);
  Hdf5File::open(folder / "a.h5");
}

TEST(Hdf5File, SameContentGivesSameBytes) {
  const auto image = [] {
    Hdf5File file = Hdf5File::create_in_memory("same");
    const auto values = counting<uint16_t>(1000);
    file.create_group("g");
    file.create_stream<uint16_t>("g/s", 64).append(values.data(), 1000);
    file.write("g/w", {10, 100}, values.data());
    file.write_text("g/t", "text");
    file.write_attribute("g", "a", "b");
    return file.image();
  };
  const auto first = image();
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_TRUE(first == image());
}

TEST(Hdf5File, ThreadsTakeTurns) {
  const auto work = [](int seed) {
    for (int i = 0; i < 50; ++i) {
      Hdf5File file = Hdf5File::create_in_memory("thread");
      const auto values = counting<int64_t>(200, seed * 1000 + i);
      file.write("g/w", {200}, values.data());
      EXPECT_EQ(file.read<int64_t>("g/w"), values);
    }
  };
  std::thread first(work, 1), second(work, 2);
  first.join();
  second.join();
}

}  // namespace
}  // namespace tapestry
