// SPDX-License-Identifier: Apache-2.0
//
// SIGHUP: the options are read again, from the same command line and
// environment and from what the file says now.
#pragma once

#include "options/read.h"

namespace mlos::daemon {

// Takes over what may change in a running daemon and says so in the log, as
// well as what needs a restart.  With a fault anywhere nothing changes.
void Reload(const options::Inputs& inputs, options::Settings* settings);

// Sets the log's level to what the settings say.
void ApplyLogLevel(const options::Settings& settings);

// The same with the form of its lines.
void ApplyLogFormat(const options::Settings& settings);

}  // namespace mlos::daemon
