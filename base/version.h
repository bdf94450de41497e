// The version of Spillway that this was built from: project(spillway VERSION …) of the build.
#ifndef SPILLWAY_BASE_VERSION_H_
#define SPILLWAY_BASE_VERSION_H_

namespace spillway {

const char* Version();  // "0.1.0"

}  // namespace spillway

#endif  // SPILLWAY_BASE_VERSION_H_
