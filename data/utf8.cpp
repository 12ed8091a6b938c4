#include "data/utf8.h"

#include <utility>

namespace tapestry {
namespace {

// Length of the character that a lead byte starts (0: none), and the range of its second byte.
struct Lead {
  size_t length;
  unsigned char low, high;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

unsigned char byte_at(std::string_view text, size_t at) { return static_cast<unsigned char>(text[at]); }

}  // namespace

Utf8Prefix valid_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Lead lead = lead_of(byte_at(text, at));
    if (lead.length == 0) return {at, false};
    for (size_t i = 1; i < lead.length; ++i) {
      if (at + i == text.size()) return {at, true};
      const unsigned char byte = byte_at(text, at + i);
      const bool good = i == 1 ? byte >= lead.low && byte <= lead.high : (byte & 0xC0) == 0x80;
      if (!good) return {at, false};
    }
    at += lead.length;
  }
  return {at, false};
}

void append_utf8(char32_t c, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | (c >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0 | (c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

char32_t next_utf8(std::string_view text, size_t& at) {
  const unsigned char first = byte_at(text, at);
  const size_t length = lead_of(first).length;
  char32_t c = length == 1 ? first : first & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) c = (c << 6) | (byte_at(text, at + i) & 0x3F);
  at += length;
  return c;
}

std::string Utf8Stream::push(std::string_view bytes) {
  held_ += bytes;
  size_t end = 0;
  for (;;) {
    const Utf8Prefix prefix = valid_utf8(std::string_view(held_).substr(end));
    end += prefix.valid;
    if (end == held_.size() || prefix.incomplete) break;
    ++end;
  }
  std::string ready = held_.substr(0, end);
  held_.erase(0, end);
  return ready;
}

std::string Utf8Stream::finish() { return std::exchange(held_, ""); }

}  // namespace tapestry
