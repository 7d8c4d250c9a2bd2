// SPDX-License-Identifier: Apache-2.0
//
// What is in the objects that operations answer with, and in errors.  The
// schemas of the OpenAPI document and the reference pages come from here; a
// test compares the objects of a real daemon with it, member by member.
//
// Constant data; any thread.
#pragma once

#include <span>
#include <string_view>

#include "operations/operations.h"

namespace mlos::operations {

enum class Is : uint8_t { kOne, kNullable, kList };

struct Member {
  std::string_view name;
  uint32_t number = 0;  // as Field's
  Type type = Type::kUnset;
  Is is = Is::kOne;
  std::string_view help;
  std::string_view values = {};        // where only these occur: "a|b|c"
  ObjectKind of = ObjectKind::kUnset;  // where it is an object, or a list of them
};

struct ObjectRow {
  ObjectKind kind = ObjectKind::kUnset;
  std::string_view name;  // "Plugin"
  std::string_view help;
  std::span<const Member> members;  // none: any object
};

std::span<const ObjectRow> Objects();
const ObjectRow& Object(ObjectKind kind);

// The status codes of answers.  `code` is the canonical name, which errors
// carry; empty for success.
struct StatusRow {
  int status;
  std::string_view code;
  std::string_view help;
};
std::span<const StatusRow> Statuses();

// Whether an operation can answer with a status, as far as its row tells.
bool CanAnswer(const OperationRow& row, const StatusRow& status);

}  // namespace mlos::operations
