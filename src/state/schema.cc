// SPDX-License-Identifier: Apache-2.0
#include "state/schema.h"

#include <fmt/core.h>

namespace mlos::state {
namespace {

constexpr Migration kMigrations[] = {
    {1,
     "CREATE TABLE record("
     "  kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(kind, key)"
     ") STRICT, WITHOUT ROWID;"
     "CREATE TABLE seal("
     "  id INTEGER PRIMARY KEY CHECK(id = 1), records INTEGER NOT NULL, digest INTEGER NOT NULL,"
     "  in_use INTEGER NOT NULL CHECK(in_use IN (0, 1))"
     ") STRICT;"
     "INSERT INTO seal VALUES(1, 0, 0, 0);"},
};

int Reseal(Connection& connection) {
  std::vector<Record> records;
  ContentSeal seal;
  const int code = ReadRecords(connection, &records, &seal);
  if (code != SQLITE_OK) return code;
  const std::string sql =
      fmt::format("UPDATE seal SET records = {}, digest = {}", seal.records(), seal.digest());
  return connection.Run(sql.c_str());
}

// A migration may rewrite records, so the seal is made anew with it.
int RunMigration(Connection& connection, const Migration& migration) {
  int code = connection.Run(migration.sql);
  if (code == SQLITE_OK) code = Reseal(connection);
  if (code != SQLITE_OK) return code;
  const std::string marks = fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}",
                                        kApplicationId, migration.version);
  return connection.Run(marks.c_str());
}

}  // namespace

std::span<const Migration> Migrations() { return kMigrations; }

Status CheckIdentity(Connection& connection, std::string_view path,
                     std::span<const Migration> migrations) {
  int64_t application = 0;
  int64_t version = 0;
  int code = connection.Read("PRAGMA application_id", &application);
  if (code == SQLITE_OK) code = connection.Read("PRAGMA user_version", &version);
  if (code != SQLITE_OK) return CannotOpen(path, connection.Error(code));
  if (application != kApplicationId) {
    return FailedPrecondition(fmt::format(
        "the file {} is an SQLite database of another application (id {:#x}), not a state file: "
        "nothing was changed in it; move it away to start empty, or choose another file",
        path, static_cast<uint32_t>(application)));
  }
  const int64_t newest = migrations.back().version;
  if (version > newest) {
    return FailedPrecondition(fmt::format(
        "the state file {} was written by a newer release (its schema version is {}, this release "
        "knows up to {}): nothing was changed in it; start the newer release, or restore a copy "
        "from before the upgrade",
        path, version, newest));
  }
  if (version < 1) return DamagedFile(path, fmt::format("schema version {}", version));
  return OkStatus();
}

int Migrate(Connection& connection, std::span<const Migration> migrations) {
  int64_t version = 0;
  int code = connection.Read("PRAGMA user_version", &version);
  for (const Migration& migration : migrations) {
    if (code != SQLITE_OK) return code;
    if (migration.version <= version) continue;
    code = connection.Run("BEGIN IMMEDIATE");
    if (code == SQLITE_OK) code = RunMigration(connection, migration);
    if (code == SQLITE_OK) code = connection.Run("COMMIT");
  }
  return code;
}

int ReadRecords(Connection& connection, std::vector<Record>* records, ContentSeal* seal) {
  Statement select;
  int code = connection.Prepare("SELECT kind, key, value FROM record ORDER BY kind, key", &select);
  if (code != SQLITE_OK) return code;
  while ((code = select.Step()) == SQLITE_ROW) {
    Record record{std::string(select.Text(0)), std::string(select.Text(1)),
                  std::string(select.Text(2))};
    seal->Add(record.kind, record.key, record.value);
    records->push_back(std::move(record));
  }
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

int ReadSeal(Connection& connection, ContentSeal* seal, bool* in_use) {
  Statement select;
  int code = connection.Prepare("SELECT records, digest, in_use FROM seal", &select);
  if (code != SQLITE_OK) return code;
  code = select.Step();
  if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_CORRUPT : code;
  *seal = ContentSeal(select.Number(0), select.Number(1));
  *in_use = select.Number(2) != 0;
  return SQLITE_OK;
}

}  // namespace mlos::state
