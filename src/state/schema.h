// SPDX-License-Identifier: Apache-2.0
//
// What a state file holds, in SQL: its versions, and how to know it.
//
// A new version is a new row of the table in schema.cc, never a changed one.
// Whatever a version does, it keeps `record` and `seal` with the columns of
// version 1, because a file is checked before it is brought up to date.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "state/content_seal.h"
#include "state/sqlite.h"
#include "state/state_store.h"

namespace mlos::state {

constexpr int64_t kApplicationId = 0x6d6c4f53;  // "mlOS": marks the file as ours

struct Migration {
  int64_t version;  // 1, 2, 3, … without gaps
  const char* sql;  // brings a file of the version before to this one
};
std::span<const Migration> Migrations();

// Of our application and of a version in `migrations`, or an error that says
// what it is instead.  Reads only.
Status CheckIdentity(Connection& connection, std::string_view path,
                     std::span<const Migration> migrations);

// Brings a sound file to the newest version, each step whole or not at all.
// On a new, empty file also marks it as ours.
int Migrate(Connection& connection, std::span<const Migration> migrations);

// Every record, and the seal over them.
int ReadRecords(Connection& connection, std::vector<Record>* records, ContentSeal* seal);

// The seal that was kept with them, and whether a session that made changes
// did not come to its orderly end.
int ReadSeal(Connection& connection, ContentSeal* seal, bool* in_use);

}  // namespace mlos::state
