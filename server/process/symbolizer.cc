#include "server/process/symbolizer.h"

#include <cxxabi.h>
#include <elfutils/libdwfl.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace spillway::process {
namespace {

// Only what the program's own files hold: separate debug information may be a download.
int FindNoDebugInfo(Dwfl_Module*, void**, const char*, Dwarf_Addr, const char*, const char*,
                    GElf_Word, char**) {
  return -1;
}

std::string BaseName(const char* path) {
  const std::string text = path == nullptr ? "" : path;
  return text.substr(text.rfind('/') + 1);
}

std::string Demangle(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(symbol, nullptr, nullptr, &status), std::free);
  return status == 0 ? name.get() : symbol;
}

}  // namespace

Symbolizer::Symbolizer(const std::string& maps) {
  static const Dwfl_Callbacks kCallbacks = {.find_elf = dwfl_linux_proc_find_elf,
                                            .find_debuginfo = FindNoDebugInfo,
                                            .section_address = nullptr,
                                            .debuginfo_path = nullptr};
  dwfl_ = dwfl_begin(&kCallbacks);
  if (dwfl_ == nullptr || maps.empty()) return;
  std::FILE* file = ::fmemopen(const_cast<char*>(maps.data()), maps.size(), "r");
  if (file == nullptr) return;
  dwfl_linux_proc_maps_report(dwfl_, file);
  std::fclose(file);
  dwfl_report_end(dwfl_, nullptr, nullptr);
}

Symbolizer::~Symbolizer() { dwfl_end(dwfl_); }

Symbolizer::Place Symbolizer::Find(uint64_t address, bool is_return) const {
  // The call, not what follows it: that may be another line, or another function.
  const Dwarf_Addr at = is_return && address > 0 ? address - 1 : address;
  Dwfl_Module* module = dwfl_ == nullptr ? nullptr : dwfl_addrmodule(dwfl_, at);
  if (module == nullptr) return {};
  Place place;
  place.module = BaseName(
      dwfl_module_info(module, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr));
  if (const char* symbol = dwfl_module_addrname(module, at)) place.function = Demangle(symbol);
  int line = 0;
  Dwfl_Line* source = dwfl_module_getsrc(module, at);
  const char* file = source == nullptr
                         ? nullptr
                         : dwfl_lineinfo(source, nullptr, &line, nullptr, nullptr, nullptr);
  if (file != nullptr) place.source = absl::StrCat(BaseName(file), ":", line);
  return place;
}

std::string WithoutParameters(const std::string& function) {
  const size_t close = function.rfind(')');
  if (close == std::string::npos) return function;
  int depth = 0;
  for (size_t i = close + 1; i-- > 0;) {
    if (function[i] == ')') ++depth;
    if (function[i] == '(' && --depth == 0) return i > 0 ? function.substr(0, i) : function;
  }
  return function;
}

}  // namespace spillway::process
