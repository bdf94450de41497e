# Finds everything Spillway links, as installed by deploy/dependencies. Nothing is downloaded here.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(GTest CONFIG REQUIRED)
find_package(benchmark CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(simdjson CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)

# hiredis >= 1.2 with TLS and librdkafka >= 2.4 (fetch.queue.backoff.ms): Debian 13 has them; on
# Debian 12 deploy/dependencies builds them into this prefix.
set(SPILLWAY_DEPENDENCIES_PREFIX "${PROJECT_SOURCE_DIR}/build/dependencies" CACHE PATH
  "Where deploy/dependencies puts libraries that the distribution lacks")
list(PREPEND CMAKE_PREFIX_PATH ${SPILLWAY_DEPENDENCIES_PREFIX})

pkg_check_modules(hiredis IMPORTED_TARGET "hiredis>=1.0")
pkg_check_modules(hiredis_ssl IMPORTED_TARGET "hiredis_ssl>=1.0")
if(NOT hiredis_FOUND OR NOT hiredis_ssl_FOUND)
  message(FATAL_ERROR "hiredis >= 1.0 with TLS is missing: run deploy/dependencies")
endif()
pkg_check_modules(rdkafka REQUIRED IMPORTED_TARGET "rdkafka>=2.4")
pkg_check_modules(libuv REQUIRED IMPORTED_TARGET "libuv>=1.44")
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET "libzstd>=1.5")
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET "libxxhash>=0.8")
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(libdw REQUIRED IMPORTED_TARGET "libdw>=0.180")
pkg_check_modules(libsystemd REQUIRED IMPORTED_TARGET libsystemd)
find_path(SPILLWAY_HTTPLIB_INCLUDE_DIR httplib.h REQUIRED)
