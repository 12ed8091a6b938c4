#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/support/in_bf16.h"
#include "tests/support/shell.h"

namespace tapestry {
namespace {
using testing::HasSubstr;

const std::string small =
    "tapestry bench --model.n_head 2 --model.n_embd 16 --model.vocab_size 64"
    " --model.n_layer 2 --bsbr.chunk 8 --repeats 2 --run.threads 1 ";

nlohmann::json report_of(const std::string& words) {
  const ShellResult result = shell(small + words + " --json -");
  EXPECT_EQ(result.status, 0) << result.errors;
  return nlohmann::json::parse(result.output);
}

TEST(BenchCommand, EveryAttentionAtEveryLengthWithConsistentFigures) {
  for (const std::string mode : {"train", "forward"}) {
    const auto report =
        report_of("--attention standard,bsbr --seq-len 16,32,64 --batch-tokens 128 --mode " + mode);
    ASSERT_EQ(report.at("results").size(), 6u);
    EXPECT_EQ(report.at("mode"), mode);
    EXPECT_EQ(report.at("results")[0].at("threads"), 1);
    for (const auto& row : report.at("results")) {
      EXPECT_EQ(row.at("seq_len").get<int>() * row.at("batch_size").get<int>(), 128);
      EXPECT_NEAR(row.at("tokens_per_second").get<double>() * row.at("seconds").get<double>(), 128, 1e-6);
      EXPECT_LE(row.at("fastest_seconds"), row.at("seconds"));
      EXPECT_EQ(row.at("saved_bytes").get<int64_t>() > 0, mode == "train") << row;
      for (const char* figure : {"gemm_share", "fastest_seconds", "gemm_gflops_per_second", "product_gflop",
                                 "attention_gflop", "peak_bytes", "run_bytes", "peak_resident_bytes"}) {
        EXPECT_GT(row.at(figure), 0) << figure << " " << row;
      }
    }
    ASSERT_EQ(report.at("exponents").size(), 2u);
    for (const auto& row : report.at("exponents")) {
      EXPECT_TRUE(row.at("time").is_number()) << row;
      EXPECT_TRUE(row.at("memory").is_number()) << row;
    }
  }
}

TEST(BenchCommand, MemoryOfOneSequenceGrowsWithItsLength) {
  const auto report = report_of("--attention bsbr --seq-len 256,512,1024 --batch-size 1");
  EXPECT_EQ(report.at("results")[2].at("batch_size"), 1);
  EXPECT_NEAR(report.at("exponents")[0].at("memory").get<double>(), 1, 0.2);
}

TEST(BenchCommand, DecodingCostsAndKeepsWhatTheAttentionsSay) {
  const auto report =
      report_of("--mode decode --attention linear,standard --seq-len 32,96,16 --batch-size 2 --warmup 3");
  ASSERT_EQ(report.at("results").size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    const auto& row = report.at("results")[i];
    const bool linear = i < 3;
    EXPECT_EQ(row.at("attention"), linear ? "linear" : "standard");
    EXPECT_EQ(row.at("position"), std::vector<int>({32, 96, 16})[i % 3]);
    // Two layers of width 16 with heads of 8.
    const int position = row.at("position");
    EXPECT_EQ(row.at("state_bytes"), linear ? 2 * 4 * (16 * 8 + 16) : 2 * 8 * 16 * position);
    EXPECT_GE(row.at("held_bytes"), row.at("state_bytes"));
    EXPECT_NEAR(row.at("tokens_per_second").get<double>() * row.at("seconds").get<double>(), 2, 1e-6);
    EXPECT_LE(row.at("fastest_seconds"), row.at("seconds"));
  }
}

TEST(BenchCommand, RecomputesBlocksWhenAskedTo) {
  const auto saved = [](const std::string& recompute) {
    const auto report = report_of("--attention bsbr --seq-len 64 --train.recompute " + recompute);
    return report.at("results")[0].at("saved_bytes").get<int64_t>();
  };
  EXPECT_LT(saved("block"), saved("none") / 2);
}

TEST(BenchCommand, MeasuresTheModelsOwnAttentionsByDefault) {
  const auto report = report_of("--model.attention standard,bsbr --seq-len 16");
  EXPECT_EQ(report.at("results")[0].at("attention"), "standard,bsbr");
  EXPECT_TRUE(report.at("exponents")[0].at("time").is_null());
}

TEST(BenchCommand, EveryPrecisionWithEveryNumberOfThreads) {
  SKIP_WITHOUT_BF16();
  const auto report =
      report_of("--attention standard --precision float32,bf16 --threads 1,2 --seq-len 16,32");
  ASSERT_EQ(report.at("results").size(), 8u);
  ASSERT_EQ(report.at("exponents").size(), 4u);
  EXPECT_EQ(report.at("results")[1].at("precision"), "float32");
  EXPECT_EQ(report.at("results")[3].at("threads"), 2);
  EXPECT_EQ(report.at("results")[5].at("precision"), "bf16");
  EXPECT_EQ(report.at("exponents")[1].at("threads"), 2);
  EXPECT_EQ(report.at("exponents")[2].at("precision"), "bf16");
}

/// In place of a Python, a script that tells what it was given and how long it took.
TEST(BenchCommand, PeersDoTheWorkOfStandardAttention) {
  const TemporaryFolder folder;
  const std::string python = folder / "python with a space";
  write_text(python, "#!/bin/sh\ncat > '" + (folder / "given") +
                         "'\necho '{\"torch\": \"9\", \"seconds\": 2.0, \"fastest\": 1.5}'\n");
  std::filesystem::permissions(python, std::filesystem::perms::owner_all);
  const auto report = report_of("--attention bsbr,standard --seq-len 32 --peers '" + python + "'");
  ASSERT_EQ(report.at("peers").size(), 1u);
  const auto& row = report.at("peers")[0];
  EXPECT_EQ(row.at("peer"), "torch 9");
  EXPECT_NEAR(row.at("times_slower").get<double>() * report.at("results")[1].at("seconds").get<double>(), 2,
              1e-6);
  const auto given = nlohmann::json::parse(read_text(folder / "given"));
  EXPECT_EQ(given.at("seq_len"), 32);
  EXPECT_EQ(given.at("threads"), 1);
  EXPECT_EQ(given.at("precision"), "float32");
}

TEST(BenchCommand, PlotsTimeAndMemory) {
  const TemporaryFolder folder;
  const std::string plots = "--plots '" + (folder / "the plots") + "' ";
  const auto report = report_of(plots + "--attention bsbr,linear --seq-len 16,32 --batch-tokens 64");
  const std::string times = read_text(folder / "the plots/time.csv");
  EXPECT_THAT(times, HasSubstr("\n\"bsbr\",float32,1,16,"));
  EXPECT_THAT(times, HasSubstr("\n\"linear\",float32,1,32,"));
  const auto& row = report.at("results")[3];
  EXPECT_THAT(read_text(folder / "the plots/memory.csv"),
              testing::EndsWith(join(",32,", row.at("run_bytes").get<int64_t>() / 2, "\n")));
  if (shell("command -v gnuplot").status != 0) GTEST_SKIP() << "gnuplot is not installed";
  for (const char* name : {"the plots/time.png", "the plots/memory.png"})
    EXPECT_GT(std::filesystem::file_size(folder / name), 1000) << name;
}

TEST(BenchCommand, MistakesAreClearErrors) {
  const auto expect_error = [](const std::string& words, const std::string& message) {
    const ShellResult result = shell(small + words);
    EXPECT_EQ(result.status, 2) << words;
    EXPECT_THAT(result.errors, HasSubstr(message)) << words;
  };
  expect_error("--attention standart", "did you mean standard?");
  expect_error("--seq-len 16,x", "--seq-len x");
  expect_error("--seq-len 16,64 --batch-tokens 32", "--seq-len 64 is more than --batch-tokens 32");
  expect_error("--seq-len 64 --model.positions learned --model.n_ctx 32", "model.n_ctx = 32");
  expect_error("--model.vocab_size 0", "model.vocab_size");
  expect_error("--mode decode --seq-len 16 --batch-tokens 32", "--batch-size");
  expect_error("--attention standard --seq-len 8 --peers false", "torch");
  expect_error("--precision float16 --seq-len 8", "'float16'");
  expect_error("--threads 0 --seq-len 8", "--threads 0");
}

}  // namespace
}  // namespace tapestry
