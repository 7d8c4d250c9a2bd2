// SPDX-License-Identifier: Apache-2.0
//
// One request as smi-check gives it to `execute`, and the record of what the
// plugin did with it.
//
// After the answer the inputs and outputs are inaccessible and the request is
// overwritten, so that a plugin that goes on using them is found out.
// Ownership: owned by the check; it outlives the call of execute.  Threads: the
// callbacks run on the thread named by Start(); the rest before Start() or
// after Finish().
#pragma once

#include <list>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "mlos/smi.h"
#include "smi_check/fake_host.h"
#include "smi_check/model_view.h"

namespace mlos {

struct RequestOptions {
  uint32_t slot = 0;
  std::vector<uint32_t> outputs;  // empty: all
  bool is_cancelled = false;
  bool refuse_memory = false;  // allocate_output fails
};

class TestRequest {
 public:
  // `host` and `model` outlive the request.
  TestRequest(FakeHost& host, const ModelView& model, const std::vector<TensorValue>& inputs,
              RequestOptions options);
  ~TestRequest();
  TestRequest(const TestRequest&) = delete;
  TestRequest& operator=(const TestRequest&) = delete;

  const smi_request* handle() const { return request_.as<const smi_request>(); }

  // Around the call of execute: callbacks are allowed between them, on the
  // thread that calls Start().
  void Start();
  // `code` and `text` are what execute returned: they are the answer where the
  // plugin gave none and the code is not SMI_OK.  Fails when there is no answer.
  Status Finish(smi_code code, const std::string& text);

  // After Finish().
  smi_code code() const { return *code_; }
  const std::string& text() const { return text_; }
  const std::vector<TensorValue>& outputs() const { return answers_; }  // as asked for

  // For the table of the host.
  static smi_code AllocateOutput(const smi_request* request, uint32_t index, smi_datatype datatype,
                                 uint32_t rank, const int64_t* shape, uint64_t byte_size,
                                 void** data, smi_error* error);
  static smi_code Respond(const smi_request* request, smi_error* error);
  static void FailRequest(const smi_request* request, smi_code code, const char* text);
  static bool IsCancelled(const smi_request* request);

 private:
  struct Output;

  bool CheckCall(const char* function);
  Status Allocate(uint32_t index, smi_datatype datatype, uint32_t rank, const int64_t* shape,
                  uint64_t byte_size, void** data);
  Status CheckShape(uint32_t index, const std::vector<int64_t>& shape, uint64_t byte_size) const;
  Status Complete();
  void Answer(smi_code code, std::string text);
  std::string NameOf(uint32_t index) const;

  FakeHost& host_;
  const ModelView& model_;
  const RequestOptions options_;
  std::vector<uint32_t> asked_;
  Guarded request_;
  Guarded tensors_;
  Guarded indices_;
  std::vector<Guarded> shapes_;
  std::vector<Guarded> data_;
  std::list<Output> memory_;
  std::vector<TensorValue> answers_;
  std::thread::id thread_;
  bool is_running_ = false;
  std::optional<smi_code> code_;
  std::string text_;
};

struct TestRequest::Output {
  uint32_t index;
  smi_datatype datatype;
  std::vector<int64_t> shape;
  Guarded bytes;
  bool is_replaced;  // by a later call of allocate_output
};

}  // namespace mlos
