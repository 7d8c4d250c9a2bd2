// SPDX-License-Identifier: Apache-2.0
//
// Boost.JSON compiled into this plugin, so that the package needs no library
// of its machine for it.
#include <boost/json/src.hpp>
