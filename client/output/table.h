// Columns of text, left-aligned, two blanks apart, as wide as their widest cell.
#ifndef SPILLWAY_CLIENT_OUTPUT_TABLE_H_
#define SPILLWAY_CLIENT_OUTPUT_TABLE_H_

#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace spillway::client {

class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  // REQUIRES: as many cells as the header has. An empty cell is shown as "-".
  void AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void Print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_OUTPUT_TABLE_H_
