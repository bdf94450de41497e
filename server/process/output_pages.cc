#include "server/process/output_pages.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/utf8.h"

namespace spillway::process {
namespace {

struct Chunk {
  std::string text;
  int64_t begin = 0;  // in the file
};

// At most kMaxPageBytes from `after`, or of the end; empty: no such file.
std::optional<Chunk> ReadChunk(const std::string& path, std::optional<int64_t> after) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return std::nullopt;
  const int64_t size = file.tellg();
  Chunk chunk;
  if (!after) chunk.begin = std::max<int64_t>(0, size - int64_t{kMaxPageBytes});
  if (after && *after >= 0 && *after <= size) chunk.begin = *after;
  file.seekg(chunk.begin);
  const auto length = std::min<int64_t>(size - chunk.begin, int64_t{kMaxPageBytes});
  chunk.text.resize(static_cast<size_t>(length));
  file.read(chunk.text.data(), length);
  chunk.text.resize(static_cast<size_t>(file.gcount()));
  if (after || chunk.begin == 0) return chunk;
  // The first line has lost its beginning.
  const size_t end = chunk.text.find('\n');
  if (end == std::string::npos) return chunk;
  chunk.text.erase(0, end + 1);
  chunk.begin += static_cast<int64_t>(end) + 1;
  return chunk;
}

std::vector<std::string> LinesOf(const std::string& text, size_t at_most) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  if (lines.size() > at_most) lines.erase(lines.begin(), lines.end() - static_cast<long>(at_most));
  for (std::string& line : lines) {
    if (line.size() > kMaxLogLine) line.resize(kMaxLogLine);
    line = ValidUtf8(std::move(line));
  }
  return lines;
}

}  // namespace

absl::StatusOr<supervisor::LogPage> ReadOutput(const std::string& path,
                                               const supervisor::LogQuery& query) {
  std::optional<Chunk> chunk = ReadChunk(path, query.after);
  if (!chunk) return absl::NotFoundError(absl::StrCat(path, ": there is no such file"));
  const bool is_full = chunk->text.size() == kMaxPageBytes;
  const size_t end = chunk->text.rfind('\n');
  const bool is_cut = end == std::string::npos && is_full;  // one line, longer than a page
  if (query.is_followed && !is_cut) chunk->text.resize(end == std::string::npos ? 0 : end + 1);
  supervisor::LogPage page;
  page.next = chunk->begin + static_cast<int64_t>(chunk->text.size());
  if (query.after) {
    page.lines = LinesOf(chunk->text, kMaxPageBytes);
    return page;
  }
  const auto wanted = static_cast<size_t>(std::clamp(query.lines, 0, supervisor::kMaxLogLines));
  page.lines = LinesOf(chunk->text, wanted);
  if (page.lines.size() >= wanted || chunk->begin > 0) return page;
  if (const auto earlier = ReadChunk(path + ".1", std::nullopt)) {
    auto lines = LinesOf(earlier->text, wanted - page.lines.size());
    page.lines.insert(page.lines.begin(), lines.begin(), lines.end());
  }
  return page;
}

}  // namespace spillway::process
