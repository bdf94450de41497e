// Where a user's own files are, by the environment.
#ifndef SPILLWAY_CONFIG_USER_FILES_H_
#define SPILLWAY_CONFIG_USER_FILES_H_

#include <string>

namespace spillway::config {

// $XDG_CONFIG_HOME/spillway/<name>, or ~/.config/spillway/<name>.
std::string UserConfigFile(const std::string& name);

}  // namespace spillway::config

#endif  // SPILLWAY_CONFIG_USER_FILES_H_
