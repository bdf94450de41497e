# The only helpers of the build: a library lists its files and direct dependencies, a test its own.

add_library(spillway_warnings INTERFACE)
add_library(spillway::warnings ALIAS spillway_warnings)
target_compile_options(spillway_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  $<$<BOOL:${SPILLWAY_WARNINGS_AS_ERRORS}>:-Werror>)
target_include_directories(spillway_warnings INTERFACE ${PROJECT_SOURCE_DIR})

if(SPILLWAY_SANITIZE)
  # gcc sees uninitialised values in <regex> where a sanitizer has added code of its own.
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  add_compile_options(-fsanitize=${SPILLWAY_SANITIZE}
    $<$<BOOL:${SPILLWAY_FUZZERS}>:-fsanitize=fuzzer-no-link> -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SPILLWAY_SANITIZE})
endif()

# spillway_library(name headers… SOURCES sources… DEPS targets…): static library spillway::name.
# Headers are public; a library without SOURCES is header-only.
function(spillway_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  set(headers ${arg_UNPARSED_ARGUMENTS})
  if(arg_SOURCES)
    add_library(spillway_${name} STATIC ${arg_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(spillway_${name} PRIVATE spillway::warnings)
  else()
    add_library(spillway_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(spillway_${name} ${scope} ${PROJECT_SOURCE_DIR})
  target_sources(spillway_${name} ${scope} FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${headers})
  target_link_libraries(spillway_${name} ${scope} ${arg_DEPS})
  add_library(spillway::${name} ALIAS spillway_${name})
endfunction()

# spillway_test(name LABELS label SOURCES sources… DEPS targets… [ARGS arguments…]): one GoogleTest binary, run by
# CTest as one test.
function(spillway_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LABELS;TIMEOUT" "SOURCES;DEPS;ARGS")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE spillway::warnings ${arg_DEPS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
endfunction()

# spillway_fuzzer(name SOURCES sources… DEPS targets… [SEEDS folder]): one libFuzzer binary, run for
# SPILLWAY_FUZZ_SECONDS by CTest under the label `fuzz`, from the seeds. Nothing unless SPILLWAY_FUZZERS.
set(SPILLWAY_FUZZ_SECONDS 20 CACHE STRING "How long CTest runs each fuzzer")
function(spillway_fuzzer name)
  if(NOT SPILLWAY_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SEEDS" "SOURCES;DEPS")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE spillway::warnings ${arg_DEPS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  # New inputs go to the first folder; a crash leaves its input beside it.
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${name}-corpus)
  add_test(NAME ${name} COMMAND ${name} -seed=1 -max_total_time=${SPILLWAY_FUZZ_SECONDS} -max_len=16384
    ${CMAKE_CURRENT_BINARY_DIR}/${name}-corpus ${arg_SEEDS})
  math(EXPR timeout "${SPILLWAY_FUZZ_SECONDS} + 100")
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT ${timeout})
endfunction()
