// SPDX-License-Identifier: Apache-2.0
//
// Answers as people read them.  What a daemon adds to its objects is shown
// too, where one object is shown.  Pure; one thread.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "operations/operations.h"

namespace mlos::cli {

struct Look {
  bool colour = false;
  size_t width = 0;  // of the terminal; 0: lines as long as they are
};

std::string FormatAnswer(const operations::OperationRow& row, const boost::json::value& body,
                         bool accepted, const Look& look);

// "plugin" and "model" are in the objects: "onnxruntime 1.0.0", "12.3 MiB", "3 h 12 min".
std::string FormatBytes(uint64_t bytes);
std::string FormatSeconds(uint64_t seconds);

// A server's hint with its requests said as commands, where a row has one:
// "see GET /api/v1/models/digits" -> "see mlos model show digits".
std::string TranslateHint(std::string_view hint);

// The outputs of an inference answer (POST /v2/models/M/infer).
std::string FormatOutputs(const boost::json::value& body, const Look& look);

}  // namespace mlos::cli
