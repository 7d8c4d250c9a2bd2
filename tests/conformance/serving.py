# SPDX-License-Identifier: Apache-2.0
"""One model after the other, served by the daemon under test."""

import daemon
import oip


class Served:
    """A model that is registered and loaded for the length of a `with`.

    `refusal` says why it is not; then nothing can be asked of it.
    """

    def __init__(self, server, name, path):
        self._server, self._name = server, name
        self.refusal = None
        server.register_model(name, path)
        try:
            server.model_action(name, "load")
        except daemon.Refused as refused:
            self.refusal = refused.text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.refusal is None:
            self._server.model_action(self._name, "unload")
        self._server.remove_model(self._name)

    def infer(self, feeds, binary):
        """The outputs by name, or Refused."""
        headers, body = oip.encode(feeds, binary)
        status, headers, body = self._server.call("POST", f"/v2/models/{self._name}/infer", body,
                                                  headers)
        if status != 200:
            raise daemon.Refused(status, daemon.error_text(body))
        return oip.decode(headers, body)
