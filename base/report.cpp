#include "base/report.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

namespace tapestry {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string name_of_nonfinite(double value) { return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf"; }

std::string short_number(double value) {
  if (!std::isfinite(value)) return name_of_nonfinite(value);
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

void put(OrderedJson& object, const std::string& name, const Figure& figure) {
  OrderedJson& json = object[name];
  const auto* number = std::get_if<double>(&figure.value());
  if (number && !std::isfinite(*number)) {
    object[name + "_nonfinite"] = name_of_nonfinite(*number);
  } else {
    std::visit(
        [&](const auto& value) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(value)>, std::monostate>) json = value;
        },
        figure.value());
  }
}

OrderedJson json_of(const Report::Table& table) {
  OrderedJson rows = OrderedJson::array();
  for (const auto& row : table.rows()) {
    OrderedJson object = OrderedJson::object();
    for (size_t i = 0; i < row.size(); ++i) put(object, table.columns()[i], row[i]);
    rows.push_back(std::move(object));
  }
  return rows;
}

OrderedJson json_of(const Report& report) {
  OrderedJson object = OrderedJson::object();
  for (const Report::Entry& entry : report.entries()) {
    if (const auto* line = std::get_if<Report::Line>(&entry.content)) {
      put(object, entry.name, line->figure);
    } else if (const auto* table = std::get_if<std::unique_ptr<Report::Table>>(&entry.content)) {
      object[entry.name] = json_of(**table);
    } else {
      object[entry.name] = json_of(*std::get<std::unique_ptr<Report>>(entry.content));
    }
  }
  return object;
}

std::string padded(const std::string& text, size_t width, bool right) {
  const std::string space(width - std::min(width, text.size()), ' ');
  return right ? space + text : text + space;
}

size_t widest_name(const std::vector<Report::Entry>& entries) {
  size_t width = 0;
  for (const auto& entry : entries) {
    if (std::holds_alternative<Report::Line>(entry.content)) width = std::max(width, entry.name.size());
  }
  return width;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text << std::flush;
  check(file.good(), Exit::io, "cannot write ", path, ": ", std::strerror(errno));
}

}  // namespace

const OptionTable<ReportOptions>& report_options() {
  static const auto table =
      OptionTable<ReportOptions>("", "Report")
          .add("json", &ReportOptions::json,
               "write every figure as one JSON object to this file, - for standard output");
  return table;
}

std::string Figure::text() const {
  const auto format = [](const auto& value) -> std::string {
    using Kind = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<Kind, std::monostate>)
      return "-";
    else if constexpr (std::is_same_v<Kind, bool>)
      return value ? "yes" : "no";
    else if constexpr (std::is_same_v<Kind, double>)
      return short_number(value);
    else
      return join(value);
  };
  return std::visit(format, value_);
}

void Report::Table::row(std::vector<Figure> figures) {
  require(figures.size() == columns_.size(), "a row of ", figures.size(), " figures in a table of ",
          columns_.size(), " columns");
  rows_.push_back(std::move(figures));
}

// Texts stand at the left edge of their column, numbers at the right.
std::string Report::Table::text(const std::string& indent) const {
  std::vector<size_t> widths(columns_.size());
  std::vector<bool> right(columns_.size(), true);
  for (size_t i = 0; i < columns_.size(); ++i) {
    widths[i] = columns_[i].size();
    for (const auto& row : rows_) {
      widths[i] = std::max(widths[i], row[i].text().size());
      if (row[i].is_text()) right[i] = false;
    }
  }
  const auto line = [&](const auto& cell) {
    std::string text = indent;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) text += "  ";
      text += padded(cell(i), widths[i], right[i]);
    }
    return text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  };
  std::string text = line([&](size_t i) { return columns_[i]; });
  for (const auto& row : rows_) text += line([&](size_t i) { return row[i].text(); });
  return text;
}

Report& Report::add(const std::string& name, Figure figure, const std::string& shown) {
  entries_.push_back({name, Line{std::move(figure), shown}});
  return *this;
}

Report::Table& Report::table(const std::string& name, std::vector<std::string> columns) {
  entries_.push_back({name, std::make_unique<Table>(std::move(columns))});
  return *std::get<std::unique_ptr<Table>>(entries_.back().content);
}

Report& Report::group(const std::string& name) {
  entries_.push_back({name, std::make_unique<Report>()});
  return *std::get<std::unique_ptr<Report>>(entries_.back().content);
}

std::string Report::text(const std::string& indent) const {
  const size_t width = widest_name(entries_);
  std::string text;
  for (const Entry& entry : entries_) {
    if (const auto* line = std::get_if<Line>(&entry.content)) {
      const std::string value = line->shown.empty() ? line->figure.text() : line->shown;
      text += indent + padded(entry.name, width, false) + "  " + value + "\n";
    } else if (const auto* table = std::get_if<std::unique_ptr<Table>>(&entry.content)) {
      text += indent + entry.name + "\n" + (*table)->text(indent + "  ");
    } else {
      const auto& group = std::get<std::unique_ptr<Report>>(entry.content);
      text += indent + entry.name + "\n" + group->text(indent + "  ");
    }
  }
  return text;
}

std::string Report::json() const {
  return json_of(*this).dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

void Report::write(const ReportOptions& options) const {
  if (options.json == "-") {
    std::cerr << text();
    std::cout << json() << std::flush;
    return;
  }
  std::cout << text() << std::flush;
  if (!options.json.empty()) write_file(options.json, json());
}

void check_report_destination(const ReportOptions& options) {
  const std::string& path = options.json;
  if (path.empty() || path == "-") return;
  check(!std::filesystem::is_directory(path), Exit::io, "cannot write the report to ", path,
        ": it is a folder");
  const auto folder = std::filesystem::path(path).parent_path();
  const bool exists = access(path.c_str(), F_OK) == 0;
  const std::string target = exists ? path : folder.empty() ? "." : folder.string();
  const bool writable = access(target.c_str(), W_OK) == 0;
  check(writable, Exit::io, "cannot write the report to ", path, ": ", std::strerror(errno));
}

}  // namespace tapestry
