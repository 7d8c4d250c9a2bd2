// SPDX-License-Identifier: Apache-2.0
//
// The words of gRPC over HTTP/2: status texts, timeouts, binary metadata,
// lists of names.  Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlos::rpc {

// What this server can read, as it tells clients.
inline constexpr std::string_view kAcceptEncoding = "identity,deflate,gzip";
// Whether a list such as the above has it.
bool ListHas(std::string_view list, std::string_view name);

// "application/grpc", also with +proto and with parameters.
bool IsGrpc(std::string_view content_type);

// Appends `text` as grpc-message wants it: printable ASCII but for '%' and
// spaces at either end, the rest as %XX.
void AppendPercentEncoded(std::string_view text, std::string* out);

// grpc-timeout: up to eight digits and a unit.  In nanoseconds, at most what
// fits; nullopt: malformed.
std::optional<uint64_t> ParseTimeout(std::string_view text);

// The value of metadata whose name ends in -bin: base64 with or without
// padding.  False: it is not.
bool DecodeBinary(std::string_view text, std::string* out);
std::string EncodeBinary(std::string_view bytes);

}  // namespace mlos::rpc
