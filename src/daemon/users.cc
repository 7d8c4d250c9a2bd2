// SPDX-License-Identifier: Apache-2.0
#include "daemon/users.h"

#include <pwd.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "base/name.h"

namespace mlos::daemon {
namespace {

constexpr size_t kEntryBytes = 16 << 10;

StatusOr<uid_t> ReadUser(std::string_view text) {
  uid_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && stop == end && number != static_cast<uid_t>(-1)) return number;
  const std::string name(text);
  std::vector<char> entry(kEntryBytes);
  passwd user{};
  passwd* found = nullptr;
  const int failed = ::getpwnam_r(name.c_str(), &user, entry.data(), entry.size(), &found);
  if (failed != 0 || found == nullptr) {
    return InvalidArgument("there is no user " + Quoted(text) +
                           ": give names or numbers with commas between");
  }
  return user.pw_uid;
}

}  // namespace

StatusOr<std::vector<uid_t>> ReadUsers(std::string_view text) {
  std::vector<uid_t> users;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    MLOS_ASSIGN_OR_RETURN(const uid_t user, ReadUser(text.substr(0, comma)));
    users.push_back(user);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
    if (text.empty()) return InvalidArgument("a user's name is missing behind the last comma");
  }
  return users;
}

}  // namespace mlos::daemon
