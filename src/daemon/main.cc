// SPDX-License-Identifier: Apache-2.0
//
// mlosd: the core.  Exit status: 0 stopped as told, 1 could not start, 2 usage,
// 3 another daemon has the data directory.
#include <cstdio>

#include "daemon/core.h"
#include "daemon/data_dir.h"
#include "daemon/options.h"
#include "frontends/http/server.h"
#include "state/sqlite_store.h"

namespace {

int Refuse(int status, std::string_view text) {
  std::fprintf(stderr, "mlosd: %.*s\n", static_cast<int>(text.size()), text.data());
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  mlos::daemon::Options options;
  int exit_status = 0;
  if (!mlos::daemon::ParseOptions(argc, argv, &options, &exit_status)) return exit_status;
  if (options.auth != "off") {
    return Refuse(2,
                  "this release has no access control yet: start it with --auth off, which "
                  "listens on loopback addresses and Unix sockets only");
  }
  for (const std::string& address : options.http_addresses) {
    if (address == "off") continue;
    const mlos::Status local = mlos::http::CheckLocalAddress(address);
    if (!local.ok()) {
      return Refuse(2, "--http-address " + address + ": " + std::string(mlos::Message(local)));
    }
  }
  const auto lock = mlos::daemon::HoldDataDir(options.data_dir);
  if (!lock.ok()) {
    const bool taken = lock.status().code() == mlos::StatusCode::kAlreadyExists;
    return Refuse(taken ? 3 : 1, mlos::Message(lock.status()));
  }
  auto store = mlos::state::SqliteStore::Open(options.data_dir + "/state.db");
  if (!store.ok()) {
    const bool taken = store.status().code() == mlos::StatusCode::kAlreadyExists;
    return Refuse(taken ? 3 : 1, mlos::Message(store.status()));
  }
  mlos::daemon::Core core(options, *std::move(store));
  const mlos::Status started = core.Start();
  if (!started.ok()) return Refuse(1, mlos::Message(started));
  return core.Run();
}
