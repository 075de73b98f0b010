"""Downloading one file over HTTP: what has come stays in a partial file, and the next attempt goes on from its end."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import unwritable

if TYPE_CHECKING:
    import requests

ATTEMPTS = 5
"""Attempts in a row that may bring nothing new before it is given up."""
WAIT = 0.5
"""Seconds before the second attempt; twice as long before each further one."""
TIMEOUT = (10, 30)
"""Seconds to wait for a connection, and for the next bytes."""
_CHUNK = 1 << 13
"""Bytes of an answer that are lost where it breaks off, at most."""
_GOES_ON = "; what has come is kept, and the same command goes on from there"


class _CutError(Exception):
    """The connection brought less than the file, or the server asked to come again."""


class Transfer:
    """Downloads one file for pooch, which checks it and puts it into its place.

    Args:
        session: connections, kept from file to file.
        part: partial file, beside which nothing of the download can be seen.
        size: bytes of the whole file, if known.
        can_resume: whether a partial file of an earlier process may be gone on with, because a checksum will tell whether
            the parts fit together.
        report: takes the number of bytes that are there.
    """

    def __init__(
        self,
        session: requests.Session,
        part: Path,
        size: int | None,
        can_resume: bool,
        report: Callable[[int], None],
    ):
        self.session, self.part, self.size, self.can_resume, self.report = session, part, size, can_resume, report

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Downloads to a path.

        Raises:
            UserError: the server cannot be reached, has no such file, sends another size, or the disk is full.
        """
        import requests

        if not self.can_resume:
            self.part.unlink(missing_ok=True)
        failures, most = 0, self._have()
        while True:
            try:
                self._attempt(url)
                break
            except requests.exceptions.SSLError as error:
                raise UserError(f"The certificate of '{_host(url)}' cannot be trusted, so that nothing is downloaded: "
                                f"{_reason(error)}.") from error  # fmt: skip
            except (
                _CutError,
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ) as error:
                failures, most = (failures + 1, most) if self._have() <= most else (1, self._have())
                if failures >= ATTEMPTS:
                    raise UserError(f"Cannot download '{url}': {_reason(error)}, {ATTEMPTS} times in a row; check the network"
                                    f"{_GOES_ON}.") from error  # fmt: skip
                time.sleep(WAIT * 2 ** (failures - 1))
            except requests.RequestException as error:
                raise UserError(f"Cannot download '{url}': {_reason(error)}.") from error
        try:
            os.replace(self.part, output_file)
        except OSError as error:
            raise unwritable(self.part, error) from error

    def _have(self) -> int:
        try:
            return self.part.stat().st_size
        except OSError:
            return 0

    def _attempt(self, url: str) -> None:
        """Asks once for what is missing, and keeps what comes."""
        have = self._have()
        if self.size is not None and have > self.size:
            self.part.unlink()
            have = 0
        if have and have == self.size:
            return
        # Not compressed, since a range is one of the bytes that are sent.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with self.session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            begin = self._begin(response, url, have)
            expected = response.headers.get("Content-Length", "")
            whole = begin + int(expected) if expected.isdecimal() else None
            if self.size is not None and whole not in (None, self.size):
                self.part.unlink(missing_ok=True)
                raise UserError(f"'{url}' has {whole} bytes where the catalogue says {self.size}, so that it is another "
                                "file; report it.")  # fmt: skip
            self._write(response, begin)
        if (whole is not None and self._have() < whole) or (self.size is not None and self._have() < self.size):
            raise _CutError(f"the connection ended after {self._have()} bytes")

    def _begin(self, response: requests.Response, url: str, have: int) -> int:
        """Returns the byte with which an answer begins.

        Raises:
            UserError: the server refuses.
            _CutError: it asks to come again.
        """
        status = response.status_code
        if status == 206:
            span = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if span and int(span[1]) == have:
                return have
        if status in (206, 416):  # not what was asked for: from the beginning, then
            self.part.unlink(missing_ok=True)
            raise _CutError("the server sent another part than was asked for")
        if status == 429 or status >= 500:
            raise _CutError(f"the server answers {status} {response.reason}")
        if status != 200:
            raise UserError(f"Cannot download '{url}': the server answers {status} {response.reason}; see whether the file "
                            "is still there.")  # fmt: skip
        return 0

    def _write(self, response: requests.Response, begin: int) -> None:
        """Writes an answer behind the bytes that are there, or in their place."""
        try:
            sink = self.part.open("ab" if begin else "wb")
        except OSError as error:
            raise unwritable(self.part, error) from error
        done = begin
        with sink:
            for chunk in response.iter_content(_CHUNK):
                done += len(chunk)
                if self.size is not None and done > self.size:
                    sink.truncate(0)
                    raise UserError(f"'{response.url}' has more than the {self.size} bytes that the catalogue says, so that "
                                    "it is another file; report it.")  # fmt: skip
                try:
                    sink.write(chunk)
                    sink.flush()
                except OSError as error:
                    raise unwritable(self.part, error) from error
                self.report(done)


def _host(url: str) -> str:
    return url.split("/")[2]


def _reason(error: Exception) -> str:
    """Returns what went wrong in few words, from the innermost error that has some."""
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer within the time allowed"
    inner: BaseException = error
    while (deeper := getattr(inner, "reason", None) or inner.__cause__ or inner.__context__) and isinstance(
        deeper, BaseException
    ):
        inner = deeper
    text = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return text.rstrip(".")
