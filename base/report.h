#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/options.h"

namespace tapestry {

/// The option of every verb that reports; it belongs to the section without a name.
struct ReportOptions {
  std::string json;
};
const OptionTable<ReportOptions>& report_options();

/// One value of a report.
class Figure {
 public:
  using Value = std::variant<std::monostate, bool, int64_t, double, std::string>;

  Figure() = default;  // not measured: "-" for people, null in JSON
  template <class T>
  requires(!std::same_as<std::remove_cvref_t<T>, Figure>) Figure(T&& value)
      : value_(stored(std::forward<T>(value))) {}
  // Not by the variant's own copy constructor: in code of GCC 12, without memory for a text it jumps astray.
  Figure(const Figure& other) {
    std::visit([this](auto copy) { value_ = std::move(copy); }, other.value_);
  }
  Figure(Figure&&) = default;
  Figure& operator=(Figure other) {
    value_ = std::move(other.value_);
    return *this;
  }

  const Value& value() const { return value_; }
  bool is_text() const { return std::holds_alternative<std::string>(value_); }
  std::string text() const;

 private:
  template <class T>
  static Value stored(T&& value) {
    using Plain = std::decay_t<T>;
    if constexpr (std::is_same_v<Plain, bool>)
      return value;
    else if constexpr (std::is_integral_v<Plain>)
      return static_cast<int64_t>(value);
    else if constexpr (std::is_floating_point_v<Plain>)
      return static_cast<double>(value);
    else
      return std::string(std::forward<T>(value));
  }
  Value value_;
};

/// The figures of a verb in the order in which they are added: an aligned table for people and one JSON
/// object for programs. A number that is not finite becomes null, with "<name>_nonfinite": "nan", "inf" or
/// "-inf".
class Report {
 public:
  /// Rows of the same columns; in JSON an array of objects.
  class Table {
   public:
    explicit Table(std::vector<std::string> columns) : columns_(std::move(columns)) {}
    void row(std::vector<Figure> figures);
    const std::vector<std::string>& columns() const { return columns_; }
    const std::vector<std::vector<Figure>>& rows() const { return rows_; }
    std::string text(const std::string& indent) const;

   private:
    std::vector<std::string> columns_;
    std::vector<std::vector<Figure>> rows_;
  };

  /// Names are JSON keys, lower_case; `shown` replaces the value for people ("1.2 GiB").
  Report& add(const std::string& name, Figure figure, const std::string& shown = "");
  /// The table, or the report inside this one, stays valid as long as this report does.
  Table& table(const std::string& name, std::vector<std::string> columns);
  Report& group(const std::string& name);

  std::string text(const std::string& indent = "") const;
  std::string json() const;

  /// Prints the text and writes the JSON to `options.json` if it is given. If that is "-", the JSON goes to
  /// standard output and the text to standard error.
  void write(const ReportOptions& options) const;

  struct Line {
    Figure figure;
    std::string shown;
  };
  struct Entry {
    std::string name;
    std::variant<Line, std::unique_ptr<Table>, std::unique_ptr<Report>> content;
  };
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

/// Throws Error(io) at once if the JSON could not be written later, after the work.
void check_report_destination(const ReportOptions& options);

}  // namespace tapestry
