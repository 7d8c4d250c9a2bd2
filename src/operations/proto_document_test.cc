// SPDX-License-Identifier: Apache-2.0
#include "operations/proto_document.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace mlos::operations {
namespace {

TEST(ProtoDocumentTest, IsWhatStandsInTheTree) {
  std::ifstream in(MLOS_SOURCE_DIR "/proto/mlos/v1/management.proto");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(ProtoDocument(), text) << "mlos manual --proto > proto/mlos/v1/management.proto";
}

TEST(ProtoDocumentTest, EveryOperationIsOfTheOneService) {
  for (const OperationRow& row : Operations()) {
    EXPECT_EQ("mlos.v1.Management/" + std::string(MethodName(row)), row.grpc_method);
  }
}

}  // namespace
}  // namespace mlos::operations
