// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "base/protobuf_reader.h"
#include "base/protobuf_writer.h"

namespace mlos {
namespace {

TEST(ProtobufTest, AFieldHasNothingOfTheOneBefore) {
  Buffer message;
  AppendMessage(1, "text", &message);
  AppendNumber(2, 7, &message);
  AppendMessage(3, "", &message);
  FieldReader reader(message.view());
  WireField field;
  ASSERT_TRUE(reader.Next(&field));
  EXPECT_EQ("text", field.bytes);
  ASSERT_TRUE(reader.Next(&field));
  EXPECT_EQ(7u, field.value);
  EXPECT_EQ("", field.bytes);
  ASSERT_TRUE(reader.Next(&field));
  EXPECT_EQ(3u, field.number);
  EXPECT_EQ(0u, field.value);
  EXPECT_FALSE(reader.Next(&field));
  EXPECT_FALSE(reader.bad());
}

}  // namespace
}  // namespace mlos
