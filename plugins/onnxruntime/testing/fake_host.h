// SPDX-License-Identifier: Apache-2.0
//
// A host in one process, for tests and benchmarks of the plugin: it loads the
// plugin's library, offers artefacts from memory or from a directory, and
// records how requests were answered.
//
// Plugin owns one instance; LoadedModel one model of it; FakeRequest one
// request that can be run again and again.  Each must outlive what is made from
// it.  Not for concurrent use of one object, except where FakeRequest's are
// distinct.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_TESTING_FAKE_HOST_H_
#define MLOS_PLUGINS_ONNXRUNTIME_TESTING_FAKE_HOST_H_

#include <mlos/smi.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace mlos::onnxrt::testing {

// 64-byte aligned, zeroed, at least one byte.
using AlignedBytes = std::unique_ptr<char[], void (*)(void*)>;
AlignedBytes MakeAligned(size_t size);

// The files of a model; "" is the main file.
class Artefact {
 public:
  void Add(const std::string& name, const std::string& content);
  // Adds `main` as the main file, and it and `others` by name.
  static Artefact FromDirectory(const std::string& directory, const std::string& main,
                                const std::vector<std::string>& others = {});

  const smi_artefact* handle() const { return reinterpret_cast<const smi_artefact*>(this); }
  static const Artefact& Of(const smi_artefact* handle) {
    return *reinterpret_cast<const Artefact*>(handle);
  }

  struct File {
    AlignedBytes bytes{nullptr, nullptr};
    size_t size = 0;
  };
  const std::map<std::string, File>& files() const { return files_; }

 private:
  std::map<std::string, File> files_;
};

std::string ReadFile(const std::string& path);

class Plugin {
 public:
  // `library`: the plugin's.  Check ok() before anything else.  Requests are
  // answered by FakeRequest, or by the functions of `requests`.
  explicit Plugin(const std::string& library, const smi_host_api* requests = nullptr);
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  bool ok() const { return instance_ != nullptr; }
  const std::string& error() const { return error_; }
  const smi_plugin_api& api() const { return *api_; }
  smi_plugin* instance() const { return instance_; }
  std::vector<std::string> log() const;

 private:
  static void Log(void* context, smi_log_level level, const char* text);

  const smi_plugin_api* api_ = nullptr;
  smi_plugin* instance_ = nullptr;
  std::string error_;
  smi_host_api host_ = {};
  mutable std::mutex mutex_;
  std::vector<std::string> log_;  // guarded by mutex_
};

class LoadedModel {
 public:
  LoadedModel(const Plugin& plugin, const Artefact& artefact, const std::string& config = "{}",
              uint32_t threads = 1);
  ~LoadedModel();
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  bool ok() const { return model_ != nullptr; }
  smi_code code() const { return code_; }
  const std::string& error() const { return error_; }
  const smi_model_info& info() const { return *plugin_.api().describe(model_); }
  const Plugin& plugin() const { return plugin_; }
  smi_model* get() const { return model_; }

 private:
  const Plugin& plugin_;
  smi_model* model_ = nullptr;
  smi_code code_ = SMI_OK;
  std::string error_;
};

// One output as the plugin gave it.
struct FakeOutput {
  smi_datatype datatype = SMI_INVALID;
  std::vector<int64_t> shape;
  void* data = nullptr;
  uint64_t byte_size = 0;
};

class FakeRequest {
 public:
  explicit FakeRequest(uint32_t slot = 0);
  FakeRequest(const FakeRequest&) = delete;
  FakeRequest& operator=(const FakeRequest&) = delete;

  // Inputs in ascending order of index; the bytes are copied once, here.
  void AddInput(uint32_t index, smi_datatype datatype, std::vector<int64_t> shape, const void* data,
                size_t byte_size);
  template <typename T>
  void AddInput(uint32_t index, smi_datatype datatype, std::vector<int64_t> shape,
                const std::vector<T>& values) {
    AddInput(index, datatype, std::move(shape), values.data(), values.size() * sizeof(T));
  }
  void ClearInputs();
  // Writes over an input's bytes where they lie.
  char* input_data(size_t position) { return buffers_[position].get(); }

  void AskFor(std::vector<uint32_t> outputs) { asked_ = std::move(outputs); }
  void set_cancelled(bool cancelled) { cancelled_ = cancelled; }
  // Moves the memory of outputs, as a channel does from time to time.
  void ForgetOutputMemory() { memory_.clear(); }
  // Answers allocate_output with an error from now on.
  void RefuseMemory(bool refuse) { refuse_memory_ = refuse; }
  // Answers a second allocate_output for one output with an error.
  void RefuseSecond(bool refuse) { refuse_second_ = refuse; }

  // Runs it; the answer's code.
  smi_code Run(const LoadedModel& model);

  // Makes the request's struct ready; Run does it by itself.
  const smi_request* Prepare();

  const std::string& error() const { return error_; }
  int answers() const { return answers_; }
  int allocations() const { return allocations_; }
  bool has_output(uint32_t index) const { return outputs_.count(index) != 0; }
  const FakeOutput& output(uint32_t index) const { return outputs_.at(index); }
  template <typename T>
  std::vector<T> values(uint32_t index) const {
    const FakeOutput& out = outputs_.at(index);
    const T* first = static_cast<const T*>(out.data);
    return std::vector<T>(first, first + out.byte_size / sizeof(T));
  }

  // Fills the functions of a host's table that concern requests.
  static void FillApi(smi_host_api* api);

 private:
  struct Block {
    AlignedBytes bytes{nullptr, nullptr};
    size_t size = 0;
  };

  static FakeRequest& Of(const smi_request* request) {
    return *static_cast<FakeRequest*>(request->host_data);
  }
  static smi_code Allocate(const smi_request* request, uint32_t index, smi_datatype datatype,
                           uint32_t rank, const int64_t* shape, uint64_t byte_size, void** data,
                           smi_error* error);
  static smi_code Respond(const smi_request* request, smi_error* error);
  static void Fail(const smi_request* request, smi_code code, const char* text);
  static bool IsCancelled(const smi_request* request);

  smi_request request_ = {};
  std::vector<smi_tensor> tensors_;
  std::vector<std::vector<int64_t>> shapes_;
  std::vector<AlignedBytes> buffers_;
  std::vector<uint32_t> asked_;
  bool cancelled_ = false;
  bool refuse_memory_ = false;
  bool refuse_second_ = false;
  std::map<uint32_t, Block> memory_;  // by output, kept between runs
  std::map<uint32_t, FakeOutput> outputs_;
  smi_code code_ = SMI_OK;
  std::string error_;
  int answers_ = 0;
  int allocations_ = 0;
};

// BYTES in SMI's form, and back.
std::string EncodeBytes(const std::vector<std::string>& values);
std::vector<std::string> DecodeBytes(const FakeOutput& output);

}  // namespace mlos::onnxrt::testing

#endif  // MLOS_PLUGINS_ONNXRUNTIME_TESTING_FAKE_HOST_H_
