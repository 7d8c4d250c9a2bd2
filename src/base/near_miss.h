// SPDX-License-Identifier: Apache-2.0
//
// "Did you mean …?": the known word that was probably meant.  Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlos {

// The word of `known` that is fewest edits (insert, delete, replace, swap of
// neighbours; capitals count as equal) from `word`; empty when none is close
// enough to be a slip of the fingers.
std::string_view NearMiss(std::string_view word, const std::vector<std::string_view>& known);

// " (did you mean 'formats'?)" or "": ready to put behind a word in a message.
std::string DidYouMean(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace mlos
