#include "client/output/table.h"

#include <algorithm>

namespace spillway::client {

void Table::Print(std::ostream& out) const {
  std::vector<size_t> widths(rows_.front().size(), 1);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string& cell = row[i].empty() ? "-" : row[i];
      line += cell;
      if (i + 1 < row.size()) line.append(widths[i] - cell.size() + 2, ' ');
    }
    out << line << '\n';
  }
}

}  // namespace spillway::client
