// Names for addresses of another process, from its memory map and the files named there.
#ifndef SPILLWAY_SERVER_PROCESS_SYMBOLIZER_H_
#define SPILLWAY_SERVER_PROCESS_SYMBOLIZER_H_

#include <cstdint>
#include <memory>
#include <string>

struct Dwfl;

namespace spillway::process {

// One thread. Reads files; takes a moment. Whatever it does not know it leaves out.
class Symbolizer {
 public:
  // `maps` as in /proc/<pid>/maps.
  explicit Symbolizer(const std::string& maps);
  ~Symbolizer();
  Symbolizer(const Symbolizer&) = delete;
  Symbolizer& operator=(const Symbolizer&) = delete;

  struct Place {
    std::string function;  // demangled; empty: not known
    std::string source;    // "flusher.cc:120"; empty: not known
    std::string module;    // "libc.so.6"
  };
  // `is_return`: the address is where a call returns to, not where it was interrupted.
  Place Find(uint64_t address, bool is_return) const;

 private:
  Dwfl* dwfl_;
};

// "spillway::flush::Flusher::Step(int) const" → "spillway::flush::Flusher::Step"
std::string WithoutParameters(const std::string& function);

}  // namespace spillway::process

#endif  // SPILLWAY_SERVER_PROCESS_SYMBOLIZER_H_
