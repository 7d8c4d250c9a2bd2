// SPDX-License-Identifier: Apache-2.0
//
// Checks of load, describe and unload: artefacts and configurations that are
// wrong, and what stays behind.
#include <fmt/core.h>

#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>

#include "base/json.h"
#include "base/name.h"
#include "smi_check/checks.h"

namespace mlos {
namespace {

// The same in every run, so that a failure can be repeated.
std::string RandomBytes(size_t size) {
  std::mt19937 generator(20240229);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(generator() & 0xff);
  return bytes;
}

std::string MainName(const Subject& subject) { return "model." + subject.manifest.formats.front(); }

// Loads what cannot be a model; the note is the reason that the plugin gave.
CheckResult ExpectRefusal(const Subject& subject, Phase& phase, const Artefact& artefact,
                          const char* what) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Begin());
  MLOS_ASSIGN_OR_RETURN(const Session::Load load, session.LoadModel(artefact, "{}"));
  if (load.answer.ok()) {
    return Fail(
        fmt::format("load took {} for a model; check the artefact and return "
                    "SMI_INVALID_ARGUMENT with the reason",
                    what));
  }
  MLOS_RETURN_IF_ERROR(session.Destroy());
  return load.answer.ToString();
}

// Loads what may or may not be a model, and unloads it again.
Status LoadAny(Session& session, const Artefact& artefact, const std::string& config,
               size_t* refused) {
  MLOS_ASSIGN_OR_RETURN(const Session::Load load, session.LoadModel(artefact, config));
  if (!load.answer.ok()) {
    ++*refused;
    return OkStatus();
  }
  MLOS_ASSIGN_OR_RETURN(const ModelView view, session.Describe(load.model));
  return session.UnloadModel(load);
}

size_t ResidentBytes() {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen("/proc/self/statm", "re"),
                                                   &std::fclose);
  size_t pages = 0;
  if (file == nullptr || std::fscanf(file.get(), "%*u %zu", &pages) != 1) return 0;
  return pages * 4096;
}

size_t CountEntries(const char* directory) {
  std::error_code error;
  size_t count = 0;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    ++count;
  }
  return count;
}

std::string SizeText(int64_t bytes) {
  const char* sign = bytes < 0 ? "-" : "+";
  const auto size = static_cast<double>(bytes < 0 ? -bytes : bytes);
  return size < 1048576 ? fmt::format("{}{:.0f} KiB", sign, size / 1024)
                        : fmt::format("{}{:.1f} MiB", sign, size / 1048576);
}

}  // namespace

CheckResult CheckLoadEmpty(const Subject& subject, Phase& phase) {
  return ExpectRefusal(subject, phase, ArtefactOf(MainName(subject), ""), "an empty file");
}

CheckResult CheckLoadRandom(const Subject& subject, Phase& phase) {
  return ExpectRefusal(subject, phase, ArtefactOf(MainName(subject), RandomBytes(65536)),
                       "65536 random bytes");
}

CheckResult CheckLoadMissing(const Subject& subject, Phase& phase) {
  return ExpectRefusal(subject, phase, Artefact{}, "an artefact without files");
}

CheckResult CheckLoadErrors(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Begin());
  const Artefact empty = ArtefactOf(MainName(subject), "");
  std::string full;
  for (const uint32_t capacity : {0u, 1u, 2u, 3u, 16u, 4096u}) {
    MLOS_ASSIGN_OR_RETURN(const Session::Load load, session.LoadModel(empty, "{}", capacity));
    if (load.answer.ok()) return Fail("load took an empty file for a model");
    full = load.answer.text;
  }
  MLOS_RETURN_IF_ERROR(session.Destroy());
  return full.empty() ? "errors have no text: users will not know what to do" : "";
}

CheckResult CheckLoadTruncated(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Begin());
  const std::string& bytes = subject.model->main_bytes();
  size_t refused = 0, tried = 0;
  for (const size_t size : {size_t{1}, size_t{16}, bytes.size() / 4, bytes.size() / 2,
                            bytes.size() - bytes.size() / 8, bytes.size() - 1}) {
    if (size == 0 || size >= bytes.size()) continue;
    ++tried;
    MLOS_RETURN_IF_ERROR(LoadAny(session, WithMain(*subject.model, bytes.substr(0, size)),
                                 subject.config, &refused));
  }
  MLOS_RETURN_IF_ERROR(session.Destroy());
  return fmt::format("{} of {} refused", refused, tried);
}

CheckResult CheckLoadDamaged(const Subject& subject, Phase& phase) {
  constexpr size_t kTries = 24;
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Begin());
  const std::string& bytes = subject.model->main_bytes();
  if (bytes.empty()) return Skip("the model's main file is empty");
  std::mt19937 generator(20240229);
  size_t refused = 0;
  for (size_t i = 0; i < kTries; ++i) {
    std::string damaged = bytes;
    // Most structure is at the beginning; half of the tries go there.
    const size_t range = i % 2 == 0 ? std::min<size_t>(bytes.size(), 256) : bytes.size();
    for (int n = 0; n < 4; ++n) damaged[generator() % range] ^= static_cast<char>(generator());
    MLOS_RETURN_IF_ERROR(
        LoadAny(session, WithMain(*subject.model, std::move(damaged)), subject.config, &refused));
  }
  MLOS_RETURN_IF_ERROR(session.Destroy());
  return fmt::format("{} of {} refused", refused, kTries);
}

CheckResult CheckLoad(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Begin());
  MLOS_ASSIGN_OR_RETURN(const Session::Load load,
                        session.LoadModel(*subject.model, subject.config));
  if (!load.answer.ok()) return Fail("load refused the model: " + load.answer.ToString());
  MLOS_RETURN_IF_ERROR(session.UnloadModel(load));
  MLOS_RETURN_IF_ERROR(session.Destroy());
  MLOS_RETURN_IF_ERROR(session.Breach());
  return "";
}

CheckResult CheckOddConfig(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Begin());
  // A member that nobody knows must be ignored.
  StatusOr<boost::json::value> config = ParseJson(subject.config);
  if (!config.ok() || !config->is_object()) {
    return Fail("the configuration given is not a JSON object");
  }
  config->get_object()["no_such_member"] = {{"a", {1, 2, nullptr}}, {"b", "\\\"}"}};
  MLOS_ASSIGN_OR_RETURN(const Session::Load load,
                        session.LoadModel(*subject.model, boost::json::serialize(*config)));
  if (!load.answer.ok()) {
    return Fail("load refused a configuration with an unknown member, which is to be ignored: " +
                load.answer.ToString());
  }
  MLOS_RETURN_IF_ERROR(session.UnloadModel(load));
  // Users write these; whether they are refused is up to the plugin.
  size_t refused = 0;
  const std::string deep(2000, '[');
  const std::string odd[] = {R"({"parameters": 5})",
                             R"({"parameters": {"": {"string_value": 7}, "x": null}})",
                             R"({"instance_group": "many"})",
                             R"({"instance_group": [{"count": -1}, {}, null]})",
                             R"({"parameters": {"threads": {"string_value": "-1e999"}}})",
                             R"({"x": )" + deep + std::string(2000, ']') + "}"};
  for (const std::string& text : odd) {
    MLOS_RETURN_IF_ERROR(LoadAny(session, *subject.model, text, &refused));
  }
  MLOS_RETURN_IF_ERROR(session.Destroy());
  return fmt::format("{} of {} odd ones refused", refused, std::size(odd));
}

CheckResult CheckDescribe(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.BeginWithModel());
  MLOS_RETURN_IF_ERROR(session.Breach());
  const ModelView& model = session.model();
  return fmt::format("{}: {} inputs, {} outputs, batches up to {}, {} at once, replay {}",
                     Quoted(model.platform), model.inputs.size(), model.outputs.size(),
                     model.max_batch_size, model.max_concurrency,
                     model.is_replay_safe() ? "safe" : "never");
}

CheckResult CheckWarmUp(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.BeginWithModel());
  if (session.api()->get_extension == nullptr) return Skip("not offered");
  const auto* extension =
      static_cast<const smi_ext_warm_up*>(session.api()->get_extension(SMI_EXT_WARM_UP));
  if (extension == nullptr) return Skip("not offered");
  ErrorBuffer error(512);
  Answer answer;
  MLOS_RETURN_IF_ERROR(session.Guard(
      "warm_up", [&] { answer.code = extension->warm_up(session.loaded(), error.get()); }));
  MLOS_ASSIGN_OR_RETURN(answer.text, error.Text());
  MLOS_RETURN_IF_ERROR(session.Breach());
  if (!answer.ok()) return Fail("warm_up failed: " + answer.ToString());
  return "";
}

CheckResult CheckTwoModels(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.BeginWithModel());
  MLOS_ASSIGN_OR_RETURN(const Session::Load second,
                        session.LoadModel(*subject.model, subject.config));
  if (!second.answer.ok()) {
    return Fail("load refused the model while it was loaded once: " + second.answer.ToString());
  }
  MLOS_ASSIGN_OR_RETURN(const auto inputs, MakeInputs(session.model(), Fill::kZeros));
  MLOS_ASSIGN_OR_RETURN(const auto before, session.Run(second.model, inputs));
  MLOS_RETURN_IF_ERROR(session.UnloadModel(second));
  MLOS_ASSIGN_OR_RETURN(const auto after, session.Run(session.loaded(), inputs));
  if (before->code() != after->code()) {
    return Fail(
        fmt::format("the first model answers {} once the second is unloaded; the second "
                    "had answered {}",
                    SmiCodeName(after->code()), SmiCodeName(before->code())));
  }
  return "";
}

CheckResult CheckReload(const Subject& subject, Phase& phase) {
  constexpr int kWarm = 4, kCycles = 16;
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.BeginWithModel());
  MLOS_ASSIGN_OR_RETURN(const auto inputs, MakeInputs(session.model(), Fill::kZeros));
  size_t memory = 0, files = 0, threads = 0;
  for (int i = 0; i < kWarm + kCycles; ++i) {
    if (i == kWarm) {
      memory = ResidentBytes();
      files = CountEntries("/proc/self/fd");
      threads = CountEntries("/proc/self/task");
    }
    MLOS_ASSIGN_OR_RETURN(const Session::Load load,
                          session.LoadModel(*subject.model, subject.config));
    if (!load.answer.ok()) return Fail("load refused the model: " + load.answer.ToString());
    MLOS_ASSIGN_OR_RETURN(const auto request, session.Run(load.model, inputs));
    MLOS_RETURN_IF_ERROR(session.UnloadModel(load));
  }
  const auto growth = static_cast<int64_t>(ResidentBytes()) - static_cast<int64_t>(memory);
  const size_t files_now = CountEntries("/proc/self/fd");
  const size_t threads_now = CountEntries("/proc/self/task");
  if (files_now >= files + kCycles) {
    return Fail(fmt::format("{} file descriptors stayed open after {} cycles of load and unload",
                            files_now - files, kCycles));
  }
  if (threads_now >= threads + kCycles) {
    return Fail(fmt::format("{} threads stayed after {} cycles of load and unload",
                            threads_now - threads, kCycles));
  }
  return fmt::format("memory {} over {} cycles", SizeText(growth), kCycles);
}

}  // namespace mlos
