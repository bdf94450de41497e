// Named steps at which a test can kill the process, as a power cut would, or let it hang.
//
//   SPILLWAY_FAILPOINT("ingest.add.answered");
//
// Compiled in only where SPILLWAY_FAILPOINTS is defined (the CMake option of that name: presets for
// development and tests); elsewhere the macro is nothing, and neither names nor code are in the
// binary.
//
// A test arms a point from outside: the environment variable SPILLWAY_FAILPOINT_DIR names a folder,
// and a file in it named like the point holds a number n. Of the processes with that variable, the
// first to reach the point for the n-th time since the file was there removes the file and ends
// with SIGKILL. A file is removed once, so the successor lives. With the word "hang" behind the
// number it does not end but computes for ever (HangsInFailpoint in its stacks), deaf to TERM.
//
//   SPILLWAY_POISON("flush.assemble", bytes);
//
// is a step at which a content ends every process that works on it. The file
// "flush.assemble.poison" holds a signal's number, a space, and what makes `bytes` poisonous; it
// stays.
//
//   if (SPILLWAY_FORGETS("flush.claim.forgotten")) return;
//
// is a step that a test can have forgotten: the process lives and reports, but what waits for the
// step waits for ever. The file "flush.claim.forgotten" is removed by the first that reaches it,
// and only that forgets the step.
#ifndef SPILLWAY_BASE_FAILPOINT_H_
#define SPILLWAY_BASE_FAILPOINT_H_

#ifdef SPILLWAY_FAILPOINTS

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace spillway {

// Use the macro. Loop thread only. Costs a look at the folder, if there is one.
void ReachFailpoint(const char* name);

// Use the macro. Loop thread only.
void TastePoison(const char* name, absl::string_view bytes);

// Use the macro. Loop thread only. True: the step is not to be done.
bool ForgetsStep(const char* name);

// Every point that is linked into this program, sorted, each once.
std::vector<std::string> AllFailpoints();

}  // namespace spillway

// The linker gathers the names, so that they are known before they are reached. Not for inline
// functions and templates.
#define SPILLWAY_FAILPOINT(name)                                                                 \
  do {                                                                                           \
    __attribute__((section("spillway_failpoints"), used)) static const char* const point = name; \
    ::spillway::ReachFailpoint(point);                                                           \
  } while (false)
#define SPILLWAY_POISON(name, bytes) ::spillway::TastePoison(name, bytes)
#define SPILLWAY_FORGETS(name) ::spillway::ForgetsStep(name)

#else

#define SPILLWAY_FAILPOINT(name) \
  do {                           \
  } while (false)

#define SPILLWAY_POISON(name, bytes) \
  do {                               \
  } while (false)

#define SPILLWAY_FORGETS(name) false

#endif  // SPILLWAY_FAILPOINTS

#endif  // SPILLWAY_BASE_FAILPOINT_H_
