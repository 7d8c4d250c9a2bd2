// SPDX-License-Identifier: Apache-2.0
//
// The durable part of the catalog's records, to and from the text that the
// state store keeps.  Unknown members are an error: a newer mlosd wrote them,
// and dropping them would lose what was acknowledged.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "catalog/record.h"

namespace mlos::catalog {

inline constexpr std::string_view kPluginKind = "plugin";      // key NAME/VERSION
inline constexpr std::string_view kModelKind = "model";        // key NAME/VERSION
inline constexpr std::string_view kGroupKind = "model_group";  // key NAME

std::string KeyOf(const PluginVersion& plugin);
std::string KeyOf(const ModelVersion& model);

std::string Encode(const PluginVersion& plugin);
std::string Encode(const ModelVersion& model);
std::string Encode(const ModelGroup& group);

// DATA_LOSS with what is wrong.
StatusOr<PluginVersion> DecodePlugin(std::string_view text);
StatusOr<ModelVersion> DecodeModel(std::string_view text);
StatusOr<ModelGroup> DecodeGroup(std::string_view text);

}  // namespace mlos::catalog
