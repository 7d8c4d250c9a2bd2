// SPDX-License-Identifier: Apache-2.0
#include "smi_check/checks.h"

namespace mlos {

const std::vector<Check>& AllChecks() {
  static const std::vector<Check> kChecks = {
      {"library", "the library can be mapped and has the entry symbol", "", false, CheckLibrary},
      {"table", "the table of functions is whole", "library", false, CheckTable},
      {"version", "built for a version of SMI that the host speaks", "table", false, CheckVersion},
      {"name", "the table and the manifest give the same name", "table", false, CheckName},
      {"functions", "no required function is NULL", "version", false, CheckFunctions},
      {"create", "an instance is made and destroyed", "functions", false, CheckCreate},
      {"create-errors", "create copes with any buffer for its error", "create", false,
       CheckCreateErrors},
      {"truncated-host", "a host's smaller table is not read past its end", "create", false,
       CheckTruncatedHost},
      {"extensions", "unknown extensions are NULL, known ones whole", "create", false,
       CheckExtensions},
      {"load-empty", "an empty artefact is an error", "create", false, CheckLoadEmpty},
      {"load-random", "an artefact of random bytes is an error", "create", false, CheckLoadRandom},
      {"load-missing", "an artefact without files is an error", "create", false, CheckLoadMissing},
      {"load-errors", "error texts end within their buffer", "load-empty", false, CheckLoadErrors},
      {"load-truncated", "a truncated model is a model or an error", "load-empty", true,
       CheckLoadTruncated},
      {"load-damaged", "a damaged model is a model or an error", "load-empty", true,
       CheckLoadDamaged},
      {"load", "the model is loaded and unloaded", "create", true, CheckLoad},
      {"describe", "the description is consistent", "load", true, CheckDescribe},
      {"odd-config", "unexpected configuration does no harm", "load", true, CheckOddConfig},
      {"warm-up", "the warm-up extension works", "describe", true, CheckWarmUp},
      {"execute", "a request is answered once, with every output", "describe", true, CheckExecute},
      {"newer-host", "structs of a newer host are read by their struct_size", "execute", true,
       CheckNewerHost},
      {"subset", "only the outputs asked for are computed", "execute", true, CheckSubset},
      {"optional", "optional inputs may be left out", "execute", true, CheckOptional},
      {"slots", "a slot that is used again carries nothing over", "execute", true, CheckSlots},
      {"repeat", "replay: safe gives the same answer twice", "execute", true, CheckRepeat},
      {"batch", "several requests run in one call", "execute", true, CheckBatch},
      {"concurrency", "requests run at once as far as described", "execute", true,
       CheckConcurrency},
      {"no-memory", "a refused output is an answer, not a crash", "execute", true, CheckNoMemory},
      {"cancelled", "a cancelled request is answered", "execute", true, CheckCancelled},
      {"two-models", "two models live side by side", "execute", true, CheckTwoModels},
      {"reload", "models can be loaded and unloaded many times", "execute", true, CheckReload},
  };
  return kChecks;
}

}  // namespace mlos
