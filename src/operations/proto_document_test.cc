// SPDX-License-Identifier: Apache-2.0
#include "operations/proto_document.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

namespace mlos::operations {
namespace {

std::string ReadText(const std::string& path) {
  std::ifstream in(MLOS_SOURCE_DIR + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(ProtoDocumentTest, IsWhatStandsInTheTree) {
  EXPECT_EQ(ProtoDocument(), ReadText("/proto/mlos/v1/management.proto"))
      << "mlos manual --proto > proto/mlos/v1/management.proto";
}

// What a client has compiled in: methods, and the fields of messages without their texts.
std::set<std::string> OnTheWire(const std::string& document) {
  std::set<std::string> out;
  std::istringstream lines(document);
  std::string message;
  for (std::string line; std::getline(lines, line);) {
    if (line.substr(0, 8) == "message ") message = line.substr(8, line.find(' ', 8) - 8);
    if (line.substr(0, 6) == "  rpc ") out.insert(line.substr(2));
    if (line.substr(0, 2) != "  " || line.find(" = ") == std::string::npos) continue;
    if (line.substr(0, 4) != "  //") out.insert(message + ": " + line.substr(2));
  }
  return out;
}

// Lines of the list are neither changed nor taken away.
TEST(ProtoDocumentTest, NothingOnTheWireChanges) {
  const std::set<std::string> now = OnTheWire(ProtoDocument());
  ASSERT_LT(100u, now.size());
  std::set<std::string> listed;
  std::istringstream list(ReadText("/proto/mlos/v1/management.numbers"));
  for (std::string line; std::getline(list, line);) {
    if (!line.empty() && line[0] != '#') listed.insert(line);
  }
  for (const std::string& line : listed) {
    EXPECT_EQ(1u, now.count(line)) << "clients rely on it, and it is gone or another: " << line;
  }
  for (const std::string& line : now) {
    EXPECT_EQ(1u, listed.count(line))
        << "new; write it at the end of proto/mlos/v1/management.numbers: " << line;
  }
}

TEST(ProtoDocumentTest, EveryOperationIsOfTheOneService) {
  for (const OperationRow& row : Operations()) {
    EXPECT_EQ("mlos.v1.Management/" + std::string(MethodName(row)), row.grpc_method);
  }
}

}  // namespace
}  // namespace mlos::operations
